"""The firmware put together: one clock, one pool, one loop, and everything that lives on them."""

import gc
import random

from firmware import NAME, VERSION, sensors
from firmware.clock import Timers
from firmware.console import Console
from firmware.control import ControlServer
from firmware.control.methods import Methods
from firmware.control.pins import Pins
from firmware.network.bringup import Bringup
from firmware.network.interface import guarded
from firmware.network.links import make_fallback, make_links
from firmware.network.names import Names
from firmware.network.ntp import NetworkTime
from firmware.network.watch import LinkWatch
from firmware.sensors import SensorHub
from firmware.services import ServiceSet
from firmware.system import System
from firmware.telemetry import Telemetry
from firmware.update import Update
from XAsyncSockets import XAsyncSocketsPool

# Outcomes of a run, after which the board starts again.
REBOOT = "reboot"
SAFE_MODE = "safe mode"

LONGEST_TURN_MS = 500  # half of the shortest watchdog
_ANSWER_LEAVES_MS = 300


class App:
    """Everything a service may need:

    board, config, log, clock, timers, pool, sensors (the hub), methods (of the control server), bringup (the
    network), names (their addresses), services, device (its name), random (a function: 0 to 1), safe_reason (None,
    or why safe mode)
    """

    def __init__(self, board, config, log, clock, safe_reason=None, random=random.random):
        self.board = board
        self.config = config
        self.log = log
        self.clock = clock
        self.safe_reason = safe_reason
        self.random = random
        self.device = config["device"]["name"] or board.default_device()
        self.timers = Timers(clock, lambda error: log.error("timer", "failed", error))
        self.pool = XAsyncSocketsPool()
        self.pool.OnException = self._on_exception
        self.methods = Methods(log)
        self.sensors = SensorHub(clock, self.timers, log)
        self.bringup = self._make_bringup()
        self.names = Names(board.network, self.pool, clock, self.timers, log)
        self.services = ServiceSet(self)
        self.outcome = None  # why the loop ended

    def _make_bringup(self):
        links = make_links(self.board, self.config, self.clock)
        fallback = make_fallback(self.board, self.config, self.device)
        return Bringup(
            links, fallback, self.config["network"], self.clock, self.timers, self.log, self.random
        )

    def _on_exception(self, socket, error):
        self.log.error("socket", type(socket).__name__, error)

    def start(self):
        """Start everything; from here on it is the loop's."""
        self.log.info("boot", f"{NAME} {VERSION}, {self.device}" + (", SAFE MODE" if self.safe_reason else ""))
        if self.safe_reason:
            self.log.warning("boot", f"safe mode: {self.safe_reason}")
        self._load()
        self.services.start()
        self.bringup.listen(self.names)
        self.bringup.listen(self.services)
        guarded(getattr(self.board.network, "hostname", str), self.device)
        self.bringup.start()
        gc.collect()

    def _load(self):
        if self.safe_reason:
            self.services.load([System(), ControlServer(), Update(), Console()], with_user_files=False)
            return
        sensors.load(self)
        own = [System(), Pins(), Telemetry(), NetworkTime(), LinkWatch(), ControlServer(), Update(), Console()]
        self.services.load(own, with_user_files=True)

    def turn(self, longest_ms=LONGEST_TURN_MS):
        """One turn: what is due, then what the sockets bring within `longest_ms`."""
        self.timers.run_due()
        self.pool.PollEvents(self.timers.wait_ms(longest_ms))
        self.board.feed_watchdog()

    def run(self):
        """Start, turn until `stop`, and end in order. Returns the outcome."""
        try:
            self.start()
            while not self.outcome:
                self.turn()
        finally:
            self._end()
        return self.outcome

    def stop(self, outcome):
        """End the loop after this turn."""
        self.outcome = outcome

    def restart_later(self, safe_mode=False):
        """End the loop once the answer to who asked for it has left. Then the board starts again."""
        self.timers.timer(lambda: self.stop(SAFE_MODE if safe_mode else REBOOT)).start(_ANSWER_LEAVES_MS)

    def _end(self):
        self.bringup.stop()
        self.services.stop()
        self.pool.StopWaitEvents()
