"""The image at a real mosquitto: status, readings, log, commands and pins, as docs/mqtt.md describes them."""

import json
import re
import socket
import subprocess

import pytest
from image import ROOT, until
from influx import parse
from mqtt_peers import Mosquitto, Watcher, kept

ROOT_TOPIC = "boards/attic/"


@pytest.fixture
def start(watcher, board, broker):
    """Start the board with these settings in `mqtt`, and wait until it is connected.

    The watcher ends last, because a board that is killed leaves its will.
    """

    def start(sections=None, **settings):
        settings = {"broker": f"127.0.0.1:{broker.port}", "discovery": False, **settings}
        board.configure(device={"name": "attic"}, mqtt=settings, **(sections or {}))
        board.start()
        board.wait_for("mqtt: connected to")
        watcher.wait(ROOT_TOPIC + "status", "online")
        return board

    return start


def call(watcher, method, **params):
    """Send a request over MQTT, and return the answer."""
    number = len(watcher.seen)
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    watcher.publish(ROOT_TOPIC + "rpc", json.dumps(request))
    answer = json.loads(watcher.wait(ROOT_TOPIC + "rpc/reply", start=number))
    assert answer["id"] == number
    return answer.get("result", answer.get("error"))


def test_readings_are_published_as_json_and_as_the_line_of_the_telemetry(start, watcher, collector):
    telemetry = {"interval_s": 0.2, "collectors": [f"127.0.0.1:{collector.getsockname()[1]}"]}
    board = start({"telemetry": telemetry}, telemetry=True)
    state = json.loads(watcher.wait(ROOT_TOPIC + "state"))
    assert state["system"]["memory_total"] > 0 and state["heap"]["free"] > 0 and state["uptime"] >= 0
    line = watcher.wait(ROOT_TOPIC + "telemetry") + "\n"
    number = parse(line)[2]["seq"]
    datagram = collector.recv(2000).decode()
    while parse(datagram)[2]["seq"] < number:
        datagram = collector.recv(2000).decode()
    assert datagram == line and parse(line)[1]["device"] == "attic"
    with board.client() as client:
        client.login()
        memory = client.result("sensor.read", name="system")["memory_total"]
        client.result("telemetry.set", key="enabled", value=False)
        assert client.result("telemetry.get")["targets"] == []
    seen = len(watcher.seen)
    assert json.loads(watcher.wait(ROOT_TOPIC + "state", start=seen))["system"]["memory_total"] == memory
    watcher.wait(ROOT_TOPIC + "telemetry", start=seen)
    collector.settimeout(1)
    with pytest.raises(socket.timeout):
        while True:
            collector.recv(2000)


def test_the_status_shows_whether_the_board_is_online(start, watcher, broker):
    board = start()
    assert kept(broker.port)[ROOT_TOPIC + "status"] == "online"
    board.kill()
    watcher.wait(ROOT_TOPIC + "status", "offline")
    assert kept(broker.port)[ROOT_TOPIC + "status"] == "offline"


def test_a_requested_restart_is_answered_and_disconnects_cleanly(start, watcher, broker):
    start(rpc=["reboot"])
    seen = len(watcher.seen)
    broker_log = len(broker.log.read_text())
    assert call(watcher, "reboot") is True
    watcher.wait(ROOT_TOPIC + "status", "offline", seen)
    watcher.wait(ROOT_TOPIC + "status", "online", seen)
    client = next(line for line in broker.log.read_text()[broker_log:].splitlines() if "Client xas" in line)
    assert client.endswith(" disconnected."), client  # a clean disconnect, so the status is not from the will


def test_the_log_is_published_from_its_level_on(start, watcher):
    board = start(log="warning", rpc=["no.method"])
    with board.client() as client:
        client.login("a wrong one")
    first = json.loads(watcher.wait(ROOT_TOPIC + "log"))
    assert first["text"] == "mqtt.rpc: there is no method no.method" and first["level"] == "warning"
    until(lambda: "wrong answer to a challenge" in watcher.payloads(ROOT_TOPIC + "log")[-1])
    assert len(watcher.payloads(ROOT_TOPIC + "log")) == 2


def test_earlier_log_lines_are_published_after_connecting(start, watcher):
    start(log="info")
    assert json.loads(watcher.wait(ROOT_TOPIC + "log"))["source"] == "boot"


def test_only_named_methods_can_be_called(start, watcher):
    start(rpc=["ping", "gpio.write", "gpio.read", "config.set"])
    assert call(watcher, "ping") == "pong"
    assert call(watcher, "gpio.write", pin=5, value=1) is True
    assert call(watcher, "gpio.read", pin=5) == 1
    for method in ("reboot", "auth.challenge", "telemetry.subscribe", "nonsense"):
        error = call(watcher, method)
        assert error == {"code": -32001, "message": f"mqtt.rpc does not name {method}"}
    error = call(watcher, "config.set", key="control.token", value="another token", proof="x")
    assert (error["code"], error["message"]) == (-32001, "no challenge is open: call auth.challenge first")
    assert call(watcher, "config.set", key="telemetry.interval_s", value=1).startswith("changed")


DEPTH = """
import micropython

class Service:
    def start(self, app):
        app.methods.add("depth", lambda session: micropython.stack_use())
"""


def test_methods_have_as_much_of_the_stack_as_by_tcp(start, watcher, board):
    """Stock MicroPython's is too short for config.set anywhere deeper."""
    board.write("services/mine.py", DEPTH)
    start(rpc=["depth"])
    with board.client() as client:
        assert call(watcher, "depth") <= client.result("depth")


def test_invalid_requests_are_answered_and_do_no_harm(start, watcher):
    board = start(rpc=["ping"])

    def answer(payload):
        seen = len(watcher.seen)
        watcher.publish(ROOT_TOPIC + "rpc", payload)
        return json.loads(watcher.wait(ROOT_TOPIC + "rpc/reply", start=seen))

    assert answer("{")["error"]["code"] == -32700
    assert answer("[]")["error"]["code"] == -32600
    ping = '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    assert [one["id"] for one in answer(f"[{ping}, {ping}]")] == [1, 1]
    watcher.publish(ROOT_TOPIC + "rpc", ping.replace('"id": 1, ', ""))  # a notification: no answer
    watcher.publish(ROOT_TOPIC + "rpc", '{"jsonrpc": "2.0", "id": 2, "method": "%s"}' % ("x" * 1100))
    board.wait_for("mqtt: warning: a message of .* was left out")
    replies = len(watcher.payloads(ROOT_TOPIC + "rpc/reply"))
    assert call(watcher, "ping") == "pong"
    assert len(watcher.payloads(ROOT_TOPIC + "rpc/reply")) == replies + 1
    assert len(watcher.payloads(ROOT_TOPIC + "status")) == 1  # it is still the first connection


def test_a_retained_request_is_ignored(start, board, watcher):
    watcher.publish(ROOT_TOPIC + "rpc", '{"jsonrpc": "2.0", "id": 1, "method": "reboot"}', retain=True)
    start(rpc=["reboot", "ping"])
    board.wait_for("mqtt: warning: a retained request on rpc is left out")
    assert call(watcher, "ping") == "pong"


def test_pins_show_their_real_level(start, watcher, broker):
    pins = [
        {"name": "lamp", "pin": 2},
        {"name": "door", "pin": 3, "mode": "in", "pull": "up"},
        {"name": "none", "pin": 99},
    ]
    board = start(pins=pins)
    board.wait_for(r"mqtt: error: mqtt.pins.2: no such pin: gpio.pins lists them")
    watcher.wait(ROOT_TOPIC + "pin/lamp", "0")
    watcher.wait(ROOT_TOPIC + "pin/door", "1")
    watcher.publish(ROOT_TOPIC + "pin/lamp/set", "1")
    watcher.wait(ROOT_TOPIC + "pin/lamp", "1")
    with board.client() as client:
        assert client.result("gpio.read", pin=2) == 1
        client.login()
        seen = len(watcher.seen)
        client.result("gpio.write", pin=2, value=0)
        watcher.wait(ROOT_TOPIC + "pin/lamp", "0", seen)
        client.result("gpio.mode", pin=3, mode="in", pull="down")
        watcher.wait(ROOT_TOPIC + "pin/door", "0", seen)
    for name, payload, reason in (
        ("lamp", "on", "b'on' is neither 0 nor 1"),
        ("door", "1", "mqtt.pins names no such output"),
        ("cellar", "1", "mqtt.pins names no such output"),
    ):
        seen = len(watcher.seen)
        watcher.publish(ROOT_TOPIC + f"pin/{name}/set", payload)
        board.wait_for(f"mqtt: warning: pin/{name}/set: {reason}")
    assert kept(broker.port, ROOT_TOPIC + "pin/") == {ROOT_TOPIC + "pin/lamp": "0", ROOT_TOPIC + "pin/door": "0"}


def test_setting_the_same_value_publishes_it_again(start, watcher):
    """A switch in Home Assistant has to return if its command had no effect."""
    start(pins=[{"name": "lamp", "pin": 2}])
    watcher.wait(ROOT_TOPIC + "pin/lamp", "0")
    for payload in ("0", "nonsense"):
        seen = len(watcher.seen)
        watcher.publish(ROOT_TOPIC + "pin/lamp/set", payload)
        watcher.wait(ROOT_TOPIC + "pin/lamp", "0", seen)


def test_after_a_broker_restart_everything_is_published_again(board, tmp_path):
    broker = own_broker(tmp_path, "allow_anonymous true")
    watcher = None
    try:
        board.configure(
            device={"name": "attic"},
            mqtt={"broker": f"127.0.0.1:{broker.port}", "rpc": ["ping"], "pins": [{"name": "lamp", "pin": 2}]},
        )
        board.start()
        board.wait_for("mqtt: connected to")
        watcher = Watcher(broker.port)
        watcher.wait("homeassistant/sensor/+/heap--used/config".replace("+", board_id(board)))
        entity = f"homeassistant/switch/{board_id(board)}/--lamp/config"
        until(lambda: {entity, ROOT_TOPIC + "state"} <= kept(broker.port).keys())
        before = set(kept(broker.port))
        watcher.stop()
        broker.kill()
        board.wait_for("mqtt: warning: .*:")
        lines = len(board.output)
        broker.start()  # it has no retained messages
        board.wait_for("mqtt: connected to", lines)
        watcher = Watcher(broker.port)
        watcher.wait(f"homeassistant/sensor/{board_id(board)}/heap--used/config")
        until(lambda: before <= kept(broker.port).keys())
        assert call(watcher, "ping") == "pong"
    finally:
        if watcher:
            watcher.stop()
        broker.kill()


def board_id(board):
    with board.client() as client:
        return "xas" + client.result("info")["id"]


def own_broker(folder, *lines):
    (folder / "broker").mkdir()
    return Mosquitto(folder / "broker", lines=lines)


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"tls": True}, r"mqtt: error: start: ValueError: mqtt.certificate: broker.pem: .*"),
        ({"user": "nobody", "password": "wrong"}, "mqtt: warning: .* is not allowed, next attempt in 5 minutes"),
    ],
)
def test_problems_are_reported(board, tmp_path, settings, told):
    broker = own_broker(tmp_path, "allow_anonymous false")
    try:
        board.configure(mqtt={"broker": f"127.0.0.1:{broker.port}", **settings})
        board.start()
        board.wait_for(told)
        with board.client() as client:
            assert client.result("ping") == "pong"
    finally:
        broker.kill()


def test_tls_with_the_broker_s_own_certificate(board, tmp_path):
    keys = ROOT / "tests_host" / "tls"
    broker = own_broker(
        tmp_path, "allow_anonymous true", f"certfile {keys}/server.crt", f"keyfile {keys}/server.key"
    )
    try:
        board.write("broker.pem", (keys / "server.crt").read_text())
        board.configure(mqtt={"broker": f"localhost:{broker.port}", "tls": True})
        board.start()
        board.wait_for("mqtt: connected to localhost")
        lines = len(board.output)
        board.kill()
        board.write("broker.pem", (keys / "elsewhere.crt").read_text())
        board.start()
        board.wait_for("mqtt: warning: localhost:.*", lines)
        assert "connected to" not in "".join(board.output[lines:])
    finally:
        broker.kill()


def test_the_access_rules_of_the_documentation_suffice(board, tmp_path):
    page = (ROOT / "docs" / "mqtt.md").read_text()
    rules = re.findall("^    (pattern .*)", page, re.MULTILINE)
    assert len(rules) == 4
    (tmp_path / "acl").write_text("\n".join(["user admin", "topic readwrite #", *rules, ""]))
    passwords = tmp_path / "passwords"
    passwords.touch()
    for user in ("admin", "attic"):
        subprocess.run(["mosquitto_passwd", "-b", passwords, user, "secret"], check=True, stderr=subprocess.DEVNULL)
    broker = own_broker(tmp_path, f"password_file {passwords}", f"acl_file {tmp_path}/acl")
    watcher = None
    try:
        watcher = Watcher(broker.port, "-u", "admin", "-P", "secret")
        watcher.publish("homeassistant/sensor/unix/old--value/config", "{}", retain=True)
        settings = {"user": "attic", "password": "secret", "client_id": "unix", "rpc": ["ping"]}
        pins = [{"name": "lamp", "pin": 2}]
        board.configure(
            device={"name": "attic"}, mqtt={"broker": f"127.0.0.1:{broker.port}", "pins": pins, **settings}
        )
        board.start()
        watcher.wait(ROOT_TOPIC + "status", "online")
        watcher.wait("homeassistant/switch/unix/--lamp/config")
        watcher.wait(ROOT_TOPIC + "state")
        assert call(watcher, "ping") == "pong"
        watcher.publish(ROOT_TOPIC + "pin/lamp/set", "1")
        watcher.wait(ROOT_TOPIC + "pin/lamp", "1")
        watcher.wait("homeassistant/sensor/unix/old--value/config", "")
        assert "does not let us" not in board.text
    finally:
        if watcher:
            watcher.stop()
        broker.kill()
