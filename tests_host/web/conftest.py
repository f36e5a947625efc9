"""Fixtures: one board and one browser for all tests of a file. The board is a process, from tests_host/firmware."""

import sys
from pathlib import Path

import pytest

FIRMWARE_TESTS = Path(__file__).resolve().parents[1] / "firmware"
if str(FIRMWARE_TESTS) not in sys.path:
    sys.path.append(str(FIRMWARE_TESTS))

import browser  # noqa: E402
from image import BoardProcess  # noqa: E402


@pytest.fixture(scope="module")
def driver():
    """A browser."""
    reason = browser.missing()
    if reason:
        pytest.skip(reason)
    driver = browser.start()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A board that is not started yet."""
    board = BoardProcess(tmp_path_factory.mktemp("board"))
    yield board
    board.end()
