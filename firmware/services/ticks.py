"""Calls `tick()` of a service at regular intervals. Loaded if a service has this method."""

from firmware import const
from XAsyncSockets import XTimer

_LONGEST_TICK_S = const(86400)
_FAILURES_IN_A_ROW = const(10)  # ticks that fail in a row, after which the service gets no more
_LONG_TICK_MS = const(200)


class Ticks:
    """The ticks of a service's Entry. The first one comes at once."""

    def __init__(self, entry, app):
        self._entry = entry
        self._log = app.log
        self._clock = app.clock
        self._failures = 0  # in a row
        self._longest_ms = _LONG_TICK_MS  # a longer tick is reported
        self._timer = XTimer(app.pool, self._tick)
        self._next()

    def stop(self):
        """End them."""
        self._timer.Cancel()

    def _next(self):
        self._timer.Restart(min(max(getattr(self._entry.service, "tick_s", 1), 0.001), _LONGEST_TICK_S))

    def _tick(self, _):
        start = self._clock.uptime_ms()
        done = self._entry.call("tick")
        took_ms = self._clock.uptime_ms() - start
        if took_ms > self._longest_ms:
            self._longest_ms = 2 * took_ms  # a few lines, even if the text varies
            self._log.warning(self._entry.name, f"tick took {took_ms} ms; nothing else could run meanwhile")
        self._failures = 0 if done else self._failures + 1
        if self._failures < _FAILURES_IN_A_ROW:
            self._next()
        else:
            self._log.error(self._entry.name, f"{self._failures} ticks in a row failed: no more of them")
