"""Hostile input for the tools on this computer: datagrams, and answers of a false board.

It must not end a tool, fill its memory, or control the terminal. Each attack is limited in time and uses the loopback
interface; `pytest -s` shows what was tried.
"""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from image import PATIENCE_S

from tools.board import fleet
from tools.board.client import ControlClient
from tools.board.errors import ToolError
from tools.board.listener import Record
from tools.board.update import update
from tools.board.watch import ask

TOKEN = "a token for tests"
MOST_MEMORY = 150 * 1024 * 1024  # memory of a tool, including Python itself
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"

NO_NUMBERS = ["inf", "-inf", "nan", "1e999", "9" * 400, "1" * 300 + "i", "9223372036854775808i", "1_000", "0x10"]
DATAGRAMS = [
    *(f"board,device=evil a={value},seq=1i,uptime=1i\n" for value in NO_NUMBERS),
    "board,device=evil " + ",".join(f"a{number}=1" for number in range(400)) + "\n",
    "board,device=evil " + "a" * 5000 + "=1\n",
    "board,device=" + "e" * 5000 + " a=1\n",
    "board,device=evil a=1 " * 2500,
    b"\xff\xfe\x00",
    b"",
    b"x" * 60000,
]
STRANGE = [
    "board,device=attic large=1e308,seq=1i,uptime=1i\n",
    "board,device=attic large=-1e308,seq=2i,uptime=2i\n",
    "board,device=attic [/x]=1,[bold]=2,seq=3i,uptime=3i\n",
    "board,device=attic tiny=5e-324,seq=4i,uptime=4i\n",
    "board,device=attic tiny=0,seq=5i,uptime=9223372036854775807i\n",
    f'board,device=attic,x={EVIL} text="{EVIL}",{EVIL}=1,seq=6i,uptime=6i\n',
    f"board,device={EVIL} a=1,seq=9223372036854775807i,uptime=7i\n",
    "board,device=attic a=t,seq=t,uptime=-5i\n",
    'board,device=attic note="a\ttab",seq=7i,uptime=7i\n',
]


def send(port, datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            data = datagram if isinstance(datagram, bytes) else datagram.encode()
            sender.sendto(data, ("127.0.0.1", port))
            time.sleep(0.001)  # this test is not about the socket's buffer


def is_harmless(text):
    return not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_no_datagram_ends_a_stream(tool, form):
    watching = tool("watch", *([form] if form else []), "--count", len(STRANGE) + 1, "--port", "0")
    port = watching.port()
    send(port, [*DATAGRAMS, *STRANGE, "board,device=last a=1\n"])
    code, output, errors = watching.wait()
    assert code == 0
    assert is_harmless(output) and is_harmless(errors)
    refused = int(re.search(r"(\d+) datagrams were not telemetry", errors).group(1))
    assert refused == len(DATAGRAMS)
    print(f"watch {form}: {refused} datagrams refused, {len(STRANGE)} foreign ones shown")
    if form == "--json":
        no_number = pytest.fail
        records = [json.loads(line, parse_constant=no_number) for line in output.splitlines()]
        assert records[-1]["device"] == "last" and len(records) == len(STRANGE) + 1


def test_no_datagram_ends_the_table_or_controls_the_terminal(terminal):
    watching = terminal("watch", "--port", "0")
    port = int(watching.wait_for(r"UDP port (\d+): no board was heard yet").group(1))
    send(port, [*DATAGRAMS, *STRANGE])
    watching.wait_for("attic")
    send(port, ["board,device=zz-last a=42.5\n"])
    watching.wait_for("zz-last +a +42.5")
    watching.type("\x03")
    code, _ = watching.wait()
    assert code == 0
    for attack in ("\x1b]0;owned", "\x1b[2J", "\x9b", "\u202e"):
        assert attack not in watching.raw


def test_a_tab_hides_no_board_from_discover(tool):
    discovering = tool("discover", "--count", "1", "--seconds", PATIENCE_S, "--port", "0")
    send(discovering.port(), ['board,device=attic note="a\ttab",seq=7i,uptime=7i\n'])
    code, output, _ = discovering.wait()
    assert code == 0 and output.startswith("attic ")


def test_discover_says_what_it_refused(tool):
    discovering = tool("discover", "--count", "1", "--seconds", PATIENCE_S, "--port", "0")
    send(discovering.port(), [*DATAGRAMS, "board,device=attic a=1\n"])
    code, _, errors = discovering.wait()
    assert code == 0 and errors == f"board: {len(DATAGRAMS)} datagrams were not telemetry\n"


def test_invented_boards_do_not_fill_the_memory():
    heard = fleet.Fleet()
    for number in range(20000):
        readings = ",".join(f"r{number}x{reading}=1" for reading in range(20))
        heard.take(Record(f"10.0.{number >> 8 & 255}.{number & 255}", f"m,device=d{number} {readings}", number / 1000))
    assert len(heard) <= fleet.MOST_BOARDS
    assert sum(len(board.readings) for board in heard) <= fleet.MOST_READINGS
    assert heard.refused == 20000 - len(heard)
    heard.take(Record("10.9.9.9", "m,device=real a=1", 10000.0))
    assert [board.device for board in heard] == ["real"], "a board that was silent for long is replaced"
    print(f"watch: {heard.refused} of 20000 boards refused")


def test_an_address_has_no_more_than_its_share_of_the_places():
    heard = fleet.Fleet()
    for number in range(5000):
        heard.take(Record("10.0.0.66", f"m,device=d{number} a=1", 0))
    assert heard.take(Record("10.0.0.1", "m,device=real a=1", 0))


class Impostor:
    """A false board. `reply(request)` returns its answer, str or bytes."""

    def __init__(self, reply):
        self.requests = []
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1:{}".format(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                client, _ = self._listener.accept()
                with client, client.makefile("r", errors="replace") as lines:
                    try:
                        self._answer(client, lines)
                    except (OSError, ValueError):  # ValueError: the tool speaks TLS
                        pass
        except OSError:  # closed
            pass

    def _answer(self, client, lines):
        for line in lines:
            request = json.loads(line)
            self.requests.append(request)
            reply = self._reply(request)
            for piece in reply if hasattr(reply, "__next__") else [reply]:
                client.sendall(piece if isinstance(piece, bytes) else piece.encode("utf-8", "surrogatepass"))

    def close(self):
        self._listener.close()


@pytest.fixture
def impostor():
    made = []

    def make(reply):
        made.append(Impostor(reply))
        return made[-1]

    yield make
    for one in made:
        one.close()


def answer(request, result):
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}) + "\n"


def refusal(request, code, message):
    error = {"code": code, "message": message}
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}) + "\n"


def check_ended_well(code, output, errors):
    assert code in (1, 3), (code, output, errors)
    assert errors.startswith("board: ") and errors.count("\n") == 1 and len(errors) < 1000
    assert is_harmless(output) and is_harmless(errors)


LINES = [
    "{}", "[]", "1", "null", '"x"', "{", "\x00", "NaN", "[[{}]]", '{"id": 1}', '{"id": 1, "error": 5}',
    '{"id": 1, "error": {}}', '{"id": 1, "error": {"code": "x", "message": "y"}}', '{"id": 1, "error": null}',
    '{"id": 1, "error": {"code": 1, "message": ["y"]}}', '{"id": true, "result": 1}', '{"id": [1], "result": 1}',
    '{"id": 1, "result": NaN}', '{"id": 1, "result": 1e999}', '{"id": 1, "result": -Infinity}',
    '{"method": 5, "id": 1}',
    '{"id": 1, "result": ' + "9" * 5000 + "}", '{"id": 1, "result": ' + "[" * 5000 + "]" * 5000 + "}",
    '{"id": 1, "result": ' + "[" * 200 + "]" * 200 + "}", "\x1b[2J", "x" * 1100000,
]  # fmt: skip


@contextlib.contextmanager
def one_clear_error():
    """Check that parts of a command raise one clear error, which would be the command's last output."""
    with pytest.raises(ToolError) as raised:
        yield
    text = str(raised.value)
    assert is_harmless(text) and "\n" not in text and len(text) < 1000


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_an_answer_of_a_wrong_shape_is_one_clear_error(impostor, line):
    with ControlClient(impostor(lambda request: line + "\n").host) as client, one_clear_error():
        client.call("ping")


@pytest.mark.parametrize("line", ['{"id": 1, "error": null}', '{"id": 1, "result": NaN}', "\x1b[2J"])
@pytest.mark.parametrize("command", [["call", "ping"], ["shell"]], ids=["call", "shell"])
def test_a_command_ends_with_a_clear_error(tool, impostor, command, line):
    host = impostor(lambda request: line + "\n").host
    check_ended_well(*tool(command[0], host, *command[1:], "--timeout", "5", stdin="ping\n").wait())


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_discover_ignores_such_answers(impostor, line):
    fake = impostor(lambda request: line + "\n")
    assert ask("127.0.0.1", int(fake.host.partition(":")[2])) == {}


INFO = ("device", "board", "version", "safe_mode")


def test_discover_shows_the_valid_parts_of_an_answer(impostor):
    fake = impostor(lambda request: answer(request, dict.fromkeys(INFO, EVIL * 100)))
    about = ask("127.0.0.1", int(fake.host.partition(":")[2]))
    assert is_harmless(about["device"] + about["kind"] + about["version"]) and about["safe_mode"] is True
    assert len(about["kind"]) < 300


RESULTS = [5, None, {}, [], "x", [1], {"nonce": 5}, {"chunk": 0}, {"chunk": "9"}, {"kinds": ["files"], "last": 5}]


@pytest.mark.parametrize("result", RESULTS, ids=map(str, RESULTS))
def test_an_update_ends_with_a_clear_error_after_an_answer_of_a_wrong_shape(impostor, tmp_path, result):
    (tmp_path / "x.py").write_text("")

    def reply(request):
        if request["method"] == "update.status" and result in ({"chunk": 0}, {"chunk": "9"}):
            return answer(request, {"kinds": ["files"], "last": None, "running": None})
        return answer(request, result)

    with ControlClient(impostor(reply).host, TOKEN) as client, one_clear_error():
        update(client, [f"x.py={tmp_path / 'x.py'}"], say=str)


def test_help_of_a_wrong_shape_opens_no_prompt(tool, impostor):
    for result in (5, {"a": 1}, [1], [["ping"]]):
        check_ended_well(*tool("shell", impostor(lambda request, result=result: answer(request, result)).host).wait())


def test_answers_cannot_control_the_terminal(tool, impostor):
    host = impostor(lambda request: refusal(request, 1, EVIL * 1000)).host
    check_ended_well(*tool("call", host, "ping").wait())
    nested = {EVIL: [EVIL, {"a": EVIL}]}
    for result in (EVIL, [EVIL], nested, f"a\n{EVIL}", "\ud800"):
        host = impostor(lambda request, result=result: answer(request, result)).host
        code, output, errors = tool("call", host, "x").wait()
        assert code == 0 and is_harmless(output + errors)
        host = impostor(
            lambda request, result=result: answer(request, [EVIL] if request["method"] == "help" else result)
        ).host
        code, output, errors = tool("shell", host, stdin="x\n").wait()
        assert code == 0 and is_harmless(output + errors)


def endless(request):
    """Send notifications for 20 s, or until the connection ends, and answer only `help`."""
    if request["method"] == "help":
        yield answer(request, ["ping: pong"])
    note = json.dumps({"jsonrpc": "2.0", "method": "telemetry" + EVIL, "params": {"x": EVIL + "y" * 3000}}) + "\n"
    end = time.monotonic() + 20
    while time.monotonic() < end:
        yield note * 20


@pytest.mark.parametrize("command", [["call", "ping"], ["shell"]], ids=["call", "shell"])
def test_endless_notifications_end_when_the_timeout_passes(tool, impostor, command):
    flooded = tool(command[0], impostor(endless).host, *command[1:], "--timeout", "2", stdin="ping\n")
    memory = flooded.watch_memory()
    start = time.monotonic()
    code, output, errors = flooded.wait()
    assert time.monotonic() - start < 15
    assert code == 3 and "did not answer within 2 s" in errors
    assert is_harmless(output + errors) and len(output) < 1000000
    assert memory() < MOST_MEMORY
    print(f"{command[0]}: {memory() >> 20} MB at the most")


def test_endless_notifications_leave_the_prompt_usable(terminal, impostor):
    shell = terminal("shell", impostor(endless).host, "--timeout", "2")
    memory = shell.watch_memory()
    shell.wait_for("127.0.0.1>")
    shell.wait_for("further notifications were not shown")
    shell.type("ping\r")
    shell.wait_for("did not answer within 2 s")
    shell.wait_for("127.0.0.1>")
    shell.type("exit\r")
    assert shell.wait()[0] == 0
    assert "\x1b]0;owned" not in shell.raw and "\u202e" not in shell.raw
    assert memory() < MOST_MEMORY


NONCE, BOARD = "0" * 32, "0123456789ab"
TEXTS = ["files 1024 " + "0" * 64, "", "x" * 32, "A" * 32, "0" * 31, NONCE + "\n", f"{BOARD} {NONCE}", 5, None, [NONCE]]
CHALLENGES = [
    *({"nonce": text, "board": BOARD, "wait_s": 0} for text in [*TEXTS, "0" * 33]),
    *({"nonce": NONCE, "board": text, "wait_s": 0} for text in [*TEXTS[:3], *TEXTS[5:], "0" * 65]),
    *({"nonce": NONCE, "board": BOARD, "wait_s": wait} for wait in (-1, 31, 10**9, 0.5, "0", None, True)),
    *({"nonce": NONCE, "board": BOARD}, {"nonce": NONCE, "wait_s": 0}, 5, [], NONCE),
]


@pytest.mark.parametrize("challenge", CHALLENGES, ids=range(len(CHALLENGES)))
def test_the_token_signs_nothing_but_a_challenge(impostor, challenge):
    def reply(request):
        if request["method"] == "auth.challenge":
            return answer(request, challenge)
        return refusal(request, -32001, "this method needs auth.challenge and auth.login first")

    fake = impostor(reply)
    with ControlClient(fake.host, TOKEN) as client, one_clear_error():
        client.call("gpio.write", {"pin": 2, "value": 1})
    assert [request["method"] for request in fake.requests] == ["gpio.write", "auth.challenge"]


@pytest.mark.parametrize("method", ["ping", "sensor.read"])
def test_no_login_is_sent_for_a_method_that_is_open(tool, impostor, method):
    fake = impostor(lambda request: refusal(request, -32001, "this method needs auth.challenge and auth.login first"))
    check_ended_well(*tool("call", fake.host, method, BOARD_TOKEN=TOKEN).wait())
    assert [request["method"] for request in fake.requests] == [method]


def test_the_program_of_the_documentation_signs_nothing_but_a_challenge(impostor):
    page = (Path(__file__).resolve().parents[2] / "docs" / "control.md").read_text()
    source = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    fake = impostor(lambda request: answer(request, CHALLENGES[0]))
    source = source.replace("8095", fake.host.partition(":")[2])
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=PATIENCE_S)
    assert "not a challenge" in done.stderr
    assert [request["method"] for request in fake.requests] == ["auth.challenge"]
