"""Fixtures: the image as a process. Imports in this process find lib/ and the UNIX board's modules."""

import socket
import sys
from importlib import import_module

import pytest
from image import PATIENCE_S, SOURCES, BoardProcess
from mqtt_peers import Mosquitto, Watcher

for source in SOURCES:
    if str(source) not in sys.path:
        sys.path.append(str(source))


@pytest.fixture(autouse=True)
def own_time(monkeypatch):
    """The library's time, which a FakeClock replaces for one test."""
    for name in ("_ticks_ms", "_ticks_add", "_ticks_diff"):
        monkeypatch.setattr(f"XAsyncSockets.{name}", getattr(import_module("XAsyncSockets"), name))


@pytest.fixture
def board(tmp_path):
    """A board that is not started yet."""
    process = BoardProcess(tmp_path)
    yield process
    process.end()


@pytest.fixture
def collector():
    """A UDP socket that telemetry can be sent to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_S)
        yield receiver


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
