"""The board's hardware: its modules `network` and `machine`, and its identity, files and watchdog.

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

import os
import sys

from firmware import Lean


def _module(name):
    """A module that some boards lack, or None."""
    try:
        return __import__(name)
    except ImportError:
        return None


class Board(Lean):
    """One board. Tests use the arguments to replace the detected hardware."""

    SELDOM = "firmware.hardware"
    last_update = None  # state of the image: "on trial", "kept" or "went back"
    settings_on_trial = False
    watchdog = None
    watchdog_s = 0  # the watchdog's time limit; 0: it is off

    def __init__(self, network=None, machine=None, support=None, files=None):
        self.network = network or _module("network")
        self.machine = machine or _module("machine")
        self.support = support or _module("board_support")
        self.name = getattr(self.support, "NAME", sys.platform)
        self.files = files or getattr(self.support, "FILES", "/")
        self.reserved_pins = getattr(self.support, "RESERVED_PINS", ())
        self.keeps_time = getattr(self.support, "KEEPS_TIME", False)

    def path(self, name):
        """Return the path of the file `name` on the board."""
        return self.files.rstrip("/") + "/" + name

    def has_file(self, name):
        """Return True if the file or folder exists."""
        try:
            os.stat(self.path(name))
            return True
        except OSError:
            return False

    def feed_watchdog(self):
        """Feed the watchdog if it runs."""
        if self.watchdog:
            self.watchdog.feed()

    def reset(self):
        """Reset the board, like switching it off and on."""
        self.machine.reset()
