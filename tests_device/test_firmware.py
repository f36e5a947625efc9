"""The firmware's services on the board, from this computer."""

import hmac
import json
import socket
import time

import pytest

from tests_device.conftest import KIND

CONTROL_PORT = 8095
START_SEC = 40  # boot, network, services; an emulator on a busy computer takes its time
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
    """A TCP connection, as soon as the board accepts one."""
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
    """The firmware runs, with nothing but its defaults."""
    device.soft_reset()
    device.run(FORGET)
    device.write_file("/config.json", json.dumps(board.settings).encode())
    device.run_firmware()
    yield board
    print(device.console())  # shown where a test has failed
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
    """The firmware, started anew with these settings."""
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
    assert "chip_celsius=3" in lines or "celsius=3" in lines, lines


def test_wired_sensors_are_read(firmware, device):
    """A DS18B20 and a BME280 on the board's pins, by the firmware's own drivers."""
    firmware.attach_sensor("ds18b20", pin=15)
    firmware.set_sensor("ds18b20", temperature=-12.5)
    firmware.attach_sensor("bme280", bus=0)
    firmware.set_sensor("bme280", temperature=23.4, humidity=56.0, pressure=987.6)
    sensors = {"ds18b20": [{"pin": 15}], "bme280": [{"bus": 0, "sda": 4, "scl": 5}]}
    restart_with(firmware, device, {"sensors": sensors, "telemetry": {"interval_s": 0.5}})
    control = Control(firmware.address)
    assert reading(control, "ds18b20")["celsius"] == pytest.approx(-12.5, abs=0.1)
    climate = reading(control, "bme280")
    assert climate["celsius"] == pytest.approx(23.4, abs=0.1)
    assert sorted(climate.values()) == pytest.approx([23.4, 56.0, 98760], rel=0.01)
    control.close()
    for name in ("ds18b20", "bme280"):
        firmware.detach_sensor(name)


def reading(control, name):
    """A sensor's reading, as soon as there is one: it takes its time to measure."""
    deadline = time.monotonic() + START_SEC
    while True:
        entry = next(entry for entry in control.call("sensor.list") if entry["name"] == name)
        if entry["reading"] or time.monotonic() > deadline:
            return entry["reading"]
        time.sleep(0.2)


def test_a_pin_is_switched_by_who_knows_the_token(firmware, device):
    restart_with(firmware, device, {"control": {"token": TOKEN}})
    control = Control(firmware.address)
    nonce = control.call("auth.challenge")
    nonce = nonce["nonce"] if isinstance(nonce, dict) else nonce
    control.call("auth.login", response=hmac.new(TOKEN.encode(), nonce.encode(), "sha256").hexdigest())
    firmware.watch_pin(OUTPUT)
    control.call("gpio.mode", pin=OUTPUT, mode="out")
    for level in (1, 0, 1):
        control.call("gpio.write", pin=OUTPUT, value=level)
        assert firmware.wait_event(5, event="pin", pin=OUTPUT, level=level)
        assert firmware.pin(OUTPUT) == control.call("gpio.read", pin=OUTPUT) == level
    control.close()


def test_the_chips_temperature_is_the_one_around_it(firmware, control):
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
