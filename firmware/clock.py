"""The board's uptime, which never wraps. To call something later, use the library's `pool.CallLater` or `XTimer`."""

try:
    from time import ticks_diff, ticks_ms
except ImportError:  # CPython
    from time import monotonic_ns  # type: ignore[attr-defined]

    _PERIOD = 1 << 30

    def ticks_ms():
        """Milliseconds since an arbitrary start."""
        return monotonic_ns() // 1000000

    def ticks_diff(end, start):
        """Return the signed milliseconds from `start` to `end`. They must be less than 6 days apart."""
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2


class Clock:
    """The board's milliseconds. Read it at least once a day; otherwise it misses a wrap of the counter."""

    def __init__(self):
        self._last = self.ticks()
        self._ms = 0

    def ticks(self):
        """Milliseconds that wrap; compare them only with `ticks_diff`."""
        return ticks_ms()

    def uptime(self):
        """Whole seconds since the clock was made."""
        return self.uptime_ms() // 1000

    def uptime_ms(self):
        """Milliseconds since the clock was made; does not wrap."""
        now = self.ticks()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms
