"""A board by its name: if the system does not know the name, the board's broadcast shows the address."""

import socket
import threading

import pytest
from free_ports import free_port
from image import QUIET

from tools.board.client import ControlClient
from tools.board.errors import Unreachable
from tools.board.names import find

TOKEN = QUIET["control"]["token"]


@pytest.fixture
def broadcasts():
    """A port that receives repeated broadcasts of a board `kitchen` at 127.0.0.1."""
    port = free_port()
    ended = threading.Event()

    def tell():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not ended.wait(0.1):
                sender.sendto(b"board,device=kitchen a=1,seq=1i,uptime=1i\n", ("127.0.0.1", port))

    thread = threading.Thread(target=tell)
    thread.start()
    yield port
    ended.set()
    thread.join()


def test_a_board_is_called_by_the_name_that_discover_shows(tool, board, broadcasts):
    board.start()
    for name in ("kitchen", "KITCHEN", "kitchen.local"):
        call = tool("call", f"{name}:{board.port}", "gpio.read", "pin=2", BOARD_UDP_PORT=str(broadcasts))
        code, output, errors = call.wait()
        assert (code, output) == (0, "0\n"), errors
        assert "kitchen is 127.0.0.1, by its broadcast" in errors.lower()


def test_a_board_found_by_broadcast_gets_no_login_with_the_token_of_the_environment(tool, board, broadcasts):
    board.start()
    words = ["call", f"kitchen:{board.port}", "gpio.write", "pin=2", "value=1"]
    code, _, errors = tool(*words, BOARD_UDP_PORT=str(broadcasts), BOARD_TOKEN=TOKEN).wait()
    assert code == 1
    assert "BOARD_TOKEN is not used for a board that was found only by a broadcast: name its address" in errors
    assert tool(*words, "--token", TOKEN, BOARD_UDP_PORT=str(broadcasts)).wait()[0] == 0
    assert tool("call", f"127.0.0.1:{board.port}", *words[2:], BOARD_TOKEN=TOKEN).wait()[0] == 0


def test_a_board_is_called_at_the_port_that_it_announces(tool, board):
    udp_port = free_port()
    board.configure(network={"announce": udp_port}, device={"name": "attic"}, telemetry={"enabled": False})
    board.start()
    code, output, errors = tool("call", "attic", "ping", BOARD_UDP_PORT=str(udp_port)).wait()
    assert (code, output) == (0, '"pong"\n'), errors


def test_a_name_without_a_machine():
    with pytest.raises(Unreachable, match="no host named 'no-such-board', and no board of that name was heard"):
        find("no-such-board", 0, seconds=0.2)


def test_the_second_address_of_a_name_is_tried_if_the_first_refuses(board, monkeypatch):
    board.start()
    known = socket.getaddrinfo

    def look_up(host, port, *args, **options):
        if host != "both":
            return known(host, port, *args, **options)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with ControlClient(f"both:{board.port}") as client:
        assert client.call("ping") == "pong"
    with ControlClient(f"both:{free_port()}") as client, pytest.raises(Unreachable, match="any of its 2 addresses"):
        client.call("ping")


def test_a_token_file_may_begin_with_a_bom(tool, board, tmp_path):
    board.start()
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbf" + TOKEN.encode() + b"\r\n")
    words = ["gpio.write", "pin=2", "value=1", "--token-file", tmp_path / "token"]
    code, output, errors = tool("call", f"127.0.0.1:{board.port}", *words).wait()
    assert (code, output) == (0, "true\n"), errors
