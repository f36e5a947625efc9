"""Each test of this folder has the library's time to itself, and the tests of MQTT share a broker."""

import pytest
from mqtt_peers import Mosquitto, Watcher


@pytest.fixture(autouse=True)
def _own_time(own_time):
    pass


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A mosquitto of the module's own."""
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    yield broker
    broker.kill()


@pytest.fixture
def watcher(broker):
    """Sees what is published there. What the broker keeps of the test is removed at the end."""
    watcher = Watcher(broker.port)
    yield watcher
    watcher.stop()
    cleaner = Watcher(broker.port)
    for topic in {one["topic"] for one in cleaner.seen if one["retain"]}:
        cleaner.publish(topic, "", True)
    cleaner.stop()
