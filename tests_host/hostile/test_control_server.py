"""Attacks on a board's control server: taking its places, guessing its token, replaying a recording, writing into a
connection of the owner, and sending almost valid JSON.

The board is the image of this computer. An attacker with many addresses uses those of the loopback interface. Each
attack is limited in time; `pytest -s` shows what was tried. Attacks that take long are in
../firmware/test_control_limits.py, on a clock that the test sets.
"""

import base64
import hashlib
import json
import socket
import ssl
import time

import pytest
from image import PATIENCE_S, QUIET, BoardProcess, Client, loopback, proof

from tools.board.client import ControlClient

TOKEN = QUIET["control"]["token"]
OTHER_TOKEN = "a token of the attacker"
DENIED, TOO_MANY_REQUESTS, TOO_MANY_CLIENTS, NOT_JSON = -32001, -32002, -32003, -32700
PLACES = 4
HOLD_S = 20  # time for which an address may hold a place that others want
ATTACK_S = 4


# --- places


class Attacker:
    """An attacker with connections from some addresses."""

    def __init__(self, port, *numbers):
        self.port = port
        self.addresses = [loopback(number) for number in numbers]
        self.sockets = []
        self.tries = 0

    def connect(self, address=None):
        self.tries += 1
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S, (address or self.addresses[0], 0))
        self.sockets.append(client)
        return client

    def close(self):
        for client in self.sockets:
            client.close()
        self.sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def is_served(port, context=None):
    """Return whether the owner can connect, log in and change something."""
    try:
        with Client(port, context) as client:
            client.login()
            return client.result("gpio.write", pin=2, value=1) is True
    except (OSError, AssertionError, KeyError, ValueError):
        return False


def serve(port, seconds, context=None):
    """Try until the owner is served. Return the number of attempts."""
    start = time.monotonic()
    tries = 1
    while not is_served(port, context):
        assert time.monotonic() - start < seconds, f"not served in {tries} tries"
        tries += 1
        time.sleep(0.1)
    return tries


def test_silent_connections_from_one_address_keep_nobody_out(board):
    board.start()
    with Attacker(board.port, 2) as attacker:
        for _ in range(20):
            for _ in range(PLACES + 1):
                attacker.connect()
            assert serve(board.port, 5) <= 3
    print(f"{attacker.tries} silent connections from one address; the owner came in 20 times")


def test_unfinished_tls_handshakes_keep_nobody_out(tool, board, tmp_path):
    tool("certificate", "kitchen", "127.0.0.1", "--folder", tmp_path).wait()
    board.write("certificate.pem", (tmp_path / "kitchen.crt").read_text())
    board.write("key.pem", (tmp_path / "kitchen.key").read_text())
    board.start()
    port = int(board.wait_for(r"^control +TLS [\d.]+:(\d+)").group(1))
    context = ssl.create_default_context(cafile=str(tmp_path / "kitchen.crt"))
    with Attacker(port, *range(2, 8)) as attacker:
        for round_number in range(20):
            for number in range(PLACES + 2):  # one address in the first rounds, six in the others
                attacker.connect(attacker.addresses[number if round_number >= 10 else 0]).sendall(b"\x16\x03\x01\x02")
            tries = serve(port, HOLD_S, context)
            # Several addresses hold their places until they have held them for as long as the owner's handshakes took.
            assert tries <= 3 or round_number >= 10
    print(f"{attacker.tries} unfinished handshakes from 1 and from 6 addresses; the owner came in 20 times")


def test_four_addresses_that_reconnect_keep_nobody_out_for_long(board):
    """Each address closes its connection and connects again at once, before its time is over."""
    board.start()
    start = time.monotonic()
    served = None
    with Attacker(board.port, 2, 3, 4, 5) as attacker:
        held = {address: attacker.connect(address) for address in attacker.addresses}
        while time.monotonic() - start < HOLD_S + 2:
            for address in attacker.addresses:
                held[address].close()
                held[address] = attacker.connect(address)
                for _ in range(5):
                    if served is None and is_served(board.port):
                        served = time.monotonic() - start
                    time.sleep(0.2)
        print(f"4 addresses, {attacker.tries} connections: the owner was kept out for at most {served or HOLD_S:.0f} s")
        serve(board.port, 10)  # a busy computer lets them hold their places for less of the time
        for _ in range(5):  # their time is over, so from now on the owner is served at once
            for address in attacker.addresses:
                attacker.connect(address)
            assert serve(board.port, 5) <= 3


def test_clients_that_read_no_answers_keep_nobody_out(board):
    """These sessions have to end, but cannot, because their answers are still to be sent."""
    board.start()
    with Attacker(board.port, 2) as attacker:
        for _ in range(15):
            for _ in range(PLACES + 1):
                client = attacker.connect()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
                client.setblocking(False)
                try:
                    for _ in range(100):
                        client.send(b"help\n" * 100)
                except OSError:
                    pass
            assert serve(board.port, 5) <= 3
    print(f"{attacker.tries} connections that read nothing; the owner came in 15 times")


# --- requests


def test_reconnecting_gives_no_more_requests(board):
    board.configure(control={"requests_per_s": 20})
    board.start()
    source = loopback(2)
    start = time.monotonic()
    answered = connections = 0
    while time.monotonic() - start < 4:
        connections += 1
        with Client(board.port, source=source) as client:
            client.send(b"ping\n" * 40)
            client.socket.shutdown(socket.SHUT_WR)
            try:
                while line := client.line():
                    answered += line == "pong"
            except OSError:
                pass
    seconds = time.monotonic() - start
    print(f"{connections} connections with 40 requests each: {answered} answered in {seconds:.1f} s")
    assert connections > 8 and 40 <= answered <= 20 * (seconds + 2) + 1
    with board.client() as other:
        assert other.result("ping") == "pong"


# --- guesses


def test_guesses_from_many_addresses_are_few_and_delay_the_owner_by_ten_seconds(board):
    board.start()
    addresses = [loopback(number) for number in range(10, 60)]
    start = time.monotonic()
    guessed = tried = 0
    while tried < len(addresses) or time.monotonic() - start < ATTACK_S:
        last = time.monotonic()
        address = addresses[tried % len(addresses)]
        tried += 1
        try:
            with Client(board.port, source=address) as client:
                answer = client.call("auth.challenge")
                if "result" in answer:
                    guess = proof(f"guess {tried}", "login", answer["result"])
                    guessed += "wrong token" in client.error("auth.login", response=guess)["message"]
        except (OSError, ValueError):
            pass
    print(f"{tried} tries from {len(addresses)} addresses in {ATTACK_S} s: {guessed} guesses were checked")
    # 32 addresses guess at once, and again after 1 s and after another 2 s.
    assert 32 <= guessed <= 32 * 3
    with ControlClient(f"127.0.0.1:{board.port}", TOKEN, 20) as owner:
        assert owner.call("gpio.write", {"pin": 2, "value": 1}) is True
    waited = time.monotonic() - last
    assert 9 < waited < 10 + PATIENCE_S
    print(f"the owner waited {waited:.1f} s")


# --- signatures made with the token


ARCHIVE = hashlib.sha256(b"x").hexdigest()
ASKED = f"files 1 {ARCHIVE}"


def begin(client, signature):
    return client.call("update.begin", kind="files", size=1, sha256=ARCHIVE, signature=signature)


@pytest.fixture
def other_board(tmp_path_factory):
    process = BoardProcess(tmp_path_factory.mktemp("other"))
    yield process
    process.end()


def test_a_recorded_signature_is_worthless_on_this_board_and_on_another_with_the_same_token(board, other_board):
    board.start()
    other_board.start()
    with board.client() as owner:
        owner.login()
        recorded = owner.proof("update", ASKED)
        assert "result" in begin(owner, recorded)
        assert begin(owner, recorded)["error"]["code"] == DENIED
    for one in (board, other_board):
        with one.client() as hijacked:
            hijacked.login()
            assert begin(hijacked, recorded)["error"]["code"] == DENIED
            hijacked.result("auth.challenge")
            assert begin(hijacked, recorded)["error"]["code"] == DENIED
    print("a recorded signature: tried again on its connection, on its board, and on another with the same token")


def test_an_attacker_in_the_owners_connection_cannot_choose_what_the_board_runs(board):
    """The attacker does not know the token, and sees everything that is sent."""
    board.start()
    with board.client() as hijacked:
        challenge = hijacked.result("auth.challenge")
        seen = proof(TOKEN, "login", challenge)
        assert hijacked.result("auth.login", response=seen) is True
        tries = [
            ("config.set", {"key": "control.token", "value": OTHER_TOKEN}),
            ("config.set", {"key": "control.token", "value": OTHER_TOKEN, "proof": seen}),
            ("config.set", {"key": "control", "value": {"token": OTHER_TOKEN}}),
            ("config.set", {"key": "control", "value": {}}),
            ("config.reset", {}),
            ("config.reset", {"key": "control"}),
            ("config.reset", {"key": "control.token"}),
            ("telemetry.set", {"key": "control.token", "value": OTHER_TOKEN}),
            ("update.begin", {"kind": "files", "size": 1, "sha256": ARCHIVE, "signature": seen}),
        ]
        for method, params in tries:
            assert hijacked.error(method, **params)["code"] in (DENIED, -32602), method
        for purpose, token in (("token", OTHER_TOKEN), ("login", TOKEN)):
            wrong = proof(token, purpose, hijacked.result("auth.challenge"), OTHER_TOKEN)
            found = hijacked.error("config.set", key="control.token", value=OTHER_TOKEN, proof=wrong)
            assert found["code"] == DENIED
            time.sleep(1.1 if purpose == "token" else 2.1)
        hijacked.result("config.save")
    assert OTHER_TOKEN not in (board.folder / "config.json").read_text()
    assert json.loads((board.folder / "config.json").read_text())["control"]["token"] == TOKEN
    print(f"{len(tries) + 2} ways to change the token or to begin an update, without knowing it")


def test_a_token_that_was_changed_signs_nothing_before_the_next_boot(board):
    board.start()
    with board.client() as owner:
        start = len(board.output)
        owner.login()
        change = owner.proof("token", OTHER_TOKEN)
        owner.result("config.set", key="control.token", value=OTHER_TOKEN, proof=change)
        assert begin(owner, owner.proof("update", ASKED, OTHER_TOKEN))["error"]["code"] == DENIED
        time.sleep(1.1)
        assert "result" in begin(owner, owner.proof("update", ASKED))
        owner.result("update.abort")
        owner.result("config.save")
        owner.result("reboot")
    with Client(int(board.wait_for(r"^control +TCP [\d.]+:(\d+)", start).group(1))) as owner:
        assert owner.login()["error"]["code"] == DENIED
        time.sleep(1.1)
        assert owner.login(OTHER_TOKEN)["result"] is True


def test_the_tool_changes_the_token(tool, board):
    board.start()
    host = f"127.0.0.1:{board.port}"
    words = ["config.set", "key=control.token", f"value={OTHER_TOKEN}"]
    assert tool("call", host, *words, "--token", TOKEN).wait()[0] == 0
    assert tool("call", host, "config.set", "control.token", OTHER_TOKEN + "!", "--token", TOKEN).wait()[0] == 0
    assert tool("call", host, "config.reset", "--token", TOKEN).wait()[0] == 0
    code, _, errors = tool("call", host, *words).wait()
    assert code == 2 and "token" in errors


# --- almost valid JSON

BROKEN = [
    b'{"jsonrpc":"2.0","id":1,"method":"ping"',
    b'{"jsonrpc":"2.0" "id":1 "method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping",}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}',
    b'{"jsonrpc":"2.0","id":01,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\\ud83d","method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\\ude00\\ud83d","method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\xed\xa0\xbd","method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\xc0\xa2","method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\xf4\x90\x80\x80","method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\\x41","method":"ping"}',
    b'{"jsonrpc":"2.0","id":"a\tb","method":"ping"}',
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"}',
    b"[" * 500,
]


def test_almost_json_gets_an_error_and_is_not_executed(board):
    board.start()
    with board.client() as client:
        for line in BROKEN:
            client.send(line + b"\n")
            assert client.answer()["error"]["code"] == NOT_JSON, line
    print(f"{len(BROKEN)} lines that are almost JSON")


@pytest.mark.parametrize("text", ["\U0001f600", "é€\U0010ffff", "\x7f\x01\\\"'/"])
def test_every_character_comes_back_as_utf_8(board, text):
    board.start()
    with board.client() as client:
        client.login()
        for escaped in (True, False):
            request = {"jsonrpc": "2.0", "id": text, "method": "config.set"}
            request["params"] = {"key": "device.tags", "value": ["room=" + text]}
            client.send(json.dumps(request, ensure_ascii=escaped))
            assert client.answer()["id"] == text  # Client.line() decodes strictly
            assert client.result("config.get", key="device.tags") == ["room=" + text]
        client.result("config.save")
    assert json.loads((board.folder / "config.json").read_bytes().decode())["device"]["tags"] == ["room=" + text]


def test_an_update_that_is_cut_into_broken_json_changes_nothing(board):
    board.start()
    with board.client() as owner:
        owner.login()
        owner.result("update.begin", kind="files", size=1, sha256=ARCHIVE, signature=owner.proof("update", ASKED))
        data = base64.b64encode(b"x").decode()
        owner.send('{"jsonrpc":"2.0","id":1,"method":"update.write","params":{"offset":0,"data":"%s"' % data)
        assert owner.answer()["error"]["code"] == NOT_JSON
        assert owner.result("update.status")["received"] == 0


# --- memory

CALL = '{"jsonrpc": "2.0", "id": 1, "method": "sensor.read", "params": {"name": "%s"}}\n'
HTTP = "GET /nothing?%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: %s\r\nConnection: close\r\n\r\n"
WAYS = {
    "in JSON": lambda text: CALL % text,
    "escaped": lambda text: CALL % json.dumps(text)[1:-1],
    "in plain words": lambda text: f"sensor.read {text}\n",
    "as a method": lambda text: CALL.replace("sensor.read", text),
    "by HTTP": lambda text: HTTP % (text, text),
}


@pytest.mark.parametrize("way", WAYS)
def test_ever_new_characters_take_no_memory(board, way):
    """MicroPython never frees a string of one character. There are a million of them, each of 10 bytes."""
    board.start()
    port = board.http_port if "HTTP" in way else board.port

    def send(start):
        text = "".join(chr(start + number) for number in range(50))
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as attacker:
            attacker.sendall(WAYS[way](text).encode())
            assert attacker.recv(4096)

    with Client(board.port) as owner:
        used = []
        for first in 0x4E00, 0x10000:  # ... which take a pair of escapes
            for number in range(100):
                send(first + 50 * number)
                if number in (9, 99):
                    used.append(owner.result("gc")["used"])
    assert used[1] - used[0] < 5000 and used[3] - used[2] < 5000, used
