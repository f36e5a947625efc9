"""The board's hardware: its modules `network` and `machine`, its identity, its files, its watchdog.

A board describes itself in a frozen module `board_support` (boards/<NAME>/modules/board_support.py).
Everything in it is optional:

    NAME            the board's name, shown by `info`
    FILES           folder that holds config.json and the user's files (default: "/")
    RESERVED_PINS   pins that the control server must not touch
    KEEPS_TIME      True if the clock is right without NTP
    sensors()       the board's own sensors, a list
    lan()           its wired interface, not yet active
    uart(baud)      the UART of its PPP modem
"""

import binascii
import os
import sys

from firmware import borrow


def _module(name):
    """A module that some boards lack, or None."""
    try:
        return __import__(name)
    except ImportError:
        return None


class Board:
    """One board. Tests use the arguments to replace what it would find by itself."""

    def __init__(self, network=None, machine=None, support=None, files=None):
        self.network = network or _module("network")
        self.machine = machine or _module("machine")
        self.support = support or _module("board_support")
        self.name = self._given("NAME", sys.platform)
        self.files = files or self._given("FILES", "/")
        self.reserved_pins = self._given("RESERVED_PINS", ())
        self.keeps_time = self._given("KEEPS_TIME", False)
        self.last_update = None  # of the image: "on trial", "kept" or "went back"
        self.settings_on_trial = False
        self.watchdog = None
        self.watchdog_s = 0  # the time limit of the watchdog; 0: it does not run

    def _given(self, name, default):
        return getattr(self.support, name, default)

    def path(self, name):
        """The path of the file `name` on the board."""
        return self.files.rstrip("/") + "/" + name

    def has_file(self, name):
        """True if there is such a file or folder."""
        try:
            os.stat(self.path(name))
            return True
        except OSError:
            return False

    def folder(self, name):
        """The sorted names in a folder; empty if there is no such folder."""
        try:
            return sorted(os.listdir(self.path(name)))
        except OSError:
            return []

    def unique_id(self):
        """The chip's own number as hexadecimal text."""
        try:
            return binascii.hexlify(self.machine.unique_id()).decode()
        except (AttributeError, OSError):
            return "000000"

    def default_device(self):
        """A device name that differs between boards of the same kind: "unix-3fa2c1"."""
        return f"{self.name.lower().replace('_', '-')}-{self.unique_id()[-6:]}"

    def sensors(self):
        """The board's own sensors."""
        return self._given("sensors", list)()

    def lan(self):
        """The board's wired interface, or None."""
        return self._given("lan", lambda: None)()

    def uart(self, baud):
        """The UART of the board's modem, or None."""
        return self._given("uart", lambda baud: None)(baud)

    def watchdog_reset(self):
        """True if the watchdog caused the last reset."""
        cause = getattr(self.machine, "reset_cause", None)
        return bool(cause) and cause() == getattr(self.machine, "WDT_RESET", None)

    def start_watchdog(self, seconds):
        """Start the watchdog; False if the board has none."""
        return borrow("firmware.watchdog").start(self, seconds)

    def stop_watchdog(self):
        """Stop the watchdog: the loop has ended, and a person has the board."""
        borrow("firmware.watchdog").stop(self)

    def feed_watchdog(self):
        """Tell the watchdog, if it runs, that the loop runs."""
        if self.watchdog:
            self.watchdog.feed()

    def _partition(self, find):
        """find(esp32.Partition, the running partition), or None if there are no partitions (only an ESP32 has them)."""
        partition = getattr(_module("esp32"), "Partition", None)
        try:
            return find(partition, partition(partition.RUNNING)) if partition else None
        except OSError:
            return None  # the flash has one partition for images

    def running_partition(self):
        """The name of the partition that the image runs from, or None."""
        return self._partition(lambda _, running: running.info()[4])

    def other_partition(self):
        """The partition for a new image, or None."""
        return self._partition(lambda _, running: running.get_next_update())

    def keep_image(self):
        """Tell the bootloader that the running image is good. Otherwise a new image runs only once."""
        self._partition(lambda partition, _: partition.mark_app_valid_cancel_rollback())

    def system_heap(self):
        """The free memory of an ESP32's system in bytes: now, its largest piece, the least so far. None elsewhere."""
        esp32 = _module("esp32")
        if not hasattr(esp32, "idf_heap_info"):
            return None
        parts = esp32.idf_heap_info(esp32.HEAP_DATA)
        return {
            "free": sum(part[1] for part in parts),
            "largest": max(part[2] for part in parts),
            "least": sum(part[3] for part in parts),
        }

    def set_time(self, moment):
        """Set the board's clock to `moment`: (year, month, day, weekday, hour, minute, second, 0), UTC."""
        clock = getattr(self.machine, "RTC", None)
        if clock:
            clock().datetime(moment)

    def reset(self):
        """Reset the board, as if it had been switched off and on."""
        self.machine.reset()

    def facts(self):
        """What `info` reports about the board."""
        version = ".".join(str(part) for part in sys.implementation.version[:3])
        return {
            "board": self.name,
            "id": self.unique_id(),
            "interpreter": f"{sys.implementation.name} {version}",
            "platform": sys.platform,
        }
