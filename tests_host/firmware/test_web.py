"""The web server, over real sockets: routes, refusals, places, sessions, events and metrics."""

import contextlib
import gzip
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from free_ports import free_port
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image import PATIENCE_S, QUIET, ROOT, BoardProcess, loopback, proof, until

sys.path.append(str(ROOT))
from tools import page  # noqa: E402

JSON = {"Content-Type": "application/json", "X-Board": "1"}
PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
PLACES = 6
STREAMS = 3
TOKEN = QUIET["control"]["token"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A running board that many tests share."""
    process = BoardProcess(tmp_path_factory.mktemp("board"))
    process.configure(device={"name": "kitchen"})
    process.start()
    yield process
    process.end()


def connect(port, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S, (source, 0))


def exchange(port, data):
    """Send `data` and then end sending. Return everything that the server answers."""
    with connect(port) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def everything(connection):
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            found += piece
    return found


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def ask(port, method, path, body=None, **headers):
    """Send a request with Python's own client. Return (status, headers, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, PATIENCE_S)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Page:
    """A client of /rpc that behaves like the page."""

    def __init__(self, port):
        self.port = port
        self.session = None

    def call(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {**JSON, **({"X-Session": self.session} if self.session else {})}
        found, _, body = ask(self.port, "POST", "/rpc", json.dumps(request), **headers)
        assert found == 200
        return json.loads(body)

    def result(self, method, **params):
        answer = self.call(method, **params)
        assert "result" in answer, answer
        return answer["result"]

    def login(self, token=TOKEN):
        challenge = self.result("auth.challenge")
        self.session = challenge["session"]
        return self.call("auth.login", response=proof(token, "login", challenge))


class Events:
    """A client of /events."""

    def __init__(self, port, source="127.0.0.1"):
        self.socket = connect(port, source)
        self.socket.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.file = self.socket.makefile("rb")
        self.status = status(self.file.readline())
        self.head = self._lines()

    def _lines(self):
        """Yield the lines until an empty one."""
        lines = []
        while line := self.file.readline().decode().strip():
            lines.append(line)
        return lines

    def next(self, *names):
        """Return (name, data) of the next event with one of these names."""
        while True:
            fields = dict(line.split(": ", 1) for line in self._lines() if ": " in line)
            if fields.get("event") in names:
                return fields["event"], json.loads(fields["data"])

    def ended(self):
        with contextlib.suppress(ConnectionError):
            while self.file.readline():
                pass
        return True

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# --- the page


def test_the_page_arrives_unchanged_and_is_cached(running):
    found, headers, body = ask(running.http_port, "GET", "/")
    assert found == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    text = gzip.decompress(body).decode()
    assert text == page.minified(page.SOURCE.read_text())
    assert "script-src 'sha256-" in headers["Content-Security-Policy"] and len(body) <= page.MOST_BYTES
    found, again, body = ask(running.http_port, "GET", "/", If_None_Match=headers["ETag"])
    assert (found, body, again["ETag"]) == (304, b"", headers["ETag"])


def test_curl_gets_it_and_calls_a_method(running):
    base = f"http://127.0.0.1:{running.http_port}"
    run = lambda *args: subprocess.run(["curl", "-sS", *args], capture_output=True, timeout=PATIENCE_S)  # noqa: E731
    assert run("--compressed", base + "/").stdout.startswith(b"<!DOCTYPE html>")
    headers = [word for name, value in JSON.items() for word in ("-H", f"{name}: {value}")]
    done = run(*headers, "-d", PING.decode(), base + "/rpc", base + "/rpc", "-w", "%{num_connects}\n")
    answers = done.stdout.decode().splitlines()
    assert json.loads(answers[0][:-1])["result"] == "pong" and [line[-1] for line in answers] == ["1", "0"], answers
    done = run(*headers, "-d", "x" * 100000, "-o", "/dev/null", "-w", "%{http_code}", base + "/rpc")
    assert done.stdout == b"413", done


def test_a_connection_takes_many_requests_even_pipelined(running):
    connection = http.client.HTTPConnection("127.0.0.1", running.http_port, PATIENCE_S)
    for _ in range(20):
        connection.request("POST", "/rpc", PING, JSON)
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["result"] == "pong"
    connection.close()
    request = b"GET /nothing HTTP/1.1\r\nHost: kitchen.local\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: kitchen\r\nConnection: close\r\n\r\n"
    assert exchange(running.http_port, request * 5 + last).count(b"HTTP/1.1 404 ") == 6


def test_many_clients_at_a_time_are_all_served(running):
    """Some clients find all places taken, and try again."""
    served, refused, threads = [], [], []

    def client():
        for _ in range(20):
            while True:
                found, _, body = ask(running.http_port, "GET", "/", Connection="close")
                if found == 200:
                    break
                assert found == 503
                refused.append(1)
                time.sleep(0.01)
            served.append(len(body))

    for _ in range(PLACES):
        threads.append(threading.Thread(target=client))
        threads[-1].start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(served) == PLACES * 20 and len(set(served)) == 1


# --- refusals

HOST = "Host: kitchen\r\n"
POST = "POST /rpc HTTP/1.1\r\n" + HOST
TYPE = "Content-Type: application/json\r\nX-Board: 1\r\n"
BODY = "Content-Length: 45\r\n\r\n" + PING.decode()
REFUSED = {
    "no request": ("hello\r\n\r\n", 400),
    "four words": ("GET / x HTTP/1.1\r\n" + HOST + "\r\n", 400),
    "another protocol": ("GET / HTTP/2.0\r\n" + HOST + "\r\n", 400),
    "a proxy's request": ("GET http://kitchen/ HTTP/1.1\r\n" + HOST + "\r\n", 400),
    "no host": ("GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": ("GET / HTTP/1.1\r\n" + HOST + HOST + "\r\n", 400),
    "a header without colon": ("GET / HTTP/1.1\r\n" + HOST + "nonsense\r\n\r\n", 400),
    "a folded header": ("GET / HTTP/1.1\r\n" + HOST + "A: b\r\n c: d\r\n\r\n", 400),
    "a space before the colon": ("GET / HTTP/1.1\r\n" + HOST + "Content-Length : 0\r\n\r\n", 400),
    "a length that is no number": (POST + "Content-Length: -1\r\n\r\n", 400),
    "two lengths": (POST + "Content-Length: 0\r\nContent-Length: 45\r\n\r\n", 400),
    "a body that is not UTF-8": (POST + TYPE + "Content-Length: 1\r\n\r\n\udcff", 400),
    "a page of another site": (POST + TYPE + "Sec-Fetch-Site: cross-site\r\n" + BODY, 403),
    "... of a sibling": (POST + TYPE + "Sec-Fetch-Site: same-site\r\n" + BODY, 403),
    "... by its origin": (POST + TYPE + "Origin: http://evil.example\r\n" + BODY, 403),
    "... without one": (POST + TYPE + "Origin: null\r\n" + BODY, 403),
    "a form": (POST + "Content-Type: application/json\r\n" + BODY, 403),
    "events for another site": ("GET /events HTTP/1.1\r\n" + HOST + "Origin: http://evil.example\r\n\r\n", 403),
    "no such page": ("GET /index.html HTTP/1.1\r\n" + HOST + "\r\n", 404),
    "a method of a page": ("GET /rpc HTTP/1.1\r\n" + HOST + "\r\n", 405),
    "a method of none": ("PUT / HTTP/1.1\r\n" + HOST + "Content-Length: 1\r\n\r\nx", 405),
    "no length": (POST + TYPE + "\r\n", 411),
    "chunks": (POST + TYPE + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    "chunks and a length": (POST + TYPE + "Transfer-Encoding: chunked\r\n" + BODY, 411),
    "a long body": (POST + TYPE + "Content-Length: 1025\r\n\r\n", 413),
    "an endless body": (POST + TYPE + "Content-Length: 99999999999999999999\r\n\r\n", 413),
    "a long path": ("GET /" + 600 * "a" + " HTTP/1.1\r\n" + HOST + "\r\n", 414),
    "text": (POST + "X-Board: 1\r\nContent-Type: text/plain\r\n" + BODY, 415),
    "another host": ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    "almost the host": ("GET / HTTP/1.1\r\nHost: kitchen.local.evil.example\r\n\r\n", 421),
    "a port that is none": ("GET / HTTP/1.1\r\nHost: kitchen:evil.example\r\n\r\n", 421),
    "another address": ("GET /events HTTP/1.1\r\nHost: 198.51.100.1\r\n\r\n", 421),
    "many headers": ("GET / HTTP/1.1\r\n" + HOST + "A: b\r\n" * 32 + "\r\n", 431),
    "a long header": ("GET / HTTP/1.1\r\n" + HOST + "A: " + 600 * "a" + "\r\n\r\n", 431),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_request_gets_its_status_and_a_text(running, name):
    text, wanted = REFUSED[name]
    answer = exchange(running.http_port, text.encode(errors="surrogateescape"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == wanted, answer
    assert answer.count(b"HTTP/1.1 ") == 1 and len(body) > 5 and b"text/plain" in head
    assert (b"Allow: " in head) is (wanted == 405)


@pytest.mark.parametrize("host", ["kitchen", "KITCHEN.local", "kitchen.local:8080", "localhost", "127.0.0.1:80"])
def test_the_boards_own_host_names_are_accepted(running, host):
    assert ask(running.http_port, "GET", "/metrics", Host=host)[0] == 200
    origin = {"Origin": f"http://{host}"}
    assert ask(running.http_port, "POST", "/rpc", PING, **{**JSON, "Host": host, **origin})[0] == 200


def test_32_headers_and_a_body_of_1_kb_are_served(running):
    more = "".join(f"X-{number}: a\r\n" for number in range(28))
    body = PING.decode().ljust(1024)
    data = POST + TYPE + more + f"Content-Length: {len(body)}\r\n\r\n{body}"
    with connect(running.http_port) as connection:
        connection.sendall(data.encode())
        assert status(connection.recv(4096)) == 200


@pytest.mark.parametrize("path", ["/", "/nothing", "/metrics"])
def test_an_answer_to_head_has_no_body(running, path):
    """Else the body would be read as the next answer."""
    head = f"HEAD {path} HTTP/1.1\r\n{HOST}\r\n"
    answer = exchange(running.http_port, (head + f"GET /nothing HTTP/1.1\r\n{HOST}\r\n").encode())
    first, second, body = answer.split(b"\r\n\r\n")
    assert status(first) in (404, 405) and int(re.search(rb"Content-Length: (\d+)", first)[1]) > 5
    assert status(second) == 404 and len(body) == int(re.search(rb"Content-Length: (\d+)", second)[1])


@pytest.mark.parametrize("text, wanted", [("nonsense\r\n", 400), (600 * "a" + "\r\n", 414)], ids=["wrong", "long"])
def test_a_request_after_head_is_answered_with_a_body(running, text, wanted):
    answer = exchange(running.http_port, f"HEAD /nothing HTTP/1.1\r\n{HOST}\r\n{text}".encode())
    _, head, body = answer.split(b"\r\n\r\n")
    assert status(head) == wanted and len(body) == int(re.search(rb"Content-Length: (\d+)", head)[1])


def test_expect_100_continue_is_answered(running):
    with connect(running.http_port) as connection:
        connection.sendall((POST + TYPE + "Expect: 100-continue\r\nContent-Length: 45\r\n\r\n").encode())
        assert status(connection.recv(100)) == 100
        connection.sendall(PING)
        assert status(connection.recv(4096)) == 200


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"GET / HTTP/1.1\r\n", b"POST /rpc HTTP/1.1\r\n", b"Host: kitchen\r\n", b"\r\n", b"\n", b"\0"]),
    st.sampled_from([b"Content-Length: 5\r\n", b"Content-Length: 999999\r\n", b"X-Board: 1\r\n", b"a" * 700, PING]),
), max_size=12))  # fmt: skip
def test_after_any_input_the_next_client_is_served(running, pieces):
    data = b"".join(pieces) + b"\r\n\r\nGET /\r\n\r\n"
    answer = b""
    with contextlib.suppress(ConnectionError), connect(running.http_port) as connection:
        connection.sendall(data)
        answer = connection.recv(65536)
    for found in re.findall(rb"^HTTP/1.1 (\d+) ", answer):
        assert int(found) in (200, 400, 403, 404, 405, 408, 411, 413, 414, 415, 421, 431), answer
    assert ask(running.http_port, "POST", "/rpc", PING, **JSON)[0] == 200
    assert "Traceback" not in running.text


# --- places and deadlines


def test_the_seventh_client_gets_an_error_and_is_served_when_one_has_left(board):
    board.start()
    port = board.http_port
    source = [loopback(number) for number in range(2, 8)]
    busy = [connect(port, one) for one in source]
    for one in busy:
        one.sendall(b"GET / HTTP/1.1\r\nHost: ")
    until(lambda: clients(board) == PLACES)
    assert clients(board) == PLACES  # by now the board has read what they sent: none of them is idle
    found, headers, body = ask(port, "GET", "/")
    assert (found, headers["Retry-After"]) == (503, "1") and b"at most 6" in body
    busy[0].close()
    until(lambda: ask(port, "GET", "/")[0] == 200)
    for one in busy:
        one.close()


def clients(board):
    """Return the number of the web server's connections, as the control server reports it."""
    with board.client() as client:
        return client.result("info")["http_clients"]


def test_an_idle_connection_makes_room_for_a_new_one(board):
    board.start()
    idle = [connect(board.http_port) for _ in range(PLACES)]
    for _ in range(PLACES * 2):
        assert ask(board.http_port, "GET", "/metrics")[0] == 200
    for one in idle:
        one.close()


def test_one_address_cannot_take_all_places(board):
    board.start()
    busy = [connect(board.http_port, loopback(2)) for _ in range(PLACES)]
    for one in busy:
        one.sendall(b"GET / HTTP/1.1\r\n")
    until(lambda: clients(board) == PLACES)
    assert clients(board) == PLACES  # by now the board has read what they sent: none of them is idle
    assert ask(board.http_port, "GET", "/")[0] == 200
    for one in busy:
        one.close()


def test_an_incomplete_request_gets_an_error_after_ten_seconds(running):
    start = time.monotonic()
    with connect(running.http_port) as head, connect(running.http_port) as body:
        head.sendall(b"GET / HTTP/1.1\r\nHost:")
        body.sendall((POST + TYPE + BODY).encode()[:-1])
        assert status(everything(head)) == status(everything(body)) == 408
    assert 9.5 < time.monotonic() - start < 20


FAILS_ONCE = """
import sys

class Service:
    def start(self, app):
        self.app = app
        app.http.add("POST", "/fail", self.fail)

    def fail(self, request):
        module, kind, method = request.query.split("/")
        kind = getattr(__import__(module, None, None, (kind,)), kind)
        works = getattr(kind, method)

        def fails(*args):
            setattr(kind, method, works)
            raise MemoryError("no memory")

        setattr(kind, method, fails)
        request.answer(200, "text/plain", "it fails once")
"""


def test_deadlines_go_on_after_one_that_there_was_no_memory_for(board):
    """Neither it nor any later connection keeps its place for ever."""
    board.write("services/faults.py", FAILS_ONCE)
    board.start()
    port = board.http_port
    assert ask(port, "POST", "/fail?firmware.web.request/Request/pass_second", b"")[0] == 200
    with connect(port) as first:
        first.sendall(b"GET / HTTP/1.1\r\n")
        assert everything(first) == b""
        with connect(port) as second:
            second.sendall(b"GET / HTTP/1.1\r\n")
            assert status(everything(second)) == 408
    until(lambda: clients(board) == 0)


def test_a_port_in_use_is_reported_and_tried_again(board):
    port = free_port()  # outside of the range for connections, so that nothing else takes it
    with socket.create_server(("127.0.0.1", port)):
        board.configure(http={"port": port})
        board.start()
        board.wait_for(f"http: error: http.port {port}: ")
        assert board.port
    until(lambda: _answers(port))


def _answers(port):
    with contextlib.suppress(OSError):
        return ask(port, "GET", "/")[0] == 200
    return False


# --- methods


def test_a_batch_and_a_notification(running):
    batch = json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0", "id": 2, "method": "none"}])
    found, _, body = ask(running.http_port, "POST", "/rpc", batch, **JSON)
    assert found == 200 and [one.get("result") for one in json.loads(body)] == ["pong", None]
    assert ask(running.http_port, "POST", "/rpc", '{"jsonrpc": "2.0", "method": "ping"}', **JSON)[0] == 204
    found, _, body = ask(running.http_port, "POST", "/rpc", "no JSON", **JSON)
    assert found == 200 and json.loads(body)["error"]["code"] == -32700


def test_a_login_gives_write_access_to_its_session_only(board):
    board.start()
    client = Page(board.http_port)
    assert client.call("gpio.write", pin=2, value=1)["error"]["code"] == -32001
    assert client.login()["result"] is True
    assert client.result("gpio.write", pin=2, value=1) is True
    for session in (None, "", "0" * 32):
        other = Page(board.http_port)
        other.session = session
        assert other.call("gpio.write", pin=2, value=0)["error"]["code"] == -32001
        assert other.result("gpio.read", pin=2) == 1


def test_five_logins_leave_the_last_four(board):
    board.start()
    pages = [Page(board.http_port) for _ in range(5)]
    for one in pages:
        assert one.login()["result"] is True
    for _ in range(10):  # sessions without a login do not replace others
        Page(board.http_port).result("auth.challenge")
    can = ["result" in one.call("gpio.write", pin=2, value=1) for one in pages]
    assert can == [False, True, True, True, True]


def test_a_wrong_token_makes_its_address_wait_over_http_and_tcp(board):
    board.start()
    client = Page(board.http_port)
    assert "try again in 1 s" in client.login("a wrong token")["error"]["message"]

    def both_wait():
        """On a busy computer the second may be over; the next wrong token makes it two."""
        with board.client() as other:
            answers = client.call("auth.challenge"), other.call("auth.challenge")
        wait = all("too many failures" in answer.get("error", {}).get("message", "") for answer in answers)
        return wait or client.login("a wrong token") is None

    until(both_wait)


def test_the_request_rate_is_shared_by_http_and_tcp(board):
    board.configure(control={"requests_per_s": 2})
    board.start()
    client = Page(board.http_port)
    assert [client.result("ping") for _ in range(2)] == ["pong", "pong"]
    with board.client() as other:
        until(lambda: [one.call("ping").get("error", {}).get("code") for one in (client, other)] == [-32002, -32002])


def test_there_is_no_method_for_readings_over_http(running):
    assert "/events" in Page(running.http_port).call("telemetry.subscribe")["error"]["message"]


def test_an_update_over_http(board):
    board.start()
    client = Page(board.http_port)
    client.login()
    assert client.result("update.status")
    first = client.result("auth.challenge")
    assert first["session"] == client.session


# --- events


def test_a_client_gets_the_network_readings_and_the_log(board):
    board.configure(network={"announce": 0})
    board.start()
    with Events(board.http_port) as events:
        assert events.status == 200 and "Content-Type: text/event-stream" in events.head
        name, data = events.next("network", "readings", "log")
        assert name == "network" and data["state"] == "up" and data["link"] == "host"
        name, data = events.next("readings")
        assert data["system"]["load_1m"] >= 0
        Page(board.http_port).login("a wrong token")
        name, entry = events.next("log")
        assert entry["level"] == "warning" and "wrong answer" in entry["text"] and entry["source"] == "control"


@pytest.mark.parametrize("configured", [{"enabled": False}, {}])
def test_readings_arrive_even_without_telemetry_over_http_and_tcp(board, configured):
    board.configure(telemetry=configured)
    board.start()
    with Events(board.http_port) as events, board.client() as client:
        client.result("telemetry.subscribe")
        assert events.next("readings")[1]["system"]
        assert client.answer()["method"] == "telemetry"


def test_events_begin_again_if_there_was_no_memory_for_their_beginning(board):
    board.configure(network={"announce": 0})
    board.write("services/faults.py", FAILS_ONCE)
    board.start()
    port = board.http_port
    assert ask(port, "POST", "/fail?firmware.web.events/Events/_look_at_network", b"")[0] == 200
    assert ask(port, "GET", "/events")[0] == 500
    with Events(port) as events:
        assert events.next("network", "log", "readings")[1]["state"] == "up"
        Page(port).login("a wrong token")
        assert "wrong answer" in events.next("log")[1]["text"]
        assert events.next("readings")[1]["system"]


def test_three_clients_get_events_and_the_fourth_an_error(board):
    board.start()
    streams = [Events(board.http_port, loopback(2 + number)) for number in range(STREAMS)]
    with Events(board.http_port, loopback(9)) as fourth:
        assert fourth.status == 503
    assert all(one.next("readings") for one in streams)
    streams.pop().close()
    until(lambda: Events(board.http_port, loopback(9)).status == 200)
    for one in streams:
        one.close()


def test_a_reloaded_page_gets_every_event_once(board):
    board.configure(telemetry={"interval_s": 0.2}, network={"announce": 0})
    board.start()
    page = Page(board.http_port)
    Events(board.http_port).close()
    page.call("ping")
    with Events(board.http_port) as events:
        page.login("a wrong token")
        assert "wrong answer" in events.next("log")[1]["text"]
        assert events.next("log", "readings")[0] == "readings"


def test_one_address_cannot_take_all_places_for_events(board):
    board.start()
    streams = [Events(board.http_port, loopback(2)) for number in range(STREAMS)]
    with Events(board.http_port, loopback(3)) as other:
        assert other.status == 200 and other.next("readings")
    assert streams[0].ended()
    for one in streams:
        one.close()


def test_a_slow_reader_misses_events_and_delays_nobody(board):
    board.configure(telemetry={"interval_s": 0.1}, device={"tags": ["a=" + 40 * "b"]})
    board.start()
    slow = Events(board.http_port)
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    with Events(board.http_port) as events:
        for _ in range(20):
            assert events.next("readings")
    slow.close()


# --- routes of a user's services

SERVICE = """
class Service:
    def start(self, app):
        self.app = app
        app.http.add("GET", "/fails", lambda request: 1 / 0)
        app.http.add("POST", "/later", self.later)

    def later(self, request):
        self.app.pool.CallLater(0.1, self.answer, request)

    def answer(self, request):
        assert request.answer(200, "text/plain", request.path + "?" + request.query + " " + request.address)
        assert not request.answer(200, "text/plain", "twice")
"""


STREAM = """
class Service:
    def start(self, app):
        self.app = app
        self.left = 20
        app.http.add("GET", "/stream", self.stream)

    def stream(self, request):
        request.stream("text/plain", b"a" * 3000)
        self.push(request)

    def push(self, request):
        self.left -= 1
        request.push(b"b" * 10)
        if self.left:
            self.app.pool.CallLater(0 if self.left > 10 else 0.05, self.push, request)
        else:
            request.close()
"""


def test_pushed_data_follows_the_beginning_of_a_stream(board):
    """The beginning is sent in pieces, with nothing between them."""
    board.write("services/mine.py", STREAM)
    board.start()
    with connect(board.http_port) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        body = everything(connection).partition(b"\r\n\r\n")[2]
    assert re.fullmatch(b"a{3000}(b{10})+", body), body


def test_a_handler_may_fail_and_may_answer_later(board):
    board.write("services/mine.py", SERVICE)
    board.start()
    found, _, body = ask(board.http_port, "GET", "/fails")
    assert found == 500 and b"ZeroDivisionError" in body
    assert ask(board.http_port, "POST", "/later?a=b", b"body")[2] == b"/later?a=b 127.0.0.1"
    board.wait_for("http: warning: GET /fails: ZeroDivisionError")
    board.wait_for('services/mine.py", line')  # on the console, the place
    assert "AssertionError" not in board.text


# --- metrics


def test_promtool_accepts_the_metrics(running):
    if not shutil.which("promtool"):
        pytest.skip("no promtool: make test-host installs it")
    found, headers, body = ask(running.http_port, "GET", "/metrics")
    assert found == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), body.decode()


PROMETHEUS = """
scrape_configs:
- job_name: boards
  scrape_interval: 1s
  static_configs:
  - targets: ["127.0.0.1:{port}"]
"""


def test_a_prometheus_scrapes_the_board(running, tmp_path):
    if not shutil.which("prometheus"):
        pytest.skip("no prometheus: make test-host installs it")
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.format(port=running.http_port))
    port = free_port()
    options = (
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with open(tmp_path / "log.txt", "wb") as log:
        server = subprocess.Popen(["prometheus", *options], stdout=log, stderr=log)
    try:

        def found(query):
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{port}/api/v1/query?query={query}"
                with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                    return json.load(answer)["data"]["result"]
            return []

        until(lambda: found("xas_reading"))
        reading = {one["metric"]["field"]: float(one["value"][1]) for one in found("xas_reading{sensor='system'}")}
        assert reading["memory_total"] > 1e6 and reading["load_1m"] >= 0
        assert found("xas_build_info")[0]["metric"]["device"] == "kitchen"
    finally:
        server.kill()
        server.wait()
