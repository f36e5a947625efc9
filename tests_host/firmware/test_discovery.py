"""What Home Assistant is told, compared with what a real one has accepted: homeassistant.json.

The firmware runs in this process, with a radio that is a fake, on a clock of the test's own, at a real mosquitto.
RECORD=1 writes the file anew; then run test_homeassistant.py, which shows it to a real Home Assistant.
"""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import machine
import pytest
from fake_network import FakeNetwork
from fakes import FakeClock
from image import PATIENCE_S, ROOT
from mqtt_peers import kept

from firmware.app import App
from firmware.board import Board
from firmware.config import Config
from firmware.log import Log

RECORDED = Path(__file__).with_name("homeassistant.json")
PINS = [{"name": "lamp", "pin": 2}, {"name": "door", "pin": 3, "mode": "in", "pull": "up"}]


class Sensor:
    """A sensor of the test's own."""

    def __init__(self, name, units=None, **reading):
        self.name = name
        self.reading = reading
        if units:
            self.units = units

    def read(self):
        if isinstance(self.reading, Exception):
            raise self.reading
        return self.reading


def weather():
    return Sensor("bme280", celsius=21.5, humidity=40.25, pascal=101325.5)


def some_sensors():
    return [
        Sensor("heap", free=100000, used=50000),
        weather(),
        Sensor("roof", **{"celsius_28ff00000001": 3.5, "celsius_28ff00000002": -1.5}),
        Sensor("my \"own\" {sensor}'s", {"flow": ("volume_flow_rate", "L/min")}, flow=2.5, open=True, word="wet"),
        Sensor("light", value=12.5),
    ]


class Home:
    """An app at the broker, whose loop turns while the test waits."""

    def __init__(self, folder, port, sensors, **settings):
        self.clock = FakeClock()
        self.network = FakeNetwork(self.clock)
        self.network.lease = ("127.0.0.1", "255.0.0.0", "0.0.0.0")
        self.network.air["home"] = "ok"
        support = SimpleNamespace(sensors=lambda: sensors, NAME="PICO_W")
        self.log = Log(self.clock, console=False)
        board = Board(self.network, machine, support, str(folder))
        config = Config(board, self.log)
        config.set("device.name", "attic")
        config.set("wifi.networks", [{"ssid": "home", "password": "home-password"}])
        config.set("control.port", 0)
        config.set("telemetry.broadcast", False)
        config.set("http.enabled", False)
        config.set("telemetry.interval_s", 2)
        for key, value in {"broker": f"127.0.0.1:{port}", "client_id": "xas0123456789abcdef", **settings}.items():
            config.set("mqtt." + key, value)
        self.app = App(board, config, self.log, self.clock, random=lambda: 0.5)
        self.app.start()

    def turn_until(self, condition):
        """Let the board live, at ten times the speed of the broker, until `condition()` holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, self.log.tail(50)
            self.clock.now += 10
            self.app.turn(0)
            time.sleep(0.001)

    def settle(self):
        """Until everything is announced, and what is gone removed."""
        mqtt = self.app.services.get("mqtt")
        self.turn_until(lambda: mqtt.client.connected)
        discovery = mqtt.when_read[-1].__self__
        self.turn_until(lambda: "bme280" in discovery._known or not mqtt.last_readings)
        self.turn_until(lambda: discovery._found is None and not discovery._to_do and not mqtt.client._unacked)

    def end(self):
        self.app.end()


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
    """{topic: payload} of what the broker keeps for Home Assistant."""
    return {topic: json.loads(payload) for topic, payload in kept(broker.port, "homeassistant/").items()}


def test_the_entities_are_those_that_home_assistant_has_accepted(start, broker):
    start(pins=PINS).settle()
    announced = {topic: {**one, "o": {"name": one["o"]["name"]}} for topic, one in entities(broker).items()}
    announced["homeassistant/sensor/xas0123456789abcdef/--uptime/config"]["dev"].pop("sw")  # each version has another
    if os.environ.get("RECORD"):
        RECORDED.write_text(json.dumps(announced, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    assert announced == json.loads(RECORDED.read_text())
    assert len({one["uniq_id"] for one in announced.values()}) == len(announced)


def test_no_packet_is_longer_than_1_kb(start, broker, watcher):
    long = Sensor("x" * 32, **{"y" * 32: 1.5, "z" * 400: 2.5})
    home = start([weather(), long], base="b" * 64, discovery_prefix="p" * 64)
    home.settle()
    topics = {one["topic"]: len(one["topic"]) + len(one["payload"].encode()) for one in watcher.seen}
    sizes = [size for topic, size in topics.items() if topic.startswith("ppp")]
    assert max(sizes) <= 1000 and len(sizes) == 6
    assert [entry for entry in home.log.tail(50) if "more than 1 KB is left out" in entry["text"]]


def test_what_is_gone_is_removed_and_what_fails_stays(start, broker):
    fails = Sensor("cellar", celsius=4.5)
    home = start([weather(), Sensor("light", value=1.5), fails], pins=PINS)
    home.settle()
    before = entities(broker)
    home.end()
    fails.reading = OSError("no answer")
    smaller = weather()
    del smaller.reading["humidity"]
    start([smaller, fails], pins=PINS[:1]).settle()
    gone = {topic.split("/", 3)[3] for topic in set(before) - set(entities(broker))}
    assert gone == {"bme280--humidity/config", "light--value/config", "--door/config"}


def test_more_than_wait_for_the_broker_are_removed(start, broker, watcher):
    old = [f"homeassistant/sensor/xas0123456789abcdef/old--f{number}/config" for number in range(12)]
    for topic in old:
        watcher.publish(topic, "{}", retain=True)
    start().settle()
    assert not set(old) & set(entities(broker))


def test_what_the_broker_has_kept_is_noted_once(start, broker, watcher):
    topic = "homeassistant/sensor/xas0123456789abcdef/light--value/config"
    watcher.publish(topic, "{}", retain=True)
    home = start()
    discovery = home.app.services.get("mqtt").when_read[-1].__self__
    for _ in range(2):
        discovery._hear(topic, b"{}", True)
    assert discovery._found == [topic]
    home.settle()


def test_it_is_online_whatever_waits_for_the_broker(start, watcher):
    mqtt = start().app.services.get("mqtt")
    home = mqtt.client
    home.connected = True  # as in a connection that has been lost, with all that waited
    while home.publish("waits", "", 1):
        pass
    home.connected = False
    seen = len(watcher.seen)
    start_turns = mqtt.app
    end = time.monotonic() + PATIENCE_S
    while not mqtt._is_online:
        assert time.monotonic() < end
        start_turns.clock.now += 10
        start_turns.turn(0)
        time.sleep(0.001)
    watcher.wait("boards/attic/status", "online", seen)


def test_entities_of_others_are_left_alone(start, broker, watcher):
    other = "homeassistant/sensor/xas00000000/heap--free/config"
    watcher.publish(other, '{"name": "of another board"}', retain=True)
    start().settle()
    assert other in entities(broker)


def test_a_field_that_comes_later_is_announced_then(start, broker):
    late = Sensor("late")
    home = start([weather(), late])
    home.settle()
    before = entities(broker)
    late.reading = {"volt": 3.3}
    home.turn_until(lambda: home.app.services.get("mqtt").last_readings.get("late"))
    home.turn_until(lambda: not home.app.services.get("mqtt").client._unacked)
    new = set(entities(broker)) - set(before)
    assert [topic.split("/")[3] for topic in new] == ["late--volt"]


def test_a_home_assistant_that_starts_is_told_everything_after_a_while(start, watcher):
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


def test_tls_waits_for_the_clock_and_says_so(tmp_path, broker, monkeypatch):
    """Without the time, no certificate can be checked."""
    year = 2021  # where an RP2040 starts
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
    home.turn_until(lambda: len(told()) == 2)  # this broker speaks no TLS, but it was asked
    home.end()
