"""Stand-ins that a test controls, for the time, the log and a board's modules."""

import XAsyncSockets
from firmware.board import Board
from firmware.clock import Clock
from firmware.config import Config
from firmware.log import Log

PERIOD = 1 << 30


class FakeClock(Clock):
    """Time that passes only when the test says so, also for the library. It starts shortly before the ticks wrap.

    conftest.py gives the library its own time back after each test. A pool that waits on this clock never ends, so
    tests call `PollEvents()` without a time.
    """

    def __init__(self, ticks=PERIOD - 5000):
        self.now = ticks
        super().__init__()
        XAsyncSockets._ticks_ms = self.ticks
        XAsyncSockets._ticks_add = lambda ticks, delta: (ticks + delta) % PERIOD
        XAsyncSockets._ticks_diff = lambda end, start: (end - start + PERIOD // 2) % PERIOD - PERIOD // 2

    def ticks(self):
        return self.now % PERIOD


class Bench:
    """The clock, pool, log and configuration for a test of one part of the firmware."""

    def __init__(self, folder, network=None, machine=None, support=None):
        self.errors = []
        self.clock = FakeClock()
        self.pool = XAsyncSockets.XAsyncSocketsPool()
        self.pool.OnException = lambda socket, error: self.errors.append(error)
        self.log = Log(self.clock, console=False)
        self.board = Board(network or object(), machine or object(), support or object(), str(folder))
        self.config = Config(self.board, self.log)

    def advance(self, seconds, step_ms=50):
        """Let time pass in small steps, and run the timers that are due. An error in a timer fails the test."""
        end = self.clock.now + int(seconds * 1000)
        while self.clock.now < end:
            self.clock.now = min(self.clock.now + step_ms, end)
            self.pool.PollEvents()
            if self.errors:
                raise self.errors.pop()

    @property
    def waiting(self):
        """Return the timers that are pending."""
        return self.pool._timers

    def texts(self):
        return [entry["text"] for entry in self.log.tail(100)]
