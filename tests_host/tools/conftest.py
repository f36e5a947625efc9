"""Fixtures: the firmware's image as a process (from tests_host/firmware), and the tool as another process."""

import importlib.util
import sys
from pathlib import Path

import pytest

FIRMWARE_TESTS = Path(__file__).resolve().parents[1] / "firmware"
if str(FIRMWARE_TESTS) not in sys.path:
    sys.path.append(str(FIRMWARE_TESTS))

_spec = importlib.util.spec_from_file_location("firmware_fixtures", FIRMWARE_TESTS / "conftest.py")
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
board = _fixtures.board

from serial_board import SerialBoard  # noqa: E402
from tool import Terminal, Tool  # noqa: E402


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
