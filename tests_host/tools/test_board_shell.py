"""`shell`, controlled by a keyboard in a terminal, and by lines from a pipe."""

import contextlib
import socket

import pytest
from image import QUIET, until
from prompt_toolkit.document import Document

from tools.board.shell import MethodCompleter, read_help

TOKEN = QUIET["control"]["token"]


@pytest.fixture
def host(board):
    board.configure(device={"name": "zebra-7"})
    board.start()
    return f"127.0.0.1:{board.port}"


def recall_the_line_before(shell, line):
    """Press the arrow until it works, because the shell loads its history only after it has shown its prompt."""
    for _ in range(5):
        shell.type("\x1b[A")
        with contextlib.suppress(AssertionError):
            return shell.wait_for(line, 3)
    raise AssertionError("no line before")


def test_a_user_completes_calls_and_quits(terminal, host, tmp_path):
    shell = terminal("shell", host)
    shell.wait_for(r"\d+ methods; help lists them")
    shell.wait_for("127.0.0.1>")
    shell.type("config.g\t")
    shell.wait_for("et")
    shell.type(" k\t")
    shell.wait_for("ey=")
    shell.type("device.name\r")
    shell.wait_for("zebra-7")
    shell.wait_for("127.0.0.1>")
    shell.type("gpio.read pin=300\r")
    shell.wait_for(r"board: the board says: no such pin: gpio.pins lists them; there are 0 to 39")
    shell.wait_for("127.0.0.1>")
    shell.type("half a line")
    shell.wait_for("half a line")
    shell.type("\x03")
    shell.wait_for("127.0.0.1>")
    recall_the_line_before(shell, "gpio.read pin=300")
    shell.type("\x03")
    shell.wait_for("127.0.0.1>")
    shell.type("exit\r")
    assert shell.wait()[0] == 0
    history = (tmp_path / "xasyncsockets" / "history").read_text()
    assert "+config.get key=device.name" in history


def test_tab_completes_what_a_parameter_can_be(terminal, host):
    shell = terminal("shell", host)
    shell.wait_for("127.0.0.1>")
    shell.type("sensor.read name=hea\t")
    shell.wait_for("(?s)hea.*p")
    shell.type("\r")
    shell.wait_for("free +\\d+")
    shell.wait_for("127.0.0.1>")
    shell.type("gpio.read pin=1\t\t")
    shell.wait_for("(?s)10.*11.*12")  # the pins that begin with this digit
    shell.type("\x15config.get key=device.n\t")
    shell.wait_for("(?s)device.n.*ame")
    shell.type("\r")
    shell.wait_for("zebra-7")
    shell.wait_for("127.0.0.1>")
    shell.type("help gpio\r")
    shell.wait_for("gpio.write pin value")
    shell.wait_for("127.0.0.1>")
    shell.type("\x04")
    assert shell.wait()[0] == 0


def test_notifications_are_shown_while_nothing_is_typed(terminal, host):
    shell = terminal("shell", host)
    shell.wait_for("127.0.0.1>")
    shell.type("telemetry.subscribe\r")
    for _ in range(3):
        shell.wait_for(r'telemetry: \{"')
    shell.type("telemetry.unsubscribe\r")
    shell.wait_for("true")
    shell.wait_for("127.0.0.1>")
    shell.type("\x04")
    assert shell.wait()[0] == 0


def test_a_connection_closed_by_the_board_is_opened_again(terminal, board):
    board.configure(control={**QUIET["control"], "idle_s": 1}, device={"name": "zebra-7"})
    board.start()
    shell = terminal("shell", f"127.0.0.1:{board.port}")
    shell.wait_for("127.0.0.1>")
    with board.client() as watcher:
        until(lambda: watcher.result("info")["clients"] == 1)  # the shell was idle for too long
    shell.type("config.get key=device.name\r")
    shell.wait_for("zebra-7")
    shell.wait_for("127.0.0.1>")
    shell.type("\x04")
    assert shell.wait()[0] == 0


def test_ctrl_c_ends_a_call_and_not_the_shell(terminal):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shell = terminal("shell", f"127.0.0.1:{listener.getsockname()[1]}", "--timeout", "60")
        board, _ = listener.accept()
        with board, board.makefile("r") as requests:
            requests.readline()
            board.sendall(b'{"jsonrpc": "2.0", "id": 1, "result": ["ping: pong"]}\n')
            shell.wait_for("127.0.0.1>")
            shell.type("ping\r")
            assert "ping" in requests.readline()
            shell.type("\x03")
            shell.wait_for("given up")
            shell.wait_for("127.0.0.1>")
            shell.type("exit\r")
            assert shell.wait()[0] == 0


def test_lines_from_a_pipe(tool, host):
    lines = 'ping\n\ngpio.write pin=4 value=1\ngpio.read 4\nconfig.set key=device.tags value=["a=b c"]\nexit\nping\n'
    code, output, errors = tool("shell", host, stdin=lines, BOARD_TOKEN=TOKEN).wait()
    assert (code, errors) == (0, "")
    assert output.splitlines() == ["pong", "true", "1", "changed; config.save keeps it, reboot applies it"]


def test_a_failing_line_from_a_pipe_is_reported_by_the_exit_code(tool, host):
    code, output, errors = tool("shell", host, stdin="nope\nping\n").wait()
    assert (code, output) == (1, "pong\n")
    assert "no method 'nope'" in errors


def test_no_board_no_prompt(tool):
    code, _, errors = tool("shell", "127.0.0.1:1").wait()
    assert code == 3
    assert "cannot be reached" in errors


def completions(text):
    methods = read_help(["gpio.read pin: a level", "gpio.write pin value (token): an output", "gc: collects: all"])
    values = {("gpio.read", "pin"): ["2", "25"]}
    return [found.text for found in MethodCompleter(methods, values).get_completions(Document(text), None)]


def test_completions():
    assert completions("g") == ["gpio.read", "gpio.write", "gc"]
    assert completions("gpio.w") == ["gpio.write"]
    assert completions("ex") == ["exit"]
    assert completions("gpio.write ") == ["pin=", "value="]
    assert completions("gpio.write pin=1 ") == ["value="]
    assert completions("gpio.write v") == ["value="]
    assert completions("gc ") == []
    assert completions("none ") == []
    assert completions("gpio.read pin=") == ["2", "25"]
    assert completions("gpio.read pin=25") == ["25"]
    assert completions("gpio.write pin=") == []
