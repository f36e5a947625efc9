"""The application: one clock, one pool, one loop, and everything that uses them."""

import random

from firmware import Lean, borrow, const

_LONGEST_TURN_MS = const(500)  # half of the shortest watchdog


class App(Lean):
    """Everything that a service may need:

    board, config, log, clock, pool, sensors (the hub), methods (of the control server), bringup (the
    network), http (the web server, or None), portal (None, or the board's own access point while it resolves every
    name to the page), names (the addresses of host names), services, device (its name), random (a function: 0 to 1),
    safe_reason (None, or the reason for safe mode)
    """

    SELDOM = "firmware.assembly"
    http = portal = None
    outcome = None  # why the loop ended
    known_names = None

    def __init__(self, board, config, log, clock, safe_reason=None, random=random.random):
        self.board = board
        self.config = config
        self.log = log
        self.clock = clock
        self.safe_reason = safe_reason
        self.random = random
        self.soon = []  # (function, argument), called at the end of a turn, where a chip's stack has enough room left
        self.assemble()

    @property
    def names(self):
        """The addresses of host names; loaded at the first use."""
        if not self.known_names:
            self.load_names()
        return self.known_names

    def make_fallback(self):
        """Return the link to use when no other comes up, or None."""
        make = borrow("firmware.network.links").make_fallback
        return make(self.board, self.config, self.device, self.http and self)

    def report(self, socket, error):
        """Report an error in a handler."""
        self.log.error("socket" if socket else "loop", type(socket).__name__ if socket else "failed", error)

    def turn(self, longest_ms=_LONGEST_TURN_MS):
        """Run one turn: handle the sockets' events for up to `longest_ms`, and what is due."""
        self.pool.PollEvents(longest_ms)
        self.board.feed_watchdog()
        while self.soon:
            try:
                function, argument = self.soon.pop(0)
                function(argument)
            except Exception as error:
                self.report(None, error)
            self.board.feed_watchdog()

    def run(self):
        """Start, run turns until `stop`, and shut down in order. Return the outcome."""
        try:
            self.start()
            while not self.outcome:
                self.turn()
        finally:
            self.end()
        return self.outcome

    def stop(self, outcome):
        """End the loop after this turn."""
        self.outcome = outcome
