"""What the firmware takes of the heap of an emulated board with stock MicroPython, where code lies in the heap."""

import json
import socket
import time

import pytest

from tests_device.conftest import PORT, network_missing
from tools.weigh import BUILT, Scales

# Bytes. They include the modem's buffer of 4 kB, which a Wi-Fi board does not have.
USED_AT_REST = 130000
FREE_AT_REST = 65000
ALL_FILES = 69000
LOADED_FILES = 36000

# ESP32's heap at the start. The first growth doubles it; the second takes everything, also the radio's memory.
ESP32_FIRST = 64 * 1024
ESP32_SECOND = 2 * ESP32_FIRST
IN_PIECES = 6 * 1024  # of it may be in pieces too small to use

CLIENTS = 4
REQUESTS = 20


@pytest.fixture(scope="module")
def scales():
    if PORT:
        pytest.skip("a stock board is an emulated one")
    if network_missing:
        pytest.skip(network_missing)
    if not (BUILT / "firmware.bin").exists():
        pytest.skip("no stock image: make firmware BOARD=PICO_PPP STOCK=1")
    with Scales() as scales:
        yield scales


@pytest.fixture(scope="module")
def running(scales):
    return scales.running()


def test_the_heap_at_rest(running):
    assert running["state"] == "up" and running["sent"]
    assert running["used"] <= USED_AT_REST and running["free"] >= FREE_AT_REST, running


def test_loading_takes_little_more_than_what_stays(running):
    """Else an ESP32's heap has grown over the chip before the firmware runs."""
    assert running["peak"] <= running["used"] + 8 * 1024, running


def test_the_files(scales, running):
    own = [one for one in scales.modules(set(running["modules"])) if one.name != "XAsyncSockets"]
    assert sum(one.file for one in own) <= ALL_FILES
    assert sum(one.file for one in own if one.by_default) <= LOADED_FILES


def growths(used, in_pieces=IN_PIECES):
    """How often an ESP32's heap has grown once so many bytes are in use."""
    return sum(used + in_pieces > size for size in (ESP32_FIRST, ESP32_SECOND))


def test_when_the_heap_of_an_esp32_grows():
    assert [growths(used) for used in (50000, 60000, 120000, 126000)] == [0, 1, 1, 2]


@pytest.fixture(scope="module")
def serving(scales):
    """The heap while four clients ask and get every measurement."""

    def clients():
        deadline = time.monotonic() + 30
        sockets = [socket.create_connection(scales.address, timeout=30) for _ in range(CLIENTS)]
        files = [one.makefile("rwb") for one in sockets]
        for number in range(REQUESTS):
            for file in files:
                method = ("telemetry.subscribe", "info", "sensor.read")[min(number, 1) + number % 2]
                file.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method}).encode() + b"\n")
                file.flush()
            for file in files:
                while json.loads(file.readline()).get("id") != number:  # a notification
                    assert time.monotonic() < deadline
        for file, one in zip(files, sockets):
            file.close()
            one.close()

    return scales.serving(clients)


def test_a_board_that_serves_does_not_fill_its_heap(serving):
    """What is in use goes up and down with the clients' messages, and no further."""
    assert serving["serving"] - serving["floor"] <= 16 * 1024, serving


@pytest.mark.xfail(reason="the library takes 52 kB of such a heap", strict=False)
def test_an_esp32_that_serves_leaves_its_radio_the_memory(serving):
    assert growths(serving["serving"]) <= 1, serving
