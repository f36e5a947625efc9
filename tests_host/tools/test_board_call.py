"""`call`: one method of a real board, with and without the token, and everything that can go wrong."""

import json
import socket
import subprocess
import sys
import threading

import pytest
from free_ports import free_port
from image import PATIENCE_S, QUIET, ROOT, until

from tools.board.answers import readable
from tools.board.client import ControlClient, parse_host
from tools.board.errors import BoardError, UsageError

TOKEN = QUIET["control"]["token"]


@pytest.fixture
def host(board):
    board.start()
    return f"127.0.0.1:{board.port}"


def test_the_result_is_printed_as_json(tool, host):
    assert tool("call", host, "ping").wait() == (0, '"pong"\n', "")
    code, output, _ = tool("call", host, "info").wait()
    assert code == 0
    assert json.loads(output)["board"] == "UNIX"


def test_in_a_terminal_the_result_is_formatted(terminal, host):
    code, shown = terminal("call", host, "info").wait()
    assert code == 0
    lines = shown.replace("\r", "").split("\n")
    assert "board         UNIX" in lines and "  telemetry  running" in lines and "{" not in shown
    assert lines.index("board         UNIX") < lines.index("version       0.1.0"), "in the order of the keys"
    assert terminal("call", host, "ping").wait() == (0, "pong\r\n")


def test_json_has_its_keys_in_order(tool, host):
    keys = list(json.loads(tool("call", host, "info").wait()[1]))
    assert keys == sorted(keys)


def test_help_takes_a_topic(tool, host):
    code, output, _ = tool("call", host, "help", "gpio").wait()
    assert code == 0
    names = [line.split()[0].rstrip(":") for line in json.loads(output)]
    assert names == ["gpio.mode", "gpio.pins", "gpio.read", "gpio.write"]
    code, output, errors = tool("call", host, "help", "nothing-of-this").wait()
    assert (code, output) == (1, "") and "has no method about 'nothing-of-this'; help lists the methods" in errors


def test_readable():
    assert readable("a\nb") == "a\nb" and readable([]) == "none" and readable(None) == "null" and readable(1.5) == "1.5"
    assert readable({"b": None, "a": ["x", "y"], "c": {"d": {}}}).split("\n") == ["a  x, y", "b  -", "c:", "  d  {}"]
    entry = {"uptime": 7, "level": "error", "source": "net", "text": "gone"}
    assert readable([entry]) == "[     7] net: error: gone"
    sensor = {"age_s": 1, "error": None, "name": "heap", "reading": {"free": 5, "used": 6}}
    assert readable([sensor]) == "name: heap, age_s: 1, reading: free 5; used 6"


def test_a_pin_is_set_and_read(tool, host, tmp_path):
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    for value in (1, 0, 1):
        assert tool("call", host, "gpio.write", "pin=7", f"value={value}", "--token", TOKEN).wait()[0] == 0
        assert tool("call", host, "gpio.read", "pin=7").wait() == (0, f"{value}\n", "")
    assert tool("call", host, "gpio.write", "--token-file", secret, "pin=7", "value=0").wait()[0] == 0
    assert tool("call", host, "gpio.read", "7").wait()[1] == "0\n"
    assert tool("call", host, "gpio.write", "7", "1", BOARD_TOKEN=TOKEN).wait()[0] == 0
    assert tool("call", host, "gpio.read", "7").wait()[1] == "1\n"


def test_values_are_json_or_text(tool, host):
    set_tags = tool("call", host, "config.set", "key=device.tags", 'value=["room=a b", "x=1"]', "--token", TOKEN)
    assert set_tags.wait()[0] == 0
    assert json.loads(tool("call", host, "config.get", "key=device.tags").wait()[1]) == ["room=a b", "x=1"]


def test_without_the_token_it_says_how_to_give_it(tool, host):
    code, output, errors = tool("call", host, "gpio.write", "pin=7", "value=1").wait()
    assert (code, output) == (1, "")
    assert "-32001" in errors and "BOARD_TOKEN" in errors and errors.count("\n") == 1


def test_a_board_without_a_token_is_reported(tool, board):
    board.configure(control={"token": ""})
    board.start()
    call = ["call", f"127.0.0.1:{board.port}", "gpio.write", "pin=7", "value=1"]
    for token in ([], ["--token", "a long secret"]):
        code, _, errors = tool(*call, *token).wait()
        assert code == 1
        assert "no control.token is configured on this board: set control.token in its config.json (-32001)\n" in errors


def test_a_wrong_token_is_refused(tool, host):
    code, output, errors = tool("call", host, "gpio.write", "pin=7", "value=1", "--token", "a wrong one").wait()
    assert (code, output) == (1, "")
    assert errors == "board: the board says: wrong token or signature: try again in 1 s (-32001)\n"
    assert tool("call", host, "gpio.read", "pin=7").wait()[1] == "0\n"


@pytest.mark.parametrize(
    "words, said",
    [
        (["nope"], "no method 'nope'; help lists them (-32601)"),
        (["gpio.wirte", "1"], "help lists them; there are gpio.mode, gpio.pins, gpio.read, gpio.write (-32601)"),
        (["sensor.read", "name=nope"], "unknown: nope; there are system, heap (-32602)"),
        (["gpio.read"], "parameter 'pin' is missing"),
        (["gpio.read", "pin=300"], "no such pin: gpio.pins lists them; there are 0 to 39 (-32602)"),
    ],
)
def test_a_refusal_is_reported_with_the_boards_message(tool, host, words, said):
    code, output, errors = tool("call", host, *words).wait()
    assert (code, output) == (1, "")
    assert said in errors and errors.count("\n") == 1


def test_a_refused_port(tool):
    port = free_port()
    code, _, errors = tool("call", f"127.0.0.1:{port}", "ping", "--timeout", 3 * PATIENCE_S).wait()  # at once
    assert code == 3
    assert errors == f"board: 127.0.0.1:{port} cannot be reached: Connection refused\n"


def test_an_unknown_host(tool):
    code, _, errors = tool("call", "no-such-board.invalid", "ping").wait()
    assert code == 3
    assert "no host named 'no-such-board.invalid'" in errors


def serve_once(reply):
    """Run a server that answers its first line with `reply`, or does not answer for None. Yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as client:
            client.recv(1000)
            if reply is not None:
                client.sendall(reply)
                client.shutdown(socket.SHUT_WR)
            while client.recv(1000):  # until the tool has disconnected
                pass

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


@pytest.mark.parametrize(
    "reply, said",
    [
        (None, "did not answer within 0.3 s"),
        (
            b"",
            "it answered (the board closed it; if the board has a certificate, use --cert)",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n", "is not a control server: it sent 'HTTP/1.1 400 Bad Request'"),
        (b"[1]\n", "is not a control server"),
        (b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32003, "message": "full"}}\n', "full (-32003)"),
    ],
)
def test_a_server_that_is_not_a_board(tool, reply, said):
    host = f"127.0.0.1:{serve_once(reply)}"
    code, output, errors = tool("call", host, "ping", "--timeout", 0.3 if reply is None else PATIENCE_S).wait()
    assert code == (1 if "-32003" in said else 3)
    assert output == ""
    assert said in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["call", "x"], ["call", "a:b", "ping"], ["call", "x", "ping", "1", "a=1"], [], ["call", "x", "y", "--no"]]
)
def test_a_command_that_makes_no_sense(tool, words):
    code, output, errors = tool(*words).wait()
    assert (code, output) == (2, "")
    assert errors.startswith("board: ") and errors.count("\n") == 1


def test_a_missing_method_is_reported(tool):
    assert "required: METHOD (board call --help" in tool("call", "x").wait()[2]


@pytest.mark.parametrize(
    "words, said",
    [
        (["certificate", "kitchen"], "cryptography: run make venv, then"),
        (["shell", "127.0.0.1"], "prompt_toolkit: run make tools, then"),
    ],
)
def test_a_python_without_the_tools_packages(words, said):
    command = [sys.executable, "-S", ROOT / "tools" / "board", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert done.stderr.startswith(f"board: this Python lacks the package {said}") and done.stderr.count("\n") == 1


def test_a_call_needs_no_packages(host):
    command = [sys.executable, "-S", ROOT / "tools" / "board", "call", host, "ping"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, '"pong"\n'), done.stderr


def test_the_tools_need_few_packages():
    lines = (ROOT / "tools" / "board" / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert names == {"rich", "prompt-toolkit", "markdown-it-py", "mdurl", "pygments", "wcwidth"}


def test_ctrl_c_ends_a_call_that_waits(tool):
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        waiting = tool("call", f"127.0.0.1:{listener.getsockname()[1]}", "ping", "--timeout", "60")
        client, _ = listener.accept()
        with client:
            assert b"ping" in client.recv(1000)
            waiting.interrupt()
            assert waiting.wait() == (130, "", "")


def test_it_connects_and_logs_in_again_after_the_board_has_closed(board):
    board.configure(control={"port": 0, "token": TOKEN, "idle_s": 1})
    board.start()
    with ControlClient(f"127.0.0.1:{board.port}", TOKEN) as client:
        assert client.call("gpio.write", {"pin": 3, "value": 1}) is True
        with board.client() as watcher:
            until(lambda: watcher.result("info")["clients"] == 1)
        assert client.call("gpio.write", {"pin": 3, "value": 0}) is True
        assert client.call("gpio.read", {"pin": 3}) == 0
        with pytest.raises(BoardError, match="-32601"):
            client.call("nope")


def test_notifications_are_reported_between_the_answers(board):
    board.start()
    told = []
    with ControlClient(f"127.0.0.1:{board.port}") as client:
        client.on_notification = lambda method, params: told.append((method, params))
        client.call("telemetry.subscribe")
        until(lambda: client.poll(20) or len(told) >= 3)
        assert client.call("ping") == "pong"
    assert {method for method, _ in told} == {"telemetry"}
    assert all("heap" in params["readings"] for _, params in told)


def test_hosts():
    assert parse_host("attic") == ("attic", 8095)
    assert parse_host("192.0.2.2:1") == ("192.0.2.2", 1)
    for wrong in ("", ":1", "a:", "a:0", "a:65536", "a:1:2"):
        with pytest.raises(UsageError):
            parse_host(wrong)
