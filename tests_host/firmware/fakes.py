"""Stand-ins for what a test wants to own: the time, the log, a board's modules."""

from firmware.board import Board
from firmware.clock import Clock, Timers
from firmware.config import Config
from firmware.log import Log


class FakeClock(Clock):
    """Time that goes on only when the test says so; starts shortly before the ticks wrap."""

    def __init__(self, ticks=(1 << 30) - 5000):
        self.now = ticks
        super().__init__()

    def ticks(self):
        return self.now % (1 << 30)


class Bench:
    """Clock, timers, log and configuration for one part of the firmware."""

    def __init__(self, folder, network=None, machine=None, support=None):
        self.errors = []
        self.clock = FakeClock()
        self.timers = Timers(self.clock, self.errors.append)
        self.log = Log(self.clock, console=False)
        self.board = Board(network or object(), machine or object(), support or object(), str(folder))
        self.config = Config(self.board, self.log)

    def advance(self, seconds, step_ms=50):
        """Let time pass, in small steps, running what is due. An error in a timer is the test's error."""
        end = self.clock.now + int(seconds * 1000)
        while self.clock.now < end:
            self.clock.now = min(self.clock.now + step_ms, end)
            self.timers.run_due()
            if self.errors:
                raise self.errors.pop()

    def texts(self):
        return [entry["text"] for entry in self.log.tail(100)]
