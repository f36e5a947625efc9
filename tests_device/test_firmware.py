"""The firmware's services on the board, used from this computer."""

import contextlib
import hmac
import itertools
import json
import re
import socket
import threading
import time

import pytest

from tests_device.conftest import KIND
from tools.weigh.servers import Servers

CONTROL_PORT = 8095
START_SEC = 40  # for boot, network and services; an emulator on a busy computer is slow
ANSWER_SEC = 20
TOKEN = "opensesame"
OUTPUT = 16


class Control:
    """A connection to the board's control server."""

    def __init__(self, address, limit=START_SEC):
        self._socket = connect(address, limit)
        self._file = self._socket.makefile("r")
        self._number = 0

    def word(self, text):
        self._socket.sendall(text.encode() + b"\n")
        return self._file.readline().strip()

    def call(self, method, **params):
        self._number += 1
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self._file.readline())
        assert answer["id"] == self._number and "error" not in answer, answer
        return answer["result"]

    def close(self):
        self._file.close()
        self._socket.close()


def connect(address, limit):
    """Return a TCP connection as soon as the board accepts one."""
    deadline = time.monotonic() + limit
    while True:
        try:
            connection = socket.create_connection((address, CONTROL_PORT), 2)
            connection.settimeout(ANSWER_SEC)
            return connection
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


FORGET = """
import os
for name in os.listdir("/"):
    if name.endswith(".json"):
        os.remove(name)
"""


@pytest.fixture
def firmware(networked, board, device):
    """The firmware runs with its default settings."""
    device.soft_reset()
    device.run(FORGET)
    device.write_file("/config.json", json.dumps(board.settings).encode())
    device.run_firmware()
    yield board
    print(device.console())  # shown if a test has failed
    device.open()


@pytest.fixture
def control(firmware):
    connection = Control(firmware.address)
    yield connection
    connection.close()


def test_the_control_server_answers(control):
    assert control.word("ping") == "pong"
    facts = control.call("info")
    assert facts["board"] == KIND and facts["network"] == "up" and facts["safe_mode"] is None


def restart_with(board, device, settings):
    """Restart the firmware with these settings."""
    board_settings = {**board.settings, **settings}
    device.write_file("/config.json", json.dumps(board_settings).encode())
    device.run_firmware()


def test_telemetry_arrives(firmware, device):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((firmware.local_address, 0))
        receiver.settimeout(START_SEC)
        collector = f"{firmware.local_address}:{receiver.getsockname()[1]}"
        firmware.set_temperature(31.0)
        telemetry = {"interval_s": 0.5, "broadcast": False, "collectors": [collector]}
        restart_with(firmware, device, {"telemetry": telemetry})
        lines = receiver.recv(2000).decode()
    name = f"{KIND.lower().replace('_', '-')}-{firmware.number:06x}"
    assert all(f",device={name}," in line or f",device={name} " in line for line in lines.splitlines()), lines
    assert float(re.search(r"chip_celsius=([\d.]+)", lines)[1]) == pytest.approx(31, abs=1), lines


def test_wired_sensors_are_read(firmware, device):
    """The firmware's own drivers read a DS18B20 and a BME280 on the board's pins."""
    firmware.attach_sensor("ds18b20", pin=15)
    firmware.set_sensor("ds18b20", temperature=-12.5)
    firmware.attach_sensor("bme280", bus=0)
    firmware.set_sensor("bme280", temperature=23.4, humidity=56.0, pressure=987.6)
    sensors = {"ds18b20": [{"pin": 15}], "bme280": [{"bus": 0, "sda": 4, "scl": 5}]}
    restart_with(firmware, device, {"sensors": sensors, "telemetry": {"interval_s": 0.5}})
    control = Control(firmware.address)
    assert list(reading(control, "ds18b20").values()) == pytest.approx([-12.5], abs=0.1)
    climate = reading(control, "bme280")
    assert climate["celsius"] == pytest.approx(23.4, abs=0.1)
    assert sorted(climate.values()) == pytest.approx([23.4, 56.0, 98760], rel=0.01)
    control.close()
    for name in ("ds18b20", "bme280"):
        firmware.detach_sensor(name)


def test_a_removed_thermometer_affects_no_other_and_can_come_back(firmware, device):
    """Two DS18B20 are on one pin. One that was missing at the start is found later."""
    degrees = {"celsius_010000000000": -12.5, "celsius_020000000000": 30.0, "celsius_030000000000": 99.5}

    def attach(serial):
        name = f"thermometer{serial}"
        firmware.attach_sensor("ds18b20", name, pin=15, serial=serial)
        firmware.set_sensor(name, temperature=degrees[f"celsius_0{serial}0000000000"])

    def reads(*serials):
        expected = {f"celsius_0{serial}0000000000": degrees[f"celsius_0{serial}0000000000"] for serial in serials}
        deadline = time.monotonic() + START_SEC
        while True:
            entry = next(entry for entry in control.call("sensor.list") if entry["name"] == "ds18b20")
            if entry["reading"] == expected or time.monotonic() > deadline:
                assert entry["reading"] == expected, entry
                return entry["error"]
            time.sleep(0.2)

    attach(1)
    attach(2)
    restart_with(firmware, device, {"sensors": {"ds18b20": [{"pin": 15}]}, "telemetry": {"interval_s": 1}})
    control = Control(firmware.address)
    assert reads(1, 2) is None
    firmware.detach_sensor("thermometer1")
    assert reads(2) == "celsius_010000000000: OSError: it does not answer"
    attach(1)
    assert reads(1, 2) is None
    attach(3)
    assert reads(1, 2, 3) is None
    control.close()
    for serial in (1, 2, 3):
        firmware.detach_sensor(f"thermometer{serial}")


def test_reading_does_not_change_a_driven_pin(firmware, device):
    restart_with(firmware, device, {"control": {"token": TOKEN}})
    owner, anybody = Control(firmware.address), Control(firmware.address)
    log_in(owner)
    for pin in (OUTPUT, 26):
        owner.call("gpio.write", pin=pin, value=1)
        for method, name in itertools.product(("adc.read", "gpio.read"), (pin, f"GP{pin}", f"GPIO{pin}")):
            with contextlib.suppress(AssertionError):  # an error is an answer, too
                anybody.call(method, pin=name)
            assert firmware.pin(pin) == 1
    owner.call("gpio.mode", pin=26, mode="analog")
    firmware.set_voltage(0, 1.65)
    assert anybody.call("adc.read", pin="GP26") == pytest.approx(0.5, abs=0.01)
    for name in (0, "GP0", "GPIO0", 1, "GP1", "GPIO1"):
        with pytest.raises(AssertionError, match="belongs to the board itself"):
            anybody.call("gpio.read", pin=name)
    assert anybody.call("gpio.pins") == list(range(2, 30))
    owner.call("gpio.mode", pin=OUTPUT, mode="in")
    owner.close()
    anybody.close()


def test_numbers_show_no_rounding_errors(networked, board, device):
    """MicroPython 1.25 prints 0.96 as 0.9599999 and 0.97 as 0.9700001, in single precision."""
    device.soft_reset()
    device.run("from firmware import number_text")
    text = "number_text(number / {0})"
    wrong = f"[number for number in range(3000) if float({text}) != number / {{0}} or len({text}) > {{1}}]"
    assert device.value(wrong.format(100, 5)) == device.value(wrong.format(8, 7)) == []
    assert device.value("[number_text(value) for value in (100653.3, 24562929664, 100.0, 1e30)]") == [
        "100653.3", "24562929664", "100", "1e+30",
    ]  # fmt: skip


def reading(control, name):
    """Return a sensor's reading as soon as there is one, because measuring takes time."""
    deadline = time.monotonic() + START_SEC
    while True:
        entry = next(entry for entry in control.call("sensor.list") if entry["name"] == name)
        if entry["reading"] or time.monotonic() > deadline:
            return entry["reading"]
        time.sleep(0.2)


def log_in(control):
    challenge = control.call("auth.challenge")
    key = hmac.digest(TOKEN.encode(), b"login", "sha256")
    signed = f"{challenge['board']} {challenge['nonce']}"
    control.call("auth.login", response=hmac.new(key, signed.encode(), "sha256").hexdigest())


def test_switching_a_pin_needs_the_token(firmware, device):
    restart_with(firmware, device, {"control": {"token": TOKEN}})
    control = Control(firmware.address)
    log_in(control)
    firmware.watch_pin(OUTPUT)
    control.call("gpio.mode", pin=OUTPUT, mode="out")
    for level in (1, 0, 1):
        control.call("gpio.write", pin=OUTPUT, value=level)
        assert firmware.wait_event(5, event="pin", pin=OUTPUT, level=level)
        assert firmware.pin(OUTPUT) == control.call("gpio.read", pin=OUTPUT) == level
    control.close()


def test_the_chips_temperature_is_measured(firmware, control):
    for degrees in (10, 55):
        firmware.set_temperature(degrees)
        assert control.call("sensor.read", name="chip")["celsius"] == pytest.approx(degrees, abs=1)


def test_the_link_is_lost_and_comes_back(firmware, control):
    assert control.word("ping") == "pong"
    control.close()
    firmware.link.hang_up()
    assert firmware.link.wait_up(START_SEC), "the firmware has not called again"
    again = Control(firmware.address)
    assert again.word("ping") == "pong"
    again.close()


class SilentServers(Servers):
    """The name server knows one name, and is silent at first."""

    def __init__(self, address):
        self.asked = threading.Event()
        self.answers = threading.Event()
        super().__init__(address)

    def answer_name(self, question):
        if b"\x04time\x07example\x00" not in question:
            return None
        self.asked.set()
        return super().answer_name(question) if self.answers.is_set() else None


def test_a_silent_name_server_delays_nothing_and_the_time_is_set_later(firmware, device):
    server = SilentServers(firmware.local_address)
    settings = {"network": {"ntp": "time.example"}}
    device.write_file("/config.json", json.dumps(settings).encode())
    start = f"import network\nnetwork.ipconfig(dns={firmware.local_address!r})\nfrom firmware import boot\nboot.run()\n"
    device.write_file("/main.py", start.encode())
    device.run_firmware()
    assert server.asked.wait(START_SEC)
    control = Control(firmware.address)
    started = firmware.stats()["emulated_s"]
    for _ in range(10):
        assert control.word("ping") == "pong"
    assert firmware.stats()["emulated_s"] - started < 5, "lwIP's own look-up would have blocked it for longer"
    server.answers.set()
    deadline = time.monotonic() + START_SEC
    while not any(entry["source"] == "time" for entry in control.call("log.tail", count=20)):
        assert time.monotonic() < deadline, control.call("log.tail", count=20)
        time.sleep(0.2)
    control.close()
    device.open()
    device.run("import os; os.remove('/main.py')")
    assert abs(device.value("__import__('time').gmtime()[0]") - time.gmtime()[0]) <= 1
    device.close()


def test_a_compiled_service_of_the_users_runs(firmware, device, compiled, tmp_path):
    source = tmp_path / "greeter.py"
    source.write_text("class Service:\n def start(self, app):\n  app.methods.add('greet', lambda session: 'hello')\n")
    device.run("import os\ntry: os.mkdir('/services')\nexcept OSError: pass")
    device.write_file("/services/greeter.mpy", compiled(source))
    device.run_firmware()
    control = Control(firmware.address)
    assert control.call("greet") == "hello"
    control.close()
    device.open()
    device.run("import os; os.remove('/services/greeter.mpy'); os.rmdir('/services')")
    device.close()
