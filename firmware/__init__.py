"""The firmware: boot, network bring-up, configuration, sensors, telemetry, control, and services of your own.

Everything runs in one thread on one `XAsyncSocketsPool`. `firmware.app.App` puts the parts together,
`firmware.boot.main()` is what a board runs after reset, `python -m firmware` what a computer runs.
"""

import sys

try:
    from micropython import const
except ImportError:

    def const(value):
        """Replaces `micropython.const`, with which private constants cost a board nothing."""
        return value


_ALL_DIGITS = "%.15g" if float("1e300") < float("inf") else "%.7g"  # doubles, or single precision


def number_text(value):
    """A finite number with its significant digits: 8.03, while MicroPython's `str` may give 8.029999999999999."""
    if not isinstance(value, float):
        return str(value)
    short = "%.6g" % value  # the seventh digit of a single-precision number may be wrong
    return short if float(short) == value else _ALL_DIGITS % value


NAME = "XAsyncSockets firmware"
VERSION = "0.1.0"

# Outcomes of a run, after which the board starts again.
REBOOT = "reboot"
SAFE_MODE = "safe mode"


def borrow(name, *more):
    """Import a module that is seldom needed. Only the caller keeps it, because code takes heap on stock MicroPython. A
    module that is loaded already stays.

    `more` names modules that it imports and that are forgotten together with it.
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
    """An object of the class at `path`, "module Class", which is loaded and stays.

    Unlike an import, a long text leaves nothing in MicroPython's table of names if it is not used.
    """
    module, name = path.split()
    return getattr(__import__(module, None, None, (name,)), name)(*args)


class Lean:
    """Its seldom used methods are functions in the module `SELDOM`, which is borrowed for each call. More names, with
    spaces between, are those of modules that leave memory with it."""

    SELDOM = ""

    def __getattr__(self, name):
        function = getattr(borrow(*self.SELDOM.split()), name)
        return lambda *args, **named: function(self, *args, **named)
