"""The firmware put together: one clock, one pool, one loop, and everything that lives on them."""

import gc
import random
import sys

from firmware import NAME, REBOOT, SAFE_MODE, VERSION, borrow, const
from firmware.control import ControlServer
from firmware.control.methods import Methods
from firmware.network.bringup import Bringup
from firmware.network.interface import guarded
from firmware.sensors import SensorHub
from firmware.services import ServiceSet
from XAsyncSockets import XAsyncSocketsPool

_LONGEST_TURN_MS = const(500)  # half of the shortest watchdog
_ANSWER_LEAVES_S = 0.3


class App:
    """Everything a service may need:

    board, config, log, clock, pool, sensors (the hub), methods (of the control server), bringup (the
    network), http (the web server, or None), portal (None, or the own access point while it leads every name to the
    page), names (their addresses), services, device (its name), random (a function: 0 to 1), safe_reason (None, or why
    safe mode)
    """

    http = portal = None

    def __init__(self, board, config, log, clock, safe_reason=None, random=random.random):
        self.board = board
        self.config = config
        self.log = log
        self.clock = clock
        self.safe_reason = safe_reason
        self.random = random
        self.device = config["device"]["name"] or board.default_device()
        self.pool = XAsyncSocketsPool()
        self.pool.OnException = self._on_exception
        self.methods = Methods(log)
        self.sensors = SensorHub(clock, self.pool, log)
        self.bringup = self._make_bringup()
        self._names = None
        self.services = ServiceSet(self)
        self.soon = []  # (function, argument) for the end of a turn: deeper, a chip's stack is too short for methods
        self.outcome = None  # why the loop ended

    def _make_bringup(self):
        make = borrow("firmware.network.links")
        links = make.make_links(self.board, self.config, self.clock)
        return Bringup(
            links, self._make_fallback, self.config["network"], self.clock, self.pool, self.log, self.random
        )

    def _make_fallback(self):
        make = borrow("firmware.network.links").make_fallback
        return make(self.board, self.config, self.device, self.http and self)

    @property
    def names(self):
        """Host names to addresses; loaded when first used."""
        if not self._names:
            from firmware.network.names import Names

            self._names = Names(self.board.network, self.pool, self.clock, self.log)
            self.bringup.listen(self._names)
        return self._names

    def _on_exception(self, socket, error):
        if socket:
            self.log.error("socket", type(socket).__name__, error)
        else:
            self.log.error("loop", "failed", error)

    def start(self):
        """Start everything; after that the loop does the work."""
        self.log.info("boot", f"{NAME} {VERSION}, {self.device}" + (", SAFE MODE" if self.safe_reason else ""))
        if self.safe_reason:
            self.log.warning("boot", f"safe mode: {self.safe_reason}")
        if sys.platform == "esp32":
            borrow("firmware.network.radio").check(self.board, self.log)
        self._load()
        self.services.start()
        self.bringup.listen(self.services)
        guarded(getattr(self.board.network, "hostname", str), self.device)
        self.bringup.start()
        if hasattr(gc, "threshold"):
            gc.threshold(-1)  # boot has set a threshold for the loading
        gc.collect()

    def _load(self):
        if not self.safe_reason:
            borrow("firmware.sensors.load").load(self)
        own = borrow("firmware.own_services").find(self) + [ControlServer(), _Console(self)]
        self.services.load(own, with_user_files=not self.safe_reason)

    def turn(self, longest_ms=_LONGEST_TURN_MS):
        """One turn: handle the sockets' events for up to `longest_ms`, and what is due."""
        self.pool.PollEvents(longest_ms)
        while self.soon:
            try:
                function, argument = self.soon.pop(0)
                function(argument)
            except Exception as error:
                self.log.error("loop", "failed", error)
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
        """End the loop once the answer to the caller has been sent. Then the board starts again."""
        self.pool.CallLater(_ANSWER_LEAVES_S, self.stop, SAFE_MODE if safe_mode else REBOOT)

    def _end(self):
        self.bringup.stop()
        self.services.stop()
        self.pool.StopWaitEvents()


class _Console:
    """The service that tells a person at the console where the board can be reached."""

    name = "console"

    def __init__(self, app):
        self._app = app

    def network_up(self, connection):
        """Print it. Services are told in their order, so the server listens by now."""
        borrow("firmware.console").tell(self._app, connection)
