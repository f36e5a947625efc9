"""Checks that the tests in tests_device work with any chip, as far as this is possible without one."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


class Interface:
    def __init__(self, kind):
        self.kind = kind

    def active(self, on):
        pass

    def connect(self):
        pass


def network():
    """A `network` module with every interface, like that of an ESP32."""
    return SimpleNamespace(PPP=lambda uart: Interface("ppp"), LAN=lambda: Interface("lan"))


@pytest.mark.parametrize(
    "support, kind",
    [
        ({"uart": lambda baud: None}, "ppp"),
        ({"lan": lambda: Interface("lan")}, "lan"),
    ],
    ids=["modem", "Ethernet"],
)
def test_the_boards_own_interface_is_used(monkeypatch, support, kind):
    monkeypatch.setitem(sys.modules, "network", network())
    monkeypatch.setitem(sys.modules, "board_support", SimpleNamespace(**support))
    scope = runpy.run_path(str(ROOT / "tests_device" / "on_device" / "testing_network.py"))
    assert scope["_connect"]().kind == kind


@pytest.mark.parametrize("board", ["ESP32_C3", "PICO2_W"])
def test_tests_are_collected_for_a_board_without_an_emulator(board):
    environment = {**os.environ, "BOARD": board, "DEVICE": "", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", "tests_device"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
