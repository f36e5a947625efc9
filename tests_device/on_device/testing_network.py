"""Brings up the board's network for the tests. It runs on the board, and does not use the firmware, which is under
test.

The interface is the one that the board has: PPP (the emulated board, a modem), Ethernet, or Wi-Fi with the networks of
the board's own config.json.
"""

import json
import time

import network

LIMIT_MS = 30000
BAUD = 3000000

_interface = None


def up():
    """Connect, and return the board's address."""
    global _interface
    if _interface is None or not _interface.isconnected():
        _interface = _connect()
        _wait(_interface)
    return _interface.ipconfig("addr4")[0]


def down():
    """Hang up."""
    if _interface is not None:
        _interface.disconnect()


def _connect():
    try:
        import board_support
    except ImportError:  # a stock image, which has our files in its filesystem
        board_support = None

    if hasattr(board_support, "uart"):
        ppp = network.PPP(board_support.uart(BAUD))
        ppp.connect()
        return ppp
    if hasattr(board_support, "lan"):
        lan = board_support.lan()
        lan.active(True)
        return lan
    wlan = network.WLAN(network.WLAN.IF_STA)
    wlan.active(True)
    with open("/config.json") as file:
        known = json.load(file)["wifi"]["networks"][0]
    wlan.connect(known["ssid"], known.get("password"))
    return wlan


def _wait(interface):
    start = time.ticks_ms()
    while not interface.isconnected():
        if time.ticks_diff(time.ticks_ms(), start) > LIMIT_MS:
            raise OSError("no network after %d s, status %s" % (LIMIT_MS // 1000, interface.status()))
        time.sleep_ms(10)
