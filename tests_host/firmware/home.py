"""A board in the process of the test, at a real broker, with a fake radio and a clock of the test."""

import time
from types import SimpleNamespace

import machine
from fake_network import FakeNetwork
from fakes import FakeClock
from image import PATIENCE_S

from firmware.app import App
from firmware.board import Board
from firmware.config import Config
from firmware.log import Log


class Sensor:
    """A sensor for these tests."""

    def __init__(self, name, units=None, **reading):
        self.name = name
        self.reading = reading
        if units:
            self.units = units

    def read(self):
        if isinstance(self.reading, Exception):
            raise self.reading
        return self.reading


def weather_sensor():
    return Sensor("bme280", celsius=21.5, humidity=40.25, pascal=101325.5)


def some_sensors():
    return [
        Sensor("heap", free=100000, used=50000),
        weather_sensor(),
        Sensor("roof", **{"celsius_28ff00000001": 3.5, "celsius_28ff00000002": -1.5}),
        Sensor("my \"own\" {sensor}'s", {"flow": ("volume_flow_rate", "L/min")}, flow=2.5, open=True, word="wet"),
        Sensor("light", value=12.5),
    ]


class Home:
    """An app at the broker. Its loop runs while the test waits."""

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
        """Run the board, at ten times the speed of the broker, until `condition()` is true."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, self.log.tail(50)
            self.clock.now += 10
            self.app.turn(0)
            time.sleep(0.001)

    def settle(self):
        """Run the board until everything is announced, and outdated entities are removed."""
        mqtt = self.app.services.get("mqtt")
        self.turn_until(lambda: mqtt.client.connected)
        discovery = mqtt.when_read[-1].__self__
        self.turn_until(lambda: "bme280" in discovery._known or not mqtt.last_readings)
        self.turn_until(lambda: discovery._found is None and not discovery._to_do and not mqtt.client._unacked)

    def end(self):
        self.app.end()
