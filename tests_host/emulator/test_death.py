"""An emulator whose process dies: the waiting program gets an error at once, with its last output."""

import os
import signal
import time

import pytest

from tools.emulator import board as emulator
from tools.emulator.board import Board, BoardDied, deaths_raised

PATIENCE_S = 20

# A shell script that replaces the emulator. It is called with the emulator's options.
DIES = "echo 'TypeError: of a chip that is not like this' >&2; exit 7"
DIES_LATER = "sleep 0.2; " + DIES
LIVES = "echo $$ >&2; exec sleep 60"


@pytest.fixture
def make_board(tmp_path, monkeypatch):
    boards = []

    def make(script, **options):
        node = tmp_path / "node"
        node.write_text(f"#!/bin/sh\n{script}\n")
        node.chmod(0o755)
        (tmp_path / "node_modules" / "rp2040js").mkdir(parents=True)
        (tmp_path / "image.bin").touch()
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(emulator, "HERE", tmp_path)
        boards.append(Board(tmp_path / "image.bin", **options))
        return boards[-1]

    yield make
    for board in boards:
        board.close()


def test_a_waiting_program_is_interrupted(make_board):
    """A program may wait for the serial port, a socket or a condition. A sleep stands for all of them here."""
    board = make_board(DIES)
    began = time.monotonic()
    with pytest.raises(BoardDied, match="board 1 has died .exit status 7.*\nTypeError: of a chip"), deaths_raised():
        board.start()
        time.sleep(PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S


@pytest.mark.parametrize("script", [DIES, DIES_LATER], ids=["before the command", "before its answer"])
def test_a_command_and_a_check_report_it(make_board, tmp_path, script):
    with open(tmp_path / "own.txt", "w") as log:
        board = make_board(script, log=log)
        board.start()
        began = time.monotonic()
        with pytest.raises(BoardDied, match="TypeError: of a chip"):
            board.stats()
        assert time.monotonic() - began < emulator.COMMAND_SEC, "the command waited for its time limit"
        with pytest.raises(BoardDied, match="TypeError: of a chip"):
            board.check()


def test_a_killed_process_is_reported(make_board):
    board = make_board(LIVES)
    with pytest.raises(BoardDied, match="exit status -9"), deaths_raised():
        board.start()
        os.kill(board._process.pid, signal.SIGKILL)
        time.sleep(PATIENCE_S)


@pytest.mark.parametrize("how", ["power_cut", "stop"])
def test_switching_the_power_off_is_not_an_error(make_board, how):
    board = make_board(LIVES)
    with deaths_raised():
        for _ in range(2):
            board.start()
            getattr(board, how)()
            board.check()
            assert not board.is_running


def test_outside_of_the_context_nothing_is_interrupted(make_board):
    with deaths_raised():
        board = make_board(LIVES)
        board.start()
    os.kill(board._process.pid, signal.SIGKILL)
    board._process.wait(PATIENCE_S)
    time.sleep(0.05)
    with pytest.raises(BoardDied):
        board.check()
