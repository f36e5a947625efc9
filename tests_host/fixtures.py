"""Fixtures for several folders: a board as a process, the command `board`, a board at a serial port."""

import socket
from importlib import import_module

import pytest
from image import PATIENCE_S, BoardProcess
from serial_board import SerialBoard
from tool import Terminal, Tool


@pytest.fixture
def own_time(monkeypatch):
    """Gives the library its own time back, which a FakeClock replaces for one test."""
    for name in ("_ticks_ms", "_ticks_add", "_ticks_diff"):
        monkeypatch.setattr(f"XAsyncSockets.{name}", getattr(import_module("XAsyncSockets"), name))


@pytest.fixture
def board(tmp_path):
    """A board that is not started yet."""
    process = BoardProcess(tmp_path)
    yield process
    process.end()


@pytest.fixture
def collector():
    """A UDP socket that receives telemetry."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_S)
        yield receiver


@pytest.fixture
def tool():
    """Returns a function f(*words), which starts the tool with its output in pipes."""
    started = []

    def start(*words, **options):
        started.append(Tool(*words, **options))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def terminal(tmp_path):
    """Returns a function f(*words), which starts the tool in a terminal."""
    started = []

    def start(*words, **size):
        started.append(Terminal(*words, home=tmp_path, **size))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture(params=["VfsLfs2", "VfsFat"])
def serial_board(request):
    board = SerialBoard(request.param)
    yield board
    board.close()
