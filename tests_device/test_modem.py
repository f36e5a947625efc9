"""A modem that needs AT commands before PPP (firmware/network/chat.py), on the emulated board's cable."""

import json
import time

import pytest

from tests_device.conftest import KIND
from tests_device.device import Device
from tests_device.test_firmware import Control
from tools.emulator.modem import Modem

PIN = "1234"
APN = "internet"
LINES = ["ATZ", "ATE0", f"AT+CPIN={PIN}", f'AT+CGDCONT=1,"IP","{APN}"', "ATD*99#"]
UP_SEC = 90

pytestmark = pytest.mark.skipif(KIND != "PICO_PPP", reason="needs the emulated board with PPP")


@pytest.fixture
def dialling(networked, new_board):
    """Returns a function f(modem options), which starts a board with the firmware and such a modem."""

    def start(**options):
        board = new_board(2, network=False)
        board.connect_network(modem=lambda send: Modem(send, **options))
        device = Device(board.port)
        device.soft_reset()
        device.write_file("/config.json", json.dumps({"ppp": {"chat": LINES}, "network": {"ntp": ""}}).encode())
        device.run_firmware()
        board.console = device.console
        return board

    return start


def ping(board):
    control = Control(board.address)
    answer = control.word("ping")
    control.close()
    return answer


def test_a_modem_is_dialled_and_again_after_a_reset_in_the_middle_of_a_call(dialling):
    board = dialling(pin=PIN, apn=APN)
    assert board.link.wait_up(UP_SEC)
    assert board.link.modem.said == [*LINES[:2], "AT+CPIN?", *LINES[2:]]
    assert ping(board) == "pong"
    board.reset()
    assert board.link.modem.online, "the lost link was not noticed"
    assert board.link.wait_down(UP_SEC) and board.link.wait_up(UP_SEC)
    assert board.link.modem.said[6:] == [*LINES[:2], "AT+CPIN?", *LINES[3:]], "no PIN is sent to an unlocked SIM"
    assert ping(board) == "pong"


def test_a_call_that_the_network_ends_is_made_again(dialling):
    board = dialling()
    assert board.link.wait_up(UP_SEC)
    board.link.hang_up()
    assert board.link.wait_down(UP_SEC) and board.link.wait_up(UP_SEC)
    assert ping(board) == "pong" and board.link.modem.said.count("ATD*99#") == 2


def test_a_wrong_pin_is_sent_once(dialling):
    board = dialling(pin="4321")
    printed = ""
    deadline = time.monotonic() + UP_SEC
    while "waiting: for the next boot" not in printed:
        assert time.monotonic() < deadline, printed
        time.sleep(0.1)
        printed += board.console()
    assert board.link.modem.pin_tries == 2
    assert "line 3 of ppp.chat: +CME ERROR: 16" in printed and PIN not in printed
