"""The seldom used methods of `Board`: what it asks the chip for, the board's own parts, and the watchdog."""

import binascii
import os
import sys

from firmware import const
from firmware.network import guarded

# RP2040 data sheet, sections 4.7.6 and 2.1.2: bits that are written at this distance are cleared.
_RP2_CONTROL = const(0x40058000 + 0x3000)
_RP2350_CONTROL = const(0x400D8000 + 0x3000)
_RP2_ENABLE = const(1 << 30)
_ESP32_LONGEST_MS = const(1 << 29)  # six days; its driver counts in quarters of a millisecond


def folder(board, name):
    """The sorted names in a folder; empty if there is no such folder."""
    try:
        return sorted(os.listdir(board.path(name)))
    except OSError:
        return []


def unique_id(board):
    """The chip's own number as hexadecimal text."""
    try:
        return binascii.hexlify(board.machine.unique_id()).decode()
    except (AttributeError, OSError):
        return "000000"


def default_device(board):
    """A device name that differs between boards of the same kind: "unix-3fa2c1"."""
    return f"{board.name.lower().replace('_', '-')}-{unique_id(board)[-6:]}"


def facts(board):
    """What `info` reports about the board."""
    version = ".".join(str(part) for part in sys.implementation.version[:3])
    return {
        "board": board.name,
        "id": unique_id(board),
        "interpreter": f"{sys.implementation.name} {version}",
        "platform": sys.platform,
    }


# --- the board's own parts


def sensors(board):
    """The board's own sensors."""
    return getattr(board.support, "sensors", list)()


def lan(board):
    """The board's wired interface, or None."""
    return getattr(board.support, "lan", lambda: None)()


def uart(board, baud):
    """The UART of the board's modem, or None."""
    return getattr(board.support, "uart", lambda baud: None)(baud)


def set_time(board, moment):
    """Set the board's clock to `moment`: (year, month, day, weekday, hour, minute, second, 0), UTC."""
    clock = getattr(board.machine, "RTC", None)
    if clock:
        clock().datetime(moment)


# --- the watchdog. What a port cannot switch off again is made to wait for very long.


def watchdog_reset(board):
    """True if the watchdog caused the last reset."""
    cause = getattr(board.machine, "reset_cause", None)
    return bool(cause) and cause() == getattr(board.machine, "WDT_RESET", None)


def start_watchdog(board, seconds):
    """Start the watchdog; False if the board has none."""
    watchdog = getattr(board.machine, "WDT", None)
    if not watchdog:
        return False
    board.watchdog = watchdog(timeout=seconds * 1000)
    board.watchdog_s = seconds
    return True


def stop_watchdog(board):
    """Stop the watchdog, or let it wait for very long: the loop has ended, and a person or mpremote has the REPL."""
    if not board.watchdog_s:
        return
    if sys.platform == "esp32":
        guarded(board.machine.WDT, 0, _ESP32_LONGEST_MS)
    elif sys.platform == "rp2":
        is_rp2350 = "RP2350" in sys.implementation._machine
        board.machine.mem32[_RP2350_CONTROL if is_rp2350 else _RP2_CONTROL] = _RP2_ENABLE
    board.watchdog_s = 0


# --- the system of an ESP32


def _esp32(name):
    """What the module `esp32` calls so, or None elsewhere."""
    try:
        return getattr(__import__("esp32"), name, None)
    except ImportError:
        return None


def _partition(find):
    """find(esp32.Partition, the running partition), or None if there are no partitions."""
    partition = _esp32("Partition")
    try:
        return find(partition, partition(partition.RUNNING)) if partition else None
    except OSError:
        return None  # the flash has one partition for images


def running_partition(_board):
    """The name of the partition that the image runs from, or None."""
    return _partition(lambda _, running: running.info()[4])


def other_partition(_board):
    """The partition for a new image, or None."""
    return _partition(lambda _, running: running.get_next_update())


def keep_image(_board):
    """Tell the bootloader that the running image is good. Otherwise a new image runs only once."""
    _partition(lambda partition, _: partition.mark_app_valid_cancel_rollback())


def system_heap(_board):
    """The free memory of an ESP32's system in bytes: now, its largest piece, the least so far. None elsewhere."""
    info = _esp32("idf_heap_info")
    if not info:
        return None
    parts = info(_esp32("HEAP_DATA"))
    return {
        "free": sum(part[1] for part in parts),
        "largest": max(part[2] for part in parts),
        "least": sum(part[3] for part in parts),
    }
