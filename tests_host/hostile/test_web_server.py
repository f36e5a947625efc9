"""Attacks on a board's web server: taking its places, requests that never end, split requests, false host names.

Meanwhile the control server answers everything soon, and no datagram of the telemetry is lost. The board is
the image of this computer. Each attack is limited in time.
"""

import contextlib
import http.client
import json
import re
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

FIRMWARE_TESTS = str(Path(__file__).resolve().parents[1] / "firmware")
if FIRMWARE_TESTS not in sys.path:
    sys.path.append(FIRMWARE_TESTS)

from image import PATIENCE_S, QUIET, BoardProcess, Client, loopback, until  # noqa: E402

PLACES = 6
ATTACK_S = 3
SLOWEST_S = 2.0  # longest answer time of the control server, on a busy computer
HEAD = b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-Board: 1\r\n"
PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
CALL = HEAD + b"Content-Length: %d\r\n\r\n" % len(PING) + PING


class Watch:
    """Sends requests to the control server all the time, and receives the telemetry."""

    def __init__(self, board, receiver):
        self.slowest = 0
        self.asked = 0
        self.sequence = []
        self._port = board.port
        self._receiver = receiver
        self._over = threading.Event()
        self._faults = []
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in (self._ask, self._receive)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        with contextlib.suppress(AssertionError):
            until(lambda: kind or self._faults or self.asked > 5 and len(self.sequence) > 5)
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        if kind:
            return
        assert not self._faults, self._faults
        assert self.asked > 5 and self.slowest < SLOWEST_S, (self.asked, self.slowest)
        first, last = self.sequence[0], self.sequence[-1]
        assert self.sequence == list(range(first, last + 1)) and len(self.sequence) > 1, self.sequence
        slowest_ms = round(self.slowest * 1000)
        print(f"{self.asked} requests, the slowest {slowest_ms} ms; {len(self.sequence)} datagrams, none lost")

    def _run(self, work):
        try:
            work()
        except Exception as error:
            self._faults.append(repr(error))

    def _ask(self):
        with Client(self._port) as client:
            while not self._over.is_set():
                start = time.monotonic()
                client.result("sensor.read")
                self.slowest = max(self.slowest, time.monotonic() - start)
                self.asked += 1
                time.sleep(0.01)

    def _receive(self):
        self._receiver.settimeout(5)
        while not self._over.is_set():
            line = self._receiver.recv(2000).decode()
            self.sequence.append(int(re.search(r"seq=(\d+)i", line)[1]))


@pytest.fixture
def attacked(tmp_path):
    """A board, its port, and a Watch that checks that other services still work."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        board = BoardProcess(tmp_path)
        collector = f"127.0.0.1:{receiver.getsockname()[1]}"
        board.configure(telemetry={"collectors": [collector], "interval_s": 0.1, "jitter": 0})
        board.start()
        with Watch(board, receiver):
            yield board.http_port
        assert "Traceback" not in board.text
        board.end()


def connect(port, number=1):
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S, (loopback(number), 0))


def is_served(port, number=1):
    """Return whether another client is served."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        client = http.client.HTTPConnection("127.0.0.1", port, 5, (loopback(number), 0))
        client.request("POST", "/rpc", PING, {"Content-Type": "application/json", "X-Board": "1"})
        answer = client.getresponse()
        body = answer.read()
        client.close()
        return answer.status == 200 and json.loads(body)["result"] == "pong"
    return False


def attack(seconds, work):
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            work()
        count += 1
    return count


def test_slow_headers_from_one_address_keep_nobody_out(attacked):
    slow = [connect(attacked, 2) for _ in range(PLACES + 2)]
    tries = served = 0

    def work():
        nonlocal tries, served
        for index, one in enumerate(slow):
            try:
                one.sendall(b"GET / HTTP/1.1\r\nA: b\r\n" if index % 2 else b"G")
            except OSError:
                slow[index] = connect(attacked, 2)
        tries += 1
        served += is_served(attacked, 3)
        time.sleep(0.05)

    attack(ATTACK_S, work)
    for one in slow:
        one.close()
    assert served > tries * 0.8, (served, tries)
    until(lambda: is_served(attacked))


def test_slow_headers_from_many_addresses_lose_their_places(attacked):
    addresses = range(2, 2 + PLACES)
    slow = {number: connect(attacked, number) for number in addresses}
    start = time.monotonic()
    lines = 0
    while not is_served(attacked, 20) or lines < 3:
        lines += 1
        for number in addresses:
            with contextlib.suppress(OSError):
                slow[number].sendall(b"A: b\r\n" if lines > 1 else b"GET / HTTP/1.1\r\n")
        assert time.monotonic() - start < 10
        time.sleep(0.1)
    for one in slow.values():
        one.close()


def test_endless_bodies_and_headers_and_lines(attacked):
    def endless(start, piece):
        with connect(attacked, 2) as connection:
            connection.sendall(start)
            for _ in range(200):
                connection.sendall(piece)

    starts = (HEAD + b"Content-Length: 999999999\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n", HEAD, b"GET /")
    pieces = (b"x" * 1000, b"400\r\n" + b"x" * 1024 + b"\r\n", b"A: b\r\n" * 100, b"a" * 1000)
    for start, piece in zip(starts, pieces):
        attack(ATTACK_S / 4, lambda start=start, piece=piece: endless(start, piece))
        until(lambda: is_served(attacked))


def test_a_thousand_connections(attacked):
    """All connect at once, and each sends a request as soon as it can."""
    addresses = [loopback(2 + number) for number in range(8)]
    held = []
    for number in range(1000):
        one = socket.socket()
        one.bind((addresses[number % 8], 0))
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", attacked))
        held.append(one)

    def work():
        for number, one in enumerate(held):
            with contextlib.suppress(OSError):
                one.send((CALL, b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET")[number % 3])
        time.sleep(0.05)

    attack(ATTACK_S, work)
    for one in held:
        one.close()
    until(lambda: is_served(attacked))


def test_a_request_split_at_every_byte(attacked):
    with connect(attacked) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(1, len(CALL)):
            connection.sendall(CALL[:at])
            time.sleep(0.001)  # otherwise the two pieces would be joined again
            connection.sendall(CALL[at:])
            answer = b""
            while b"pong" not in answer:
                piece = connection.recv(4096)
                assert piece, at
                answer += piece
    with connect(attacked) as connection:
        for byte in CALL:
            connection.sendall(bytes([byte]))
        assert b"pong" in connection.recv(4096)


def test_wrong_hosts_and_posts_of_other_sites_change_nothing(attacked):
    write = b'{"jsonrpc": "2.0", "id": 1, "method": "auth.challenge"}'
    length = b"Content-Length: %d\r\n\r\n" % len(write) + write
    wrong = [
        HEAD.replace(b"127.0.0.1", host) + length
        for host in (b"evil.example", b"127.0.0.1.evil.example", b"localhost.evil.example", b"10.0.0.1", b"@", b"[::1]")
    ] + [
        HEAD + line + b"\r\n" + length
        for line in (b"Origin: http://evil.example", b"Origin: null", b"Origin: http://127.0.0.1.evil.example",
                     b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Site: same-site")
    ] + [
        HEAD.replace(b"X-Board: 1\r\n", b"") + length,
        HEAD.replace(b"application/json", b"text/plain") + length,
        HEAD.replace(b"application/json", b"application/x-www-form-urlencoded") + length,
    ]  # fmt: skip
    for request in wrong:
        with connect(attacked) as connection:
            connection.sendall(request)
            answer = connection.recv(4096)
            assert int(answer.split(b" ")[1]) in (403, 415, 421) and b"nonce" not in answer, request
            assert b"Access-Control" not in answer


def test_busy_clients_in_all_places_keep_nobody_out(attacked):
    """The clients do nothing wrong, but send requests as fast as they can."""
    served = []

    def client(number):
        def work():
            if is_served(attacked, number):
                served.append(number)

        attack(ATTACK_S, work)

    threads = [threading.Thread(target=client, args=(2 + number,)) for number in range(PLACES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert set(served) == set(range(2, 2 + PLACES)), served
    assert QUIET["control"]["requests_per_s"] == 1000  # otherwise they would be refused for their rate


def test_clients_that_do_not_read_keep_nobody_out(attacked):
    deaf = []
    for path in (b"/", b"/metrics", b"/events") * 3:
        one = connect(attacked, 2)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        one.setblocking(False)
        request = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with contextlib.suppress(OSError):
            one.send(request * 200)
        deaf.append(one)
        until(lambda: is_served(attacked, 3))
    for one in deaf:
        one.close()
