"""The cost of the web server on the chip: heap, and instructions for a page and for a call."""

import hmac
import http.client
import json
import socket

import pytest

from tests_device.conftest import KIND, let_pass
from tests_device.test_firmware import ANSWER_SEC, FORGET, START_SEC, TOKEN, Control

ROUNDS = 4
TIMES = 10  # repetitions in one round, because the counter may be coarse
# Bytes of heap: the idle server, and a client of /events.
MOST_HEAP = 5000
MOST_OF_EVENTS = 1300
# Instructions for the page, and those for a call divided by those for the same call over TCP. Each has its own
# connection.
MOST_PAGE, MOST_CALL = (4000000, 1.3) if KIND == "PICO_W" else (7500000, 1.5)  # with PPP, each byte costs instructions
PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
CALL = (
    "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Board: 1\r\n"
    f"Content-Length: {len(PING)}\r\n\r\n{PING}"
).encode()
# The request that Chromium sends.
BROWSER = {
    "Connection": "keep-alive",
    "Cache-Control": "max-age=0",
    "DNT": "1",
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Sec-GPC": "1",
    "Priority": "u=0, i",
}


@pytest.fixture
def start(networked, board, device):
    """Starts the firmware with the web server on or off, and returns a connection to its control server."""
    opened = []

    def run(enabled):
        for one in opened:
            one.close()
        device.soft_reset()
        device.run(FORGET)
        settings = {**board.settings, "telemetry": {"interval_s": 1000}, "http": {"enabled": enabled}}
        settings["network"] = {**board.settings.get("network", {}), "announce": 0, "ntp": "", "probe_s": 0}
        settings["control"] = {"requests_per_s": 1000, "token": TOKEN}
        device.write_file("/config.json", json.dumps(settings).encode())
        device.run_firmware()
        opened.append(Control(board.address))
        return opened[-1]

    yield run
    print(device.console())
    for one in opened:
        one.close()


def used(control):
    """Return the smallest of some readings, because a single collection may leave something behind."""
    return min(control.call("gc")["used"] for _ in range(5))


def page(connection):
    connection.request("GET", "/", headers=BROWSER)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read()


def call(connection):
    """Send a call in one piece, as Chromium does."""
    connection.sendall(CALL)
    read_until(connection, b"pong")


def read_until(connection, text):
    answer = b""
    while text not in answer:
        piece = connection.recv(4096)
        assert piece, answer
        answer += piece


def connected(address, port, data):
    """Send one request on its own connection."""
    with socket.create_connection((address, port), ANSWER_SEC) as connection:
        connection.sendall(data)
        read_until(connection, b"pong")


def least(board, function):
    """Return the instructions of one call of `function`, the smallest number of some rounds."""
    costs = []
    for _ in range(ROUNDS):
        before = board.instruction_count
        for _ in range(TIMES):
            function()
        costs.append((board.instruction_count - before) // TIMES)
    return min(costs)


def test_a_setting_is_changed_by_the_page(start, board):
    """This method has the deepest call stack, and a chip's stack is short."""
    start(True)
    web = http.client.HTTPConnection(board.address, 80, timeout=ANSWER_SEC)
    session = None

    def ask(method, **params):
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        headers = {"Content-Type": "application/json", "X-Board": "1", **({"X-Session": session} if session else {})}
        web.request("POST", "/rpc", request, headers)
        answer = json.loads(web.getresponse().read())
        assert "result" in answer, answer
        return answer["result"]

    challenge = ask("auth.challenge")
    session = challenge["session"]
    key = hmac.digest(TOKEN.encode(), b"login", "sha256")
    signed = f"{challenge['board']} {challenge['nonce']}".encode()
    assert ask("auth.login", response=hmac.new(key, signed, "sha256").hexdigest()) is True
    networks = [{"ssid": "home", "password": "correct horse"}]
    assert "config.save" in ask("config.set", key="wifi.networks", value=networks)
    assert ask("config.get", key="wifi.networks")[0]["password"] == "***"
    web.close()


def test_the_cost_of_the_web_server(start, board):
    control = start(False)
    control.call("ping")
    off = used(control)
    control = start(True)
    control.call("ping")
    on = used(control)
    web = http.client.HTTPConnection(board.address, 80, timeout=ANSWER_SEC)
    size = len(page(web))
    per_page = least(board, lambda: page(web))
    per_call = least(board, lambda: call(web.sock))
    per_line = least(board, lambda: control.call("ping"))
    new_call = least(board, lambda: connected(board.address, 80, CALL))
    new_line = least(board, lambda: connected(board.address, 8095, PING.encode() + b"\n"))
    print(f"on a connection of its own: call {new_call:,}, line {new_line:,} ({new_call / new_line:.2f})")
    web.close()
    streams = []
    taken = []
    for _ in range(3):
        streams.append(socket.create_connection((board.address, 80), START_SEC))
        streams[-1].sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        read_until(streams[-1], b"retry")
        let_pass(board, 0.5)  # the objects of the request are garbage until the next collection
        taken.append(used(control))
    per_stream = max(taken[1] - taken[0], taken[2] - taken[1])
    for one in streams:
        one.close()
    print(f"\n{KIND}: heap {on - off} B idle, {per_stream} B for a client of /events ({off}, {on}, {taken})")
    print(f"page of {size} B {per_page:,} instructions, a call {per_call:,}, a line {per_line:,}")
    assert on - off <= MOST_HEAP and per_stream <= MOST_OF_EVENTS
    assert per_page <= MOST_PAGE and new_call <= MOST_CALL * new_line
