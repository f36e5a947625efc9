"""Time: a clock whose uptime never wraps, and timers that run between two turns of the pool.

Both take their milliseconds from `Clock.ticks()` alone, so a test that replaces it owns the time.
"""

try:
    from time import ticks_add, ticks_diff, ticks_ms
except ImportError:  # CPython
    from time import monotonic as _monotonic  # type: ignore[attr-defined]

    _PERIOD = 1 << 30

    def ticks_ms():
        """Milliseconds since some start, wrapping as on a 32-bit board."""
        return int(_monotonic() * 1000) % _PERIOD

    def ticks_add(ticks, delta):
        """`ticks` moved by `delta` milliseconds."""
        return (ticks + delta) % _PERIOD

    def ticks_diff(end, start):
        """Signed milliseconds from `start` to `end`, right as long as they are less than 6 days apart."""
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2


LONGEST_MS = 24 * 3600 * 1000  # far below half a period of the ticks, which is 6 days


class Clock:
    """The board's milliseconds. Ask it once a day at least, or the uptime loses a wrap."""

    def __init__(self):
        self._last = self.ticks()
        self._milliseconds = 0
        self._seconds = 0

    def ticks(self):
        """Milliseconds that wrap: to be compared with `ticks_diff` only."""
        return ticks_ms()

    def _advance(self):
        now = self.ticks()
        self._milliseconds += ticks_diff(now, self._last)
        self._last = now
        if self._milliseconds >= 1000:
            self._seconds += self._milliseconds // 1000
            self._milliseconds %= 1000

    def uptime(self):
        """Whole seconds since the clock was made."""
        self._advance()
        return self._seconds

    def uptime_ms(self):
        """Milliseconds since the clock was made; does not wrap."""
        self._advance()
        return self._seconds * 1000 + self._milliseconds


class Timer:
    """Calls `callback()` once, `start(delay_ms)` after; starting it again moves it."""

    def __init__(self, timers, callback):
        self._timers = timers
        self.callback = callback
        self.deadline = 0

    def start(self, delay_ms):
        """Fire `delay_ms` from now: at least 1, at most a day."""
        delay_ms = min(max(int(delay_ms), 1), LONGEST_MS)
        self.deadline = ticks_add(self._timers.clock.ticks(), delay_ms)
        if not self.running:
            self._timers.waiting.append(self)

    def stop(self):
        """Forget the appointment, if there is one."""
        if self.running:
            self._timers.waiting.remove(self)

    @property
    def running(self):
        """True while an appointment is ahead."""
        return self in self._timers.waiting


class Timers:
    """The appointments of the whole firmware: few, so a plain list that allocates nothing is the fastest."""

    def __init__(self, clock, on_error):
        self.clock = clock
        self.waiting = []
        self._on_error = on_error  # f(exception): a callback that raises harms no other

    def timer(self, callback):
        """A new `Timer`, not started."""
        return Timer(self, callback)

    def _earliest(self):
        earliest = None
        for timer in self.waiting:
            if earliest is None or ticks_diff(timer.deadline, earliest.deadline) < 0:
                earliest = timer
        return earliest

    def run_due(self):
        """Fire what is due now, in order of time. What a callback starts waits for the next call."""
        now = self.clock.ticks()
        while True:
            timer = self._earliest()
            if timer is None or ticks_diff(timer.deadline, now) > 0:
                return
            self.waiting.remove(timer)
            try:
                timer.callback()
            except Exception as error:
                self._on_error(error)

    def wait_ms(self, limit):
        """Milliseconds until the next appointment, 0 to `limit`."""
        timer = self._earliest()
        if timer is None:
            return limit
        return min(max(ticks_diff(timer.deadline, self.clock.ticks()), 0), limit)
