"""The announcements for Home Assistant, compared with those that a real one has accepted: homeassistant.json.

The firmware runs in this process with a clock of the test, at a real mosquitto (home.py).
RECORD=1 writes the file again; then run test_homeassistant.py, which gives it to a real Home Assistant.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from home import Home, Sensor, some_sensors, weather_sensor
from image import ROOT
from mqtt_peers import kept

RECORDED = Path(__file__).with_name("homeassistant.json")
PINS = [{"name": "lamp", "pin": 2}, {"name": "door", "pin": 3, "mode": "in", "pull": "up"}]


@pytest.fixture
def start(tmp_path, broker, watcher):
    homes = []

    def start(sensors=None, **settings):
        homes.append(Home(tmp_path, broker.port, some_sensors() if sensors is None else sensors, **settings))
        return homes[-1]

    yield start
    for home in homes:
        home.end()


def entities(broker):
    """Return {topic: payload} of the messages that the broker keeps for Home Assistant."""
    return {topic: json.loads(payload) for topic, payload in kept(broker.port, "homeassistant/").items()}


def test_the_entities_are_those_that_home_assistant_has_accepted(start, broker):
    start(pins=PINS).settle()
    announced = {topic: {**one, "o": {"name": one["o"]["name"]}} for topic, one in entities(broker).items()}
    announced["homeassistant/sensor/xas0123456789abcdef/--uptime/config"]["dev"].pop("sw")  # it differs in each version
    if os.environ.get("RECORD"):
        RECORDED.write_text(json.dumps(announced, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    assert announced == json.loads(RECORDED.read_text())
    assert len({one["uniq_id"] for one in announced.values()}) == len(announced)


def test_no_packet_is_longer_than_1_kb(start, broker, watcher):
    long = Sensor("x" * 32, **{"y" * 32: 1.5, "z" * 400: 2.5})
    home = start([weather_sensor(), long], base="b" * 64, discovery_prefix="p" * 64)
    home.settle()
    topics = {one["topic"]: len(one["topic"]) + len(one["payload"].encode()) for one in watcher.seen}
    sizes = [size for topic, size in topics.items() if topic.startswith("ppp")]
    assert max(sizes) <= 1000 and len(sizes) == 6
    assert [entry for entry in home.log.tail(50) if "more than 1 KB is left out" in entry["text"]]


def test_removed_entities_disappear_and_failing_ones_stay(start, broker):
    fails = Sensor("cellar", celsius=4.5)
    home = start([weather_sensor(), Sensor("light", value=1.5), fails], pins=PINS)
    home.settle()
    before = entities(broker)
    home.end()
    fails.reading = OSError("no answer")
    smaller = weather_sensor()
    del smaller.reading["humidity"]
    start([smaller, fails], pins=PINS[:1]).settle()
    gone = {topic.split("/", 3)[3] for topic in set(before) - set(entities(broker))}
    assert gone == {"bme280--humidity/config", "light--value/config", "--door/config"}


def test_more_entities_than_the_queue_holds_are_removed(start, broker, watcher):
    old = [f"homeassistant/sensor/xas0123456789abcdef/old--f{number}/config" for number in range(12)]
    for topic in old:
        watcher.publish(topic, "{}", retain=True)
    start().settle()
    assert not set(old) & set(entities(broker))


def test_entities_kept_by_the_broker_are_noted_once(start, broker, watcher):
    topic = "homeassistant/sensor/xas0123456789abcdef/light--value/config"
    watcher.publish(topic, "{}", retain=True)
    home = start()
    discovery = home.app.services.get("mqtt").when_read[-1].__self__
    for _ in range(2):
        discovery._on_received(topic, b"{}", True)
    assert discovery._found == [topic]
    home.settle()


def test_entities_of_others_are_not_changed(start, broker, watcher):
    other = "homeassistant/sensor/xas00000000/heap--free/config"
    watcher.publish(other, '{"name": "of another board"}', retain=True)
    start().settle()
    assert other in entities(broker)


def test_a_new_field_is_announced_later(start, broker):
    late = Sensor("late")
    home = start([weather_sensor(), late])
    home.settle()
    before = entities(broker)
    late.reading = {"volt": 3.3}
    home.turn_until(lambda: home.app.services.get("mqtt").last_readings.get("late"))
    home.turn_until(lambda: not home.app.services.get("mqtt").client._unacked)
    new = set(entities(broker)) - set(before)
    assert [topic.split("/")[3] for topic in new] == ["late--volt"]


def test_a_starting_home_assistant_gets_everything_after_a_while(start, watcher):
    home = start(pins=PINS)
    home.settle()
    topics = {one["topic"] for one in watcher.seen if one["topic"].startswith("homeassistant/")}
    seen = len(watcher.seen)
    watcher.publish("homeassistant/status", "offline")
    watcher.publish("homeassistant/status", "online")
    began = home.clock.uptime()
    home.turn_until(lambda: len(watcher.seen) > seen + 2 and watcher.payloads(sorted(topics)[-1], seen))
    assert home.clock.uptime() - began >= 5
    home.turn_until(lambda: topics <= {one["topic"] for one in watcher.seen[seen:]})


def test_without_the_state_only_pins_are_announced(start, broker, watcher):
    home = start(state=False, pins=PINS)
    home.turn_until(lambda: len(watcher.payloads("homeassistant/switch/xas0123456789abcdef/--lamp/config")) == 1)
    home.turn_until(lambda: not home.app.services.get("mqtt").client._unacked)
    home.turn_until(lambda: watcher.payloads("boards/attic/pin/door"))
    assert {topic.split("/")[3] for topic in entities(broker)} == {"--lamp", "--door"}
    assert not watcher.payloads("boards/attic/state")


def test_without_discovery_nothing_is_announced(start, broker, watcher):
    home = start(discovery=False)
    home.turn_until(lambda: watcher.payloads("boards/attic/state"))
    assert entities(broker) == {}


def test_the_board_s_page_is_linked(start, broker):
    home = start()
    home.app.services.replace("http", SimpleNamespace(url="http://127.0.0.1/"))
    home.settle()
    device = entities(broker)["homeassistant/sensor/xas0123456789abcdef/--uptime/config"]["dev"]
    assert device["cu"] == "http://127.0.0.1/" and device["mdl"] == "PICO_W"


def test_tls_waits_for_the_clock_and_reports_it(tmp_path, broker, monkeypatch):
    """Without the time, no certificate can be checked."""
    year = 2021  # the clock of an RP2040 starts there
    monkeypatch.setattr("firmware.mqtt.service.time", SimpleNamespace(gmtime=lambda: (year,)))
    (tmp_path / "broker.pem").write_bytes((ROOT / "tests_host" / "tls" / "server.crt").read_bytes())
    home = Home(tmp_path, broker.port, [], tls=True)

    def told():
        return [entry["text"] for entry in home.log.tail(50) if entry["source"] == "mqtt"]

    home.turn_until(lambda: home.app.bringup.state == "up")
    home.clock.now += 55000
    home.turn_until(told)
    assert "the clock is not set" in told()[0] and home.clock.uptime() >= 60
    year = 2026
    home.turn_until(lambda: len(told()) == 2)  # this broker has no TLS, but the board has tried to connect
    home.end()
