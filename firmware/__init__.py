"""The firmware: boot, network, configuration, sensors, telemetry, control, and your own services.

Everything runs in one thread on one `XAsyncSocketsPool`. `firmware.app.App` connects the parts. A board runs
`firmware.boot.main()` after reset, and a computer runs `python -m firmware`.
"""

import sys

try:
    from micropython import const
except ImportError:

    def const(value):
        """Replace `micropython.const`, which makes private constants free on a board."""
        return value


_ALL_DIGITS = "%.15g" if float("1e300") < float("inf") else "%.7g"  # double or single precision


def number_text(value):
    """Return a finite number with its significant digits: 8.03, where MicroPython's `str` may give
    8.029999999999999."""
    if not isinstance(value, float):
        return str(value)
    short = "%.6g" % value  # the seventh digit of a single-precision number may be wrong
    return short if float(short) == value else _ALL_DIGITS % value


NAME = "XAsyncSockets firmware"
VERSION = "0.1.0"

# Outcomes of a run after which the board restarts.
REBOOT = "reboot"
SAFE_MODE = "safe mode"


def borrow(name, *more):
    """Import a rarely used module, which only the caller keeps: on stock MicroPython, code takes heap. A module that
    was already loaded stays loaded.

    `more` names modules that it imports; they are unloaded together with it.
    """
    if name in sys.modules:
        return sys.modules[name]
    new = [one for one in (name,) + more if one not in sys.modules]
    module = __import__(name, None, None, (name,))
    for one in new:
        if sys.modules.pop(one, None):
            package, _, stem = one.rpartition(".")
            sys.modules[package].__dict__.pop(stem, None)
    return module


def make(path, *args):
    """Load the class at `path`, "module Class", for good, and return an object of it.

    Unlike an import statement, a long string adds nothing to MicroPython's table of names until it is used.
    """
    module, name = path.split()
    return getattr(__import__(module, None, None, (name,)), name)(*args)


class Lean:
    """A class whose rarely used methods are functions in the module `SELDOM`, which is borrowed for each call.
    `SELDOM` may name more modules, separated by spaces, to unload together with it."""

    SELDOM = ""

    def __getattr__(self, name):
        function = getattr(borrow(*self.SELDOM.split()), name)
        return lambda *args, **named: function(self, *args, **named)
