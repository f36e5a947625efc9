"""The use of the board's modules: firmware/board.py."""

import sys
from types import SimpleNamespace

import pytest

from firmware.board import Board


def board(**machine):
    return Board(network=object(), machine=SimpleNamespace(**machine), support=SimpleNamespace(NAME="MY_BOARD"))


def test_the_clock_is_set_if_the_board_has_one():
    moment = (2026, 9, 21, 0, 14, 13, 20, 0)
    moments = []
    board(RTC=lambda: SimpleNamespace(datetime=moments.append)).set_time(moment)
    board().set_time(moment)
    assert moments == [moment]


def test_a_reset_calls_the_chips_reset():
    resets = []
    board(reset=lambda: resets.append(1)).reset()
    assert resets == [1]


def test_the_boards_number_is_the_chips_and_its_end_is_in_the_name():
    ours = board(unique_id=lambda: bytes.fromhex("e66038b713c5"))
    assert (ours.unique_id(), ours.default_device()) == ("e66038b713c5", "my-board-b713c5")
    assert board().default_device() == "my-board-000000"


@pytest.mark.parametrize(
    "chip, cleared", [("Raspberry Pi Pico with RP2040", 0x4005B000), ("Raspberry Pi Pico 2 W with RP2350", 0x400DB000)]
)
def test_the_watchdog_of_an_rp2_is_switched_off(monkeypatch, chip, cleared):
    memory = {}
    ours = board(WDT=lambda timeout: SimpleNamespace(feed=None), mem32=memory)
    monkeypatch.setattr(sys, "platform", "rp2")
    monkeypatch.setattr(sys.implementation, "_machine", chip, raising=False)
    ours.stop_watchdog()
    assert not memory, "none runs"
    assert ours.start_watchdog(8) and ours.watchdog_s == 8
    ours.stop_watchdog()
    assert memory == {cleared: 1 << 30} and not ours.watchdog_s


def test_the_watchdog_of_an_esp32_is_made_to_wait(monkeypatch):
    made = []
    ours = board(WDT=lambda id=0, timeout=5000: made.append(timeout) or SimpleNamespace(feed=None))
    monkeypatch.setattr(sys, "platform", "esp32")
    ours.start_watchdog(8)
    ours.stop_watchdog()
    assert made == [8000, 1 << 29]


def test_a_board_without_a_watchdog_works():
    ours = board()
    assert not ours.watchdog_reset() and not ours.start_watchdog(8)
    ours.feed_watchdog()


def test_the_reported_facts_about_a_board():
    facts = board(unique_id=lambda: b"\x01").facts()
    assert facts["board"] == "MY_BOARD" and facts["id"] == "01"
    assert facts["interpreter"].split()[0] == "cpython" and facts["interpreter"].count(".") == 2


def test_existing_and_missing_files(tmp_path):
    ours = Board(network=object(), machine=object(), support=object(), files=f"{tmp_path}/")
    (tmp_path / "b").write_text("")
    (tmp_path / "a").mkdir()
    assert ours.path("b") == str(tmp_path / "b")
    assert [ours.has_file(name) for name in ("a", "b", "c")] == [True, True, False]
    assert ours.folder("") == ["a", "b"] and ours.folder("c") == []
