"""Network bring-up: one state machine that gets the board onto a network and keeps it there.

    down -> connecting -> up                one link after the other, in the configured order
            connecting -> waiting           none came up: wait, longer each time, then all over again
            waiting, connecting + fallback  the board's own access point serves meanwhile

It never waits itself: every step is a timer's. Listeners are told `network_up(connection)` and
`network_down(reason)`, strictly in turn.
"""

from firmware import const
from firmware.network.interface import FAILED, UP, broadcast_address, guarded
from XAsyncSockets import XTimer

CONNECTING_POLL_S = 0.2
_UP_POLL_S = const(1)
JITTER = 0.25  # part of each wait, so that a whole house does not come back in the same second
_HISTORY = const(20)


class Connection:
    """A network that is up, as the services get it."""

    def __init__(self, link, address):
        self.name = link.name
        self.address, self.netmask, self.gateway = address
        self.broadcast = broadcast_address(self.address, self.netmask)


class Bringup:
    """The state machine. `random` is a function that returns a number from 0 to 1.

    `make_fallback()` returns the link for when none of `links` comes up, or None.
    """

    def __init__(self, links, make_fallback, settings, clock, pool, log, random):
        self.links = links
        self._make_fallback = make_fallback
        self._fallback = None
        self._settings = settings
        self._clock = clock
        self._log = log
        self._random = random
        self._timer = XTimer(pool, self._step)
        self._index = 0
        self.rounds = 0  # that failed since a link was up
        self._deadline_ms = 0
        self._active = None  # the link being tried or in use
        self._fallback_is_up = False
        self._listeners = []
        self.connection = None
        self.state = "down"
        self.history = []

    def listen(self, listener):
        """Tell `listener` from now on, before all others; at once, if the network is up already."""
        self._listeners = [listener] + self._listeners
        if self.connection:
            listener.network_up(self.connection)

    def start(self):
        """Begin with the first link."""
        self._enter("down", "start")
        self._begin_round()

    def stop(self):
        """Leave the network for good."""
        self._timer.Cancel()
        self._lose("stopped")
        self._give_up_link()
        if self._fallback_is_up:
            guarded(self._fallback.stop)
            self._fallback_is_up = False
        self._enter("down", "stopped")

    @property
    def can_restart(self):
        """True while the link in use is one that helps by being started anew."""
        return self.state == "up" and self._active.restartable

    def restart(self, reason):
        """Give the link in use up, and begin with the first again."""
        if self.state == "up":
            self._lost(reason)

    def rssi(self):
        """The signal's strength in dBm; None on a network without radio."""
        return self._active.rssi() if self.state == "up" and self._active else None

    # --- the steps

    def _enter(self, state, text):
        self.state = state
        self.history.append({"uptime": self._clock.uptime(), "state": state, "text": text})
        if len(self.history) > _HISTORY:
            self.history.pop(0)
        self._log.info("network", f"{state}: {text}")

    def _step(self, _):
        if self.state == "up":
            self._watch()
        elif self._active:
            self._check_attempt()
        elif self.state == "connecting":
            self._attempt()  # the last one failed
        else:
            self._begin_round()

    def _has_guests(self):
        """Trying another network would take the radio off their channel."""
        return self._fallback_is_up and self._fallback.has_guests()

    def _begin_round(self):
        if self._has_guests():
            self._timer.Restart(self._wait_s())
            return
        self._index = 0
        self._attempt()

    def _attempt(self):
        while self._index < len(self.links) and self.links[self._index].broken:
            self._index += 1
        if self._index >= len(self.links):
            self._round_failed()
            return
        link = self._active = self.links[self._index]
        self._enter("connecting", link.name)
        wait_ms = link.waits_ms or self._settings["connect_timeout_s"] * 1000
        self._deadline_ms = self._clock.uptime_ms() + wait_ms
        error = guarded(link.start)[1]
        if error:
            self._attempt_failed(error)
        else:
            self._check_attempt()

    def _check_attempt(self):
        state, error = guarded(self._active.poll)
        if state == UP:
            self._use_active()
        elif error or state == FAILED:
            self._attempt_failed(error or self._active.reason)
        elif self._clock.uptime_ms() >= self._deadline_ms:
            self._attempt_failed(self._active.late or "no answer in time")
        elif self._has_guests():
            self._give_up_link()
            self._enter("waiting", "somebody is in the board's own network")
            self._timer.Restart(self._wait_s())
        else:
            self._timer.Restart(CONNECTING_POLL_S)

    def _attempt_failed(self, reason):
        self._enter("connecting", f"{self._active.name}: {reason}")
        self._give_up_link()
        self._index += 1
        self._timer.Restart(0.001)  # through the timer, not by recursion: there may be many links

    def _give_up_link(self):
        if self._active:
            guarded(self._active.stop)
            self._active = None

    def _round_failed(self):
        self.rounds += 1
        if self.links and all(link.broken for link in self.links):
            self._enter("waiting", "for the next boot")
            return
        self._raise_fallback()
        if not self.links:
            self._enter("waiting", "no network is configured")
            return
        wait_s = self._wait_s()
        self._enter("waiting", f"{wait_s:.1f} s")
        self._timer.Restart(wait_s)

    def _wait_s(self):
        """Exponential, bounded, with jitter."""
        seconds = self._settings["backoff_s"] * 2 ** min(max(self.rounds - 1, 0), 16)
        seconds = min(seconds, self._settings["backoff_most_s"])
        return seconds * (1 - JITTER + 2 * JITTER * self._random())

    def _raise_fallback(self):
        if self._fallback_is_up:
            return
        self._fallback = self._fallback or self._make_fallback()
        if not self._fallback:
            return
        error = guarded(self._fallback.start)[1]
        address = None
        if not error:
            address, error = guarded(self._fallback.address)
        if error:
            self._log.error("network", f"{self._fallback.name}: {error}")
            return
        self._fallback_is_up = True
        self._tell_up(Connection(self._fallback, address))

    def _use_active(self):
        address, error = guarded(self._active.address)
        if error:
            self._attempt_failed(error)
            return
        if self._fallback_is_up:
            self._lose(f"{self._active.name} is back")
            guarded(self._fallback.stop)
            self._fallback_is_up = False
        self.rounds = 0
        self._enter("up", f"{self._active.name}, {address[0]}")
        self._tell_up(Connection(self._active, address))
        self._timer.Restart(_UP_POLL_S)

    def _watch(self):
        """Look whether the link in use is still there, with the same address."""
        state, error = guarded(self._active.poll)
        address = None
        if state == UP:
            address, error = guarded(self._active.address)
        if address and self._is_same(address):
            self._timer.Restart(_UP_POLL_S)
        elif address:
            self._lose(f"the address is now {address[0]}")
            self._use_active()
        else:
            self._lost(error or "link lost")

    def _lost(self, reason):
        self._enter("down", f"{self._active.name}: {reason}")
        self._lose(reason)
        self._give_up_link()
        self._begin_round()

    def _is_same(self, address):
        connection = self.connection
        return address == (connection.address, connection.netmask, connection.gateway)

    # --- the listeners

    def _tell_up(self, connection):
        self.connection = connection
        for listener in self._listeners:
            listener.network_up(connection)

    def _lose(self, reason):
        if self.connection:
            self.connection = None
            for listener in self._listeners:
                listener.network_down(reason)
