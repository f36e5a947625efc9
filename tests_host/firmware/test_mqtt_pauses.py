"""A broker that pauses, or is gone for a while: what waited for it arrives in the end. The broker is mosquitto."""

import json

import pytest
from home import Home, some_sensors
from mqtt_peers import kept

OLD = "homeassistant/sensor/xas0123456789abcdef/old--f%d/config"
STATUS = "boards/attic/status"


@pytest.fixture
def start(tmp_path, broker, watcher):
    """Start a board that is connected to the broker. The watcher ends last: a board that is gone leaves its will."""
    homes = []

    def start(**settings):
        homes.append(Home(tmp_path, broker.port, some_sensors(), **settings))
        homes[-1].turn_until(lambda: homes[-1].app.services.get("mqtt").client.connected)
        return homes[-1]

    yield start
    for home in homes:
        home.end()


def pass_seconds(home, seconds):
    for _ in range(2 * seconds):
        home.clock.now += 500
        home.app.turn(0)


def logged(watcher):
    return [json.loads(payload)["text"] for payload in watcher.payloads("boards/attic/log")]


def test_the_log_goes_on_after_a_pause_of_the_broker(start, broker, watcher):
    home = start(log="info", discovery=False)
    client = home.app.services.get("mqtt").client
    home.log.info("test", "before")
    home.turn_until(lambda: "before" in logged(watcher))
    with broker.paused():
        for filler in (1000 * "x", ""):  # then not even a short line fits
            while client.publish("filler", filler):
                home.app.turn(0)
        home.log.info("test", "meanwhile")
    home.turn_until(lambda: "meanwhile" in logged(watcher))
    home.log.info("test", "after")
    home.turn_until(lambda: "after" in logged(watcher))
    assert len(watcher.payloads(STATUS)) == 1  # all of that in one connection


def test_outdated_entities_are_removed_after_a_pause_of_the_broker(start, broker, watcher):
    """More than may wait for the broker."""
    for number in range(12):
        watcher.publish(OLD % number, "{}", retain=True)
    home = start()
    with broker.paused():
        pass_seconds(home, 15)
    home.settle()
    assert not kept(broker.port, OLD % 1)
    assert not [topic for topic in kept(broker.port, "homeassistant/") if "/old--" in topic]


def test_of_many_outdated_entities_the_last_are_removed_at_the_next_start(start, broker, watcher):
    for number in range(66):
        watcher.publish(OLD % number, "{}", retain=True)
    left = [66]
    for most in (2, 0):
        home = start()
        home.settle()
        home.end()
        left.append(len([topic for topic in kept(broker.port, "homeassistant/") if "/old--" in topic]))
        assert left[-1] <= most
    assert left == [66, 2, 0]


def test_long_topics_of_strangers_are_left_alone(start, broker, watcher):
    """64 of them would fill a small heap."""
    long = OLD.replace("old", 600 * "o") % 1
    watcher.publish(OLD % 1, "{}", retain=True)
    watcher.publish(long, "{}", retain=True)
    start().settle()
    assert long in kept(broker.port) and OLD % 1 not in kept(broker.port)


def test_a_board_that_comes_back_with_a_full_queue_is_online(start, broker, watcher):
    """Its messages from before the pause go first, and leave no place for the status."""
    home = start(discovery=False)
    client = home.app.services.get("mqtt").client
    home.turn_until(lambda: not client._unacked)
    with broker.paused():
        while client.publish("waits", "for the broker", 1):
            pass
        while client.connected:
            pass_seconds(home, 1)
    watcher.wait(STATUS, "offline")  # the will
    seen = len(watcher.seen)
    home.turn_until(lambda: "online" in watcher.payloads(STATUS, seen))
    assert kept(broker.port)[STATUS] == "online"
