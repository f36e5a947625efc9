"""The hardware watchdog. What a port cannot switch off again is made to wait for very long."""

import sys

from firmware import const
from firmware.network.interface import guarded

# RP2040 data sheet, sections 4.7.6 and 2.1.2: bits that are written at this distance are cleared.
_RP2_CONTROL = const(0x40058000 + 0x3000)
_RP2350_CONTROL = const(0x400D8000 + 0x3000)
_RP2_ENABLE = const(1 << 30)
_ESP32_LONGEST_MS = const(1 << 29)  # six days; its driver counts in quarters of a millisecond


def start(board, seconds):
    """False where the board has none."""
    watchdog = getattr(board.machine, "WDT", None)
    if not watchdog:
        return False
    board.watchdog = watchdog(timeout=seconds * 1000)
    board.watchdog_s = seconds
    return True


def stop(board):
    """Stop it, or let it wait for very long: a person or mpremote has the REPL."""
    if not board.watchdog_s:
        return
    if sys.platform == "esp32":
        guarded(board.machine.WDT, 0, _ESP32_LONGEST_MS)
    elif sys.platform == "rp2":
        is_rp2350 = "RP2350" in sys.implementation._machine
        board.machine.mem32[_RP2350_CONTROL if is_rp2350 else _RP2_CONTROL] = _RP2_ENABLE
    board.watchdog_s = 0
