"""The whole firmware in this process, with a fake radio, real sockets, and a clock that the test sets."""

import socket
import sys
import time
from types import SimpleNamespace

import machine
import pytest
from fake_network import FakeNetwork
from fakes import FakeClock
from image import PATIENCE_S, Client
from influx import parse

from firmware.app import App
from firmware.board import Board
from firmware.config import Config
from firmware.log import Log
from XAsyncSockets import XAsyncUDPDatagram


class RunningApp:
    """An app whose loop runs only while the test waits for something."""

    def __init__(self, folder, collector, support=None, **sections):
        self.clock = FakeClock()
        self.network = FakeNetwork(self.clock)
        self.network.lease = ("127.0.0.1", "255.0.0.0", "0.0.0.0")
        self.network.air["home"] = "ok"
        board = Board(self.network, machine, support or object(), str(folder))
        log = Log(self.clock, console=False)
        config = Config(board, log)
        config.set("wifi.networks", [{"ssid": "home", "password": "home-password"}])
        config.set("ap.enabled", False)
        config.set("control.port", 0)
        config.set("telemetry.collectors", [f"127.0.0.1:{collector.getsockname()[1]}"])
        config.set("telemetry.broadcast", False)
        for key, value in sections.items():
            config.set(key.replace("__", "."), value)
        self.app = App(board, config, log, self.clock)
        self.app.start()

    def turn_until(self, condition):
        """Run turns until `condition()` is true. Each advances the board's time by a tenth of a second."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "the condition did not become true in time"
            self.clock.now += 100
            self.app.turn(0)
            time.sleep(0.001)

    @property
    def control(self):
        return self.app.services.get("control")

    @property
    def is_up(self):
        return self.app.bringup.state == "up"


@pytest.fixture
def start(tmp_path, collector):
    apps = []

    def start(**sections):
        apps.append(RunningApp(tmp_path, collector, **sections))
        return apps[-1]

    yield start
    for running in apps:
        running.app.end()


def call(running, client, method):
    """Send a request, and run the board's turns until the answer arrives."""
    answers = []
    client.socket.setblocking(False)
    client.socket.sendall(method.encode() + b"\n")

    def answered():
        try:
            answers.append(client.socket.recv(5000))
        except BlockingIOError:
            return False
        return True

    running.turn_until(answered)
    return answers[0].decode().strip()


def test_the_host_name_is_set_before_connecting(start):
    running = start(device__name="attic")
    calls = [call[0] for call in running.network.calls]
    assert ("hostname", "attic") in running.network.calls
    assert calls.index("hostname") < calls.index("connect")


def test_services_stop_and_start_with_the_network(start, collector):
    running = start()
    collector.settimeout(0)

    def got_a_line():
        try:
            return parse(collector.recv(2000).decode())
        except BlockingIOError:
            return None

    for _ in range(3):
        running.turn_until(lambda: running.control.port)
        client = Client(running.control.port)
        assert call(running, client, "ping") == "pong"
        running.turn_until(got_a_line)
        running.network.air["home"] = "STAT_NO_AP_FOUND"
        running.turn_until(lambda: not running.is_up)
        running.turn_until(lambda: running.control.clients == 0)
        running.turn_until(lambda: not running.app.pool.GetAllAsyncSockets())
        client.socket.setblocking(True)
        assert client.line() == ""
        assert running.control.port is None
        while got_a_line():
            pass
        for _ in range(100):
            running.clock.now += 500
            running.app.turn(0)
        assert not got_a_line()
        running.network.air["home"] = "ok"
        client.close()


def test_its_end_closes_all_sockets_and_disconnects(start):
    running = start()
    running.turn_until(lambda: running.control.port)
    XAsyncUDPDatagram.Create(running.app.pool, ("127.0.0.1", 0))  # a user's
    running.app.end()
    assert running.network.station.ssid is None and not running.is_up
    assert running.control.port is None and not running.app.pool.GetAllAsyncSockets()


def test_later_errors_are_reported_and_affect_nothing_else(start):
    running = start()
    running.app.pool.CallLater(0, lambda _: 1 / 0)
    running.turn_until(lambda: any("ZeroDivisionError" in entry["text"] for entry in running.app.log.tail(50)))
    running.turn_until(lambda: running.is_up)


def test_sequence_numbers_continue_after_a_lost_link(start, collector):
    running = start(telemetry__interval_s=1)
    sent = running.app.services.get("telemetry")
    running.turn_until(lambda: sent.seq >= 3)
    running.network.air["home"] = "STAT_NO_AP_FOUND"
    running.turn_until(lambda: not running.is_up)
    running.network.air["home"] = "ok"
    running.turn_until(lambda: sent.seq >= 6)
    assert [parse(collector.recv(2000).decode())[2]["seq"] for _ in range(6)] == list(range(6))


def test_signal_strength_and_chip_temperature_are_measured(start, collector):
    start_of = start()
    start_of.turn_until(lambda: start_of.app.services.get("telemetry").seq)
    assert parse(collector.recv(2000).decode())[2]["wifi_rssi"] == -61


def test_the_interval_varies_by_the_jitter(start):
    running = start(telemetry__interval_s=10, telemetry__jitter=0.5)
    telemetry = running.app.services.get("telemetry")
    running.turn_until(lambda: telemetry.seq)
    gaps = []
    for chance in (0, 0.5, 1):
        running.app.random = lambda chance=chance: chance
        for _ in range(2):
            start_ms, seq = running.clock.now, telemetry.seq
            running.turn_until(lambda seq=seq: telemetry.seq > seq)
        gaps.append(round((running.clock.now - start_ms) / 1000))
    assert gaps == [5, 10, 15]


def test_many_readings_are_split_into_several_lines(start, collector):
    running = start(telemetry__interval_s=1)

    class Sensor:
        def __init__(self, number):
            self.name = f"sensor{number}"

        def read(self):
            return {f"a_field_with_a_long_name_{index}": index for index in range(10)}

    for number in range(12):
        running.app.sensors.add(Sensor(number))
    telemetry = running.app.services.get("telemetry")
    before = telemetry.seq
    running.turn_until(lambda: telemetry.seq >= before + 8)
    fields = {}
    for _ in range(telemetry.seq):
        datagram = collector.recv(5000)
        assert len(datagram) <= 1400
        fields.update(parse(datagram.decode())[2])
    assert len([name for name in fields if name.startswith("sensor")]) == 120


def test_a_configured_sensor_cannot_use_a_reserved_pin(start):
    parts = [{"name": "wrong", "pin": 1}, {"name": "right", "pin": 2}]
    running = start(support=SimpleNamespace(RESERVED_PINS=(0, 1)), sensors__adc=parts)
    assert running.app.sensors.read("right") == {"value": 0}
    with pytest.raises(OSError):
        running.app.sensors.read("wrong")
    texts = [entry["text"] for entry in running.app.log.tail(50)]
    assert "wrong: ValueError: pin 1 belongs to the board itself" in texts


SOIL = """
class Sensor:
    name = "soil"
    tries = 0

    def __init__(self):
        Sensor.tries += 1
        if Sensor.tries < 3:
            raise OSError("no part")

    def read(self):
        return {"moisture": 0.5}
"""


def test_a_sensor_missing_at_the_start_is_found_later(start, tmp_path):
    (tmp_path / "sensors").mkdir()
    (tmp_path / "sensors" / "soil.py").write_text(SOIL)
    running = start(telemetry__interval_s=10)
    started = running.clock.uptime()
    assert "soil" in running.app.sensors.names()
    with pytest.raises(OSError, match="no"):
        running.app.sensors.read("soil")
    running.turn_until(lambda: "soil" in running.app.sensors.read_all())
    assert running.app.sensors.read("soil") == {"moisture": 0.5}
    assert running.clock.uptime() - started >= 30
    told = [entry["text"] for entry in running.app.log.tail(50) if "soil" in entry["text"]]
    assert told[-1] == "soil works again" and len(told) <= 3


@pytest.mark.parametrize("readings, kept", [
    ({"wide": {f"field_{index:02}": 1234567.25 for index in range(60)}}, 60),
    ({"texts": {f"text_{index}": "ü" * 300 for index in range(9)}}, 9),
    ({"text": {"long": "ü" * 700, "short": "ü" * 500}}, 1),
    ({"quoted": {"long": '"' * 700, "short": '"' * 500}}, 1),
])  # fmt: skip
def test_no_datagram_is_longer_than_documented(start, collector, readings, kept):
    tags = [f"tag{index}=ü, {'=' * 50}" for index in range(2)]
    running = start(telemetry__interval_s=1, device__tags=tags)
    telemetry = running.app.services.get("telemetry")
    running.turn_until(lambda: telemetry.seq)
    before = telemetry.seq
    for name, reading in readings.items():
        running.app.sensors.add(SimpleNamespace(name=name, read=lambda reading=reading: reading))
    running.turn_until(lambda: telemetry.seq >= before + 12)
    fields = {}
    for _ in range(telemetry.seq):
        datagram = collector.recv(5000)
        assert len(datagram) <= 1400
        fields.update(parse(datagram.decode())[2])
    assert sum(1 for key in fields if key.split("_")[0] in readings) == kept
    told = [entry["text"] for entry in running.app.log.tail(50) if "does not fit" in entry["text"]]
    assert len(told) == (1 if kept == 1 else 0)


def test_a_collector_with_an_unknown_name_delays_others_only_briefly(start, monkeypatch):
    lookups = []
    getaddrinfo = socket.getaddrinfo

    def slow(host, *args, **options):
        if host == "collector.invalid":
            lookups.append(host)
            raise socket.gaierror(-2, "unknown")
        return getaddrinfo(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    running = start(telemetry__collectors=["collector.invalid:9"], telemetry__interval_s=1)
    telemetry = running.app.services.get("telemetry")
    running.turn_until(lambda: telemetry.seq >= 30)
    assert len(lookups) == 1
    running.turn_until(lambda: telemetry.seq >= 100)
    assert 2 <= len(lookups) <= 3
    texts = [entry["text"] for entry in running.app.log.tail(50)]
    assert texts.count("collector.invalid:9 cannot be reached") == 1


def test_a_service_with_missing_files_is_reported(start, monkeypatch):
    """This happens on a board that got its files before its settings enabled the page."""
    monkeypatch.setitem(sys.modules, "firmware.web", None)
    running = start(http__enabled=True)
    texts = [entry["text"] for entry in running.app.log.tail(50)]
    assert "firmware.web is not on this board; make deploy installs it, with these settings" in texts
    assert running.app.services.get("http") is None and running.app.services.get("control")


def test_a_sensor_whose_driver_is_not_on_the_board_is_reported(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "firmware.sensors.dht22", None)
    running = start(sensors__dht22=[{}])
    texts = [entry["text"] for entry in running.app.log.tail(50)]
    told = "firmware.sensors.dht22 is not on this board; make deploy installs it, with these settings"
    assert any(told in text for text in texts), texts


def test_a_silent_name_server_delays_nothing(start, monkeypatch):
    """If the port knows its name server, as a chip does, nothing ever waits for getaddrinfo()."""
    getaddrinfo = socket.getaddrinfo

    def of_addresses(host, *args, **options):
        assert host.replace(".", "").isdigit(), "it would wait for the name server"
        return getaddrinfo(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", of_addresses)
    monkeypatch.setattr(FakeNetwork, "ipconfig", lambda network, name: "127.0.0.1", raising=False)
    names = {"telemetry__collectors": ["collector.invalid:9"], "network__ntp": "time.invalid"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:  # this computer may have a name server of its own
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setattr("firmware.network.names._PORT", silent.getsockname()[1])
        running = start(telemetry__interval_s=1, **names)
        running.turn_until(lambda: running.app.services.get("telemetry").seq >= 30)
    texts = [entry["text"] for entry in running.app.log.tail(50)]
    assert {f"{name}: 127.0.0.1 does not answer" for name in ("collector.invalid", "time.invalid")} <= set(texts)
    assert not any("would wait" in text for text in texts)
