"""The rarely used methods of `Board`: facts about the chip, the board's own parts, and the watchdog."""

import binascii
import os
import sys

from firmware import const
from firmware.network import guarded

# RP2040 data sheet, sections 4.7.6 and 2.1.2: writing bits at this offset clears them.
_RP2_CONTROL = const(0x40058000 + 0x3000)
_RP2350_CONTROL = const(0x400D8000 + 0x3000)
_RP2_ENABLE = const(1 << 30)
_ESP32_LONGEST_MS = const(1 << 29)  # six days; the driver counts in quarters of a millisecond


def folder(board, name):
    """Return the sorted names in a folder; empty if the folder does not exist."""
    try:
        return sorted(os.listdir(board.path(name)))
    except OSError:
        return []


def unique_id(board):
    """Return the chip's serial number as hexadecimal text."""
    try:
        return binascii.hexlify(board.machine.unique_id()).decode()
    except (AttributeError, OSError):
        return "000000"


def default_device(board):
    """Return a device name that differs between boards of the same kind, such as "unix-3fa2c1"."""
    return f"{board.name.lower().replace('_', '-')}-{unique_id(board)[-6:]}"


def facts(board):
    """Return what `info` reports about the board."""
    version = ".".join(str(part) for part in sys.implementation.version[:3])
    return {
        "board": board.name,
        "id": unique_id(board),
        "interpreter": f"{sys.implementation.name} {version}",
        "platform": sys.platform,
    }


# --- the board's own parts


def sensors(board):
    """Return the board's own sensors."""
    return getattr(board.support, "sensors", list)()


def lan(board):
    """Return the board's wired interface, or None."""
    return getattr(board.support, "lan", lambda: None)()


def uart(board, baud):
    """Return the UART of the board's modem, or None."""
    return getattr(board.support, "uart", lambda baud: None)(baud)


def set_time(board, moment):
    """Set the board's clock to `moment`: (year, month, day, weekday, hour, minute, second, 0), UTC."""
    clock = getattr(board.machine, "RTC", None)
    if clock:
        clock().datetime(moment)


# --- the watchdog. On a port that cannot stop it, stop_watchdog() sets a very long time limit.


def watchdog_reset(board):
    """Return True if the watchdog caused the last reset."""
    cause = getattr(board.machine, "reset_cause", None)
    return bool(cause) and cause() == getattr(board.machine, "WDT_RESET", None)


def start_watchdog(board, seconds):
    """Start the watchdog. Return False if the board has none."""
    watchdog = getattr(board.machine, "WDT", None)
    if not watchdog:
        return False
    board.watchdog = watchdog(timeout=seconds * 1000)
    board.watchdog_s = seconds
    return True


def stop_watchdog(board):
    """Stop the watchdog, or set a very long limit, because the loop has ended and the REPL is in use."""
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
    """Return `name` of the module `esp32`, or None on other chips."""
    try:
        return getattr(__import__("esp32"), name, None)
    except ImportError:
        return None


def _partition(find):
    """Return find(esp32.Partition, the running partition), or None if there are no partitions."""
    partition = _esp32("Partition")
    try:
        return find(partition, partition(partition.RUNNING)) if partition else None
    except OSError:
        return None  # the flash has only one partition for images


def running_partition(_board):
    """Return the name of the partition that the image runs from, or None."""
    return _partition(lambda _, running: running.info()[4])


def other_partition(_board):
    """Return the partition for a new image, or None."""
    return _partition(lambda _, running: running.get_next_update())


def keep_image(_board):
    """Mark the running image as good for the bootloader. Otherwise a new image runs only once."""
    _partition(lambda partition, _: partition.mark_app_valid_cancel_rollback())


def system_heap(_board):
    """Return the free memory of an ESP32's system in bytes: now, the largest block, and the minimum so far. None
    elsewhere."""
    info = _esp32("idf_heap_info")
    if not info:
        return None
    parts = info(_esp32("HEAP_DATA"))
    return {
        "free": sum(part[1] for part in parts),
        "largest": max(part[2] for part in parts),
        "least": sum(part[3] for part in parts),
    }
