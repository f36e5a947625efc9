"""Network bring-up: a state machine that connects the board to a network and keeps it connected.

    down -> connecting -> up                one link after the other, in the configured order
            connecting -> waiting           none came up: wait, longer each time, then all over again
            waiting, connecting + fallback  the board's own access point serves meanwhile

It never blocks: a timer calls each step. The steps until a link is up are in attempts.py, which is loaded only then.
It calls `network_up(connection)` and `network_down(reason)` of its listeners, always alternately.
"""

from firmware import borrow, const
from firmware.network import UP, broadcast_address, guarded
from XAsyncSockets import XTimer

_UP_POLL_S = const(1)


class Connection:
    """A connected network, as passed to the services."""

    def __init__(self, link, address):
        self.name = link.name
        self.address, self.netmask, self.gateway = address
        self.broadcast = broadcast_address(self.address, self.netmask)


class Bringup:
    """The state machine. `random` is a function that returns a number from 0 to 1.

    `make_fallback()` returns the link to use when none of `links` comes up, or None.
    """

    state = "down"
    connection = None
    active = None  # the link that is being tried or in use
    fallback = None
    fallback_is_up = False
    rounds = 0  # rounds that have failed since a link was up
    attempts = None  # the module; None while a link is up

    def __init__(self, links, make_fallback, settings, clock, pool, log, random):
        self.links = links
        self.make_fallback = make_fallback
        self.settings = settings
        self.clock = clock
        self.log = log
        self.random = random
        self.timer = XTimer(pool, self._step)
        self.listeners = []
        self.history = []

    def listen(self, listener):
        """Add `listener` before all others. If the network is up already, call its `network_up` at once."""
        self.listeners.insert(0, listener)
        if self.connection:
            listener.network_up(self.connection)

    def start(self):
        """Try the first link."""
        self._attempt("start")

    def stop(self):
        """Disconnect for good."""
        self._attempt("stop")

    @property
    def can_restart(self):
        """True while a link is up that can be restarted."""
        return self.state == "up" and self.active.restartable  # type: ignore[attr-defined]

    def restart(self, reason):
        """Give up the link in use, and start again with the first one."""
        if self.state == "up":
            self._attempt("lost", reason)

    def rssi(self):
        """Return the signal strength in dBm; None on a network without radio."""
        return self.active.rssi() if self.state == "up" else None  # type: ignore[attr-defined]

    def _attempt(self, step, *args):
        """Call a function of attempts.py."""
        if not self.attempts:
            self.timer.Restart(_UP_POLL_S)  # try again later if there is no memory for it now
            self.attempts = borrow("firmware.network.attempts")
            self.timer.Cancel()
        getattr(self.attempts, step)(self, *args)

    def _step(self, _):
        if self.state != "up":
            self._attempt("step")
            return
        self.timer.Restart(_UP_POLL_S)
        state, error = guarded(self.active.poll)  # type: ignore[attr-defined]
        address = None
        if state == UP:
            address, error = guarded(self.active.address)  # type: ignore[attr-defined]
        connection = self.connection
        if not address:
            self._attempt("lost", error or "link lost")
        elif address != (connection.address, connection.netmask, connection.gateway):  # type: ignore[attr-defined]
            self._attempt("moved", address)
