"""`make emulate`: everything that it prints exists, and nothing is left at its end. The chip itself is not emulated."""

import os
from pathlib import Path

import pytest

import tools.emulator.__main__ as emulate
from tools.emulator.board import MPREMOTE, Board


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(emulate, "find_network", lambda board: (None, "network    none."))
    monkeypatch.setattr(emulate.signal, "signal", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["emulate", "--image", "x.bin"])
    mask = os.umask(0o022)
    yield tmp_path
    os.umask(mask)


def test_the_port_has_its_name_while_the_board_exists(folder, monkeypatch, capsys):
    def start(board):
        board.flash.touch()

    def interrupt(_event):
        assert Path("build/emulator/port").is_char_device()
        raise KeyboardInterrupt

    monkeypatch.setattr(Board, "start", start)
    monkeypatch.setattr(emulate.threading.Event, "wait", interrupt)
    emulate.main()
    told = capsys.readouterr().out
    assert f"{MPREMOTE} connect build/emulator/port " in told
    assert "drive      build/emulator/RPI-RP2; while the bootloader runs, copy a" in told
    assert not os.path.lexists("build/emulator/port")
    assert Path("build/emulator/flash.bin").stat().st_mode & 0o777 == 0o600


def test_the_port_of_another_board_is_not_changed(folder):
    first, second = Board("x.bin"), Board("x.bin")
    first.name_port(folder / "port")
    second.name_port(folder / "port")
    first.close()
    assert os.readlink(folder / "port") == second.port
    second.close()
    assert not os.path.lexists(folder / "port")


def test_the_printed_program_is_installed_by_make():
    requirements = Path(__file__).resolve().parents[2] / "requirements.txt"
    assert MPREMOTE == "build/venv/bin/mpremote" and "\nmpremote==" in requirements.read_text()
