"""The heap that the firmware takes on an emulated board with stock MicroPython, where code is in the heap."""

import pytest

from tests_device.conftest import PORT, network_missing
from tools.flash.deploy import sources
from tools.image.heap import growths
from tools.weigh.scales import BUILT, Scales, modem_buffer

# Limits in bytes. The heap in use includes the modem's buffer of 4 kB, which a Wi-Fi board does not have.
USED_AT_REST = 97000
FREE_AT_REST = 98000
DEPLOYED_FILES = 88000
LOADED_FILES = 16700


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
    """Otherwise an ESP32's heap would fill the chip before the firmware runs."""
    assert running["peak"] <= running["used"] + 8 * 1024, running


def test_the_files(scales, running):
    """The firmware's files on a board without settings, and those that stay loaded; without the library."""
    own = {one.name: one for one in scales.modules(set(running["modules"])) if one.name != "XAsyncSockets"}
    deployed = {name[len("/lib/") : -len(".mpy")].replace("/", ".") for name, _ in sources(None, {})}
    deployed = {name.replace(".__init__", "") for name in deployed} & set(own)
    assert sum(own[name].file for name in deployed) <= DEPLOYED_FILES
    assert sum(one.file for one in own.values() if one.by_default) <= LOADED_FILES


@pytest.fixture(scope="module")
def serving(scales):
    """Measure the heap while four clients send requests and get every measurement."""
    return scales.serving()


def test_a_board_that_serves_does_not_fill_its_heap(serving):
    """The heap in use rises and falls with the clients' messages, and does not grow."""
    assert serving["serving"] - serving["floor"] <= 16 * 1024, serving


def test_an_esp32_that_serves_leaves_its_radio_the_memory(serving):
    assert growths(serving["serving"] - modem_buffer()) <= 1, serving


def test_the_stack_is_deep_enough_for_the_settings(scales):
    """Stock MicroPython has 8 KiB; checking all settings takes a third of it."""
    assert scales.answer("config.get", key="wifi")["result"]["country"] == "XX"
