"""Each test of this folder gets the library's own time, and the tests of MQTT share a broker."""

import pytest
from mqtt_peers import Mosquitto, Watcher


@pytest.fixture(autouse=True)
def _own_time(own_time):
    pass


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A mosquitto for one module."""
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    yield broker
    broker.kill()


@pytest.fixture
def watcher(broker):
    """Receives everything that is published at the broker. Retained messages are removed after the test."""
    watcher = Watcher(broker.port)
    yield watcher
    watcher.stop()
    cleaner = Watcher(broker.port)
    for topic in {one["topic"] for one in cleaner.seen if one["retain"]}:
        cleaner.publish(topic, "", True)
    cleaner.stop()
