"""The image from a user's view: it boots, prints its addresses, sends, answers, and ends on Ctrl-C."""

import ipaddress
import json
import socket
import subprocess

import pytest
from free_ports import free_port
from influx import parse


def read_line(collector):
    return parse(collector.recv(2000).decode())


def test_the_image_sends_real_readings_as_line_protocol(board, collector):
    board.configure(
        device={"name": "test-1", "tags": ["room=back yard"]},
        telemetry={"broadcast": False, "interval_s": 0.1, "collectors": [f"127.0.0.1:{collector.getsockname()[1]}"]},
    )
    board.start()
    measurement, tags, fields = read_line(collector)
    assert measurement == "board"
    assert tags == {"device": "test-1", "room": "back yard"}
    with open("/proc/meminfo") as meminfo:
        total = int(meminfo.readline().split()[1]) * 1024
    assert fields["system_memory_total"] == total
    assert 0 < fields["system_memory_available"] <= total
    assert fields["system_load_1m"] >= 0
    assert fields["heap_free"] > 0
    later = [read_line(collector)[2] for _ in range(5)]
    assert [line["seq"] for line in later] == list(range(fields["seq"] + 1, fields["seq"] + 6))
    assert all(line["uptime"] >= fields["uptime"] for line in later)


def test_it_broadcasts_on_the_subnet(board):
    board.configure(telemetry={"interval_s": 0.1, "broadcast": True, "port": free_port()})
    board.start()
    told = board.wait_for(r"telemetry  UDP to ([\d.]+):").group(1)
    with board.client() as client:
        status = client.result("net.status")
    network = ipaddress.ip_interface("{address}/{netmask}".format(**status)).network
    assert told == str(network.broadcast_address)


@pytest.mark.parametrize("telemetry", [{"enabled": False, "broadcast": True}, {"broadcast": False}])
def test_telemetry_without_a_receiver_is_not_shown(board, telemetry):
    board.configure(telemetry={"port": free_port(), **telemetry})
    board.start()
    assert board.port and "telemetry  UDP" not in board.text


def test_a_port_of_another_program_is_reported_and_not_offered(board):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        board.configure(control={"port": port})
        board.start()
        board.wait_for(f"control: error: control.port {port}: .*EADDRINUSE")
        board.interrupt()
        assert board.wait() == 0
    assert "control    TCP" not in board.text and "Traceback" not in board.text


def test_the_three_first_methods_answer(board):
    board.start()
    with board.client() as client:
        assert client.result("ping") == "pong"
        info = client.result("info")
        assert info["board"] == "UNIX"
        assert info["services"]["telemetry"] == "running"
        assert info["address"] == client.result("net.status")["address"] != ""
        assert client.result("sensor.read", name="system")["memory_total"] > 0
        assert "heap" in client.result("sensor.read")


def test_the_printed_commands_work_as_printed(board):
    telemetry = {"interval_s": 0.1, "broadcast": True, "port": free_port()}
    board.configure(control={"port": 0, "token": ""}, telemetry=telemetry)
    board.start()
    board.port
    board.wait_for("sensor.read")
    commands = [line.strip() for line in board.output if line.startswith("  python3")]
    assert len(commands) == 3
    listened, info, reading = [
        subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20).stdout for command in commands
    ]
    assert parse(listened.rstrip("\n") + "\n")[0] == "board"
    assert "version: " in info
    assert json.loads(reading)["result"]["system"]["memory_total"] > 0


def test_a_configured_sensor_is_read_and_one_that_is_not_wanted_is_not(board):
    board.configure(sensors={"adc": [{"name": "light", "pin": 4, "scale": 200}], "off": ["heap"]})
    board.start()
    with board.client() as client:
        client.login()
        client.result("pwm.set", pin=4, duty=0.25)
        readings = client.result("sensor.read")
    assert round(readings["light"]["value"]) == 50
    assert "heap" not in readings and "system" in readings


NUMBERS = """
class Sensor:
    name = "numbers"

    def read(self):
        return {"computed": 803 * 0.01, "sum": 0.1 + 0.2, "large": 123456789.123, "whole": 21.0, "integer": 24562929664}
"""


def test_numbers_have_the_same_digits_everywhere(board, collector):
    board.write("sensors/numbers.py", NUMBERS)
    board.configure(
        telemetry={"broadcast": False, "interval_s": 0.1, "collectors": [f"127.0.0.1:{collector.getsockname()[1]}"]}
    )
    board.start()
    digits = {"computed": "8.03", "sum": "0.3", "large": "123456789.123", "whole": "21", "integer": "24562929664"}
    line = collector.recv(2000).decode()
    with board.client() as client:
        client.send('{"jsonrpc": "2.0", "id": 1, "method": "sensor.read", "params": ["numbers"]}')
        answer = client.line()
        client.send("sensor.read numbers")
        plain = [client.line() for _ in digits]
    for name, text in digits.items():
        assert f"numbers_{name}={text}," in line
        assert f'"{name}": {text}' in answer
        assert f"{name}: {text}" in plain


def test_the_log_s_last_lines(board):
    board.start()
    with board.client() as client:
        lines = client.result("log.tail")
        assert {"uptime", "level", "source", "text"} == set(lines[0]) and 1 < len(lines) <= 20
        assert client.result("log.tail", count=1) == lines[-1:]
        assert client.result("log.tail", count=100) == lines
        for count in (0, 101, True, "x"):
            assert client.error("log.tail", count=count)["message"] == "count: 1 to 100"


def test_ctrl_c_ends_it_cleanly(board):
    board.start()
    with board.client() as client:
        client.result("ping")
        board.interrupt()
        assert board.wait() == 0
        assert client.line() == ""
    assert "Traceback" not in board.text


def test_plain_words_for_a_person(board):
    board.start()
    with board.client() as client:
        client.send("ping")
        assert client.line() == "pong"
        client.send("gpio.read pin=3")
        assert client.line() == "0"
        client.send("gpio.read pin=300")
        assert client.line() == "error: no such pin: gpio.pins lists them"
        client.send("gpio.raed pin=3")
        assert client.line() == "error: no method 'gpio.raed'; help lists them"
        client.send("sensor.read celler")
        assert client.line() == "error: unknown: celler; there are system, heap"
        client.send("config.get network.order")
        assert [client.line() for _ in range(4)] == ["lan", "wifi", "ppp", "host"]
        client.send("config.get wifi.networks")
        assert client.line() == "none"
        client.send("config.get ap")
        assert [client.line() for _ in range(4)] == ["channel: 6", "enabled: true", "password: ", "ssid: "]
