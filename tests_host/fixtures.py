"""Fixtures of several folders: a board as a process, the command `board`, a board behind a serial port."""

import socket
from importlib import import_module

import pytest
from image import PATIENCE_S, BoardProcess
from serial_board import SerialBoard
from tool import Terminal, Tool


@pytest.fixture
def own_time(monkeypatch):
    """The library's time, which a FakeClock replaces for one test."""
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
    """A UDP socket that telemetry can be sent to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_S)
        yield receiver


@pytest.fixture
def tool():
    """f(*words): the tool, started with its output in pipes."""
    started = []

    def start(*words, **options):
        started.append(Tool(*words, **options))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def terminal(tmp_path):
    """f(*words): the tool, started in a terminal."""
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
