"""Looks up host names without waiting, at the network's name server (RFC 1035) or by mDNS (RFC 6762).

getaddrinfo() would block everything, even the feeding of the watchdog: an RP2 waits 10 s or more for a silent server.
It is used only on a computer, where the name server is not known.
"""

import os

from firmware import borrow, const
from firmware.network import is_address
from XAsyncSockets import XAsyncUDPDatagram, XTimer

_PORT = const(53)
_NOBODY = const("0.0.0.0")
_MULTICAST = const(("224.0.0.251", 5353))  # the machine with the name answers: RFC 6762, section 5.1
_TRIES_S = const((1, 2, 4))  # how long each question waits for its answer
_SHORTEST_LIFE_S = const(60)
_LONGEST_LIFE_S = const(3600)
_PAUSE_S = const(60)  # pause after a failed look-up; it doubles each time
_LONGEST_PAUSE_S = const(960)
_MOST = const(16)  # names that are remembered


class Names:
    """Host names and their addresses, looked up in the background."""

    def __init__(self, network, pool, clock, log):
        self.network = network
        self.pool = pool
        self.clock = clock
        self.log = log
        self.is_alone = False  # True in the board's own network, which leads nowhere
        self._known = {}

    def address(self, host, turn=0):
        """Return the address of `host`; None if it is not known yet, and then begin to look it up.

        `turn`, any number, chooses among several addresses. On a computer, turn 0 returns the name itself.
        """
        if is_address(host):
            return host
        if not hasattr(self.network, "ipconfig"):
            return self.network.address(host, turn)
        name = self._known.get(host)
        if name is None:
            if len(self._known) >= _MOST:
                self._forget()
            name = self._known[host] = _Name(self, host)
        name.look_up()
        return name.addresses[turn % len(name.addresses)] if name.addresses else None

    def network_up(self, connection):
        """Forget all addresses, because another network may give other answers."""
        self.is_alone = connection.gateway == connection.address
        self._forget()

    def network_down(self, _reason):
        """Forget all addresses, and stop asking."""
        self._forget()

    def forget(self, host):
        """Forget the address of `host`. Return True if no name is left."""
        name = self._known.pop(host, None)
        if name:
            name.stop()
        return not self._known

    def _forget(self):
        for name in self._known.values():
            name.stop()
        self._known = {}


class _Name:
    """A host name, its addresses, and the open question."""

    def __init__(self, names, host):
        self.addresses = ()
        self._names = names
        self._host = host
        self._valid_until = 0  # uptime
        self._server = None
        self._socket = None
        self._dns = None  # the module, while it is needed
        self._mark = b""
        self._tries = 0
        self._pause_s = _PAUSE_S
        self._reason = None  # the last reported reason
        self._timer = XTimer(names.pool, self._ask)

    def look_up(self):
        """Begin to ask, unless the last answer is still valid or a question is open."""
        if self._socket or self._valid_until > self._names.clock.uptime():
            return
        host = self._host.rstrip(".").lower()
        if host.split(".")[-1].isdigit():
            self._fail("neither a name nor an IPv4 address")
            return
        if host.endswith(".local"):
            self._server = _MULTICAST
        elif self._names.is_alone:
            return
        else:
            self._server = (self._names.network.ipconfig("dns"), _PORT)
        if not is_address(self._server[0]) or self._server[0] == _NOBODY:
            self._fail("there is no name server")
            return
        self._socket = XAsyncUDPDatagram.Create(self._names.pool, ("0.0.0.0", 0), recvbufLen=512)
        self._socket.OnRecv = self._on_answer
        self._dns = borrow("firmware.network.dns")
        self._tries = 0
        self._ask()

    def stop(self):
        """Stop asking."""
        self._timer.Cancel()
        self._dns = None
        if self._socket:
            self._socket.Close()
            self._socket = None

    def _ask(self, _=None):
        if self._tries == len(_TRIES_S):
            self._fail(f"{self._server[0]} does not answer")
            return
        self._timer.Restart(_TRIES_S[self._tries])
        self._tries += 1
        self._mark = os.urandom(2)
        self._socket.AsyncSendDatagram(self._dns.question(self._mark, self._host), self._server)

    def _on_answer(self, _socket, sender, datagram):
        if sender[0] != self._server[0] and self._server != _MULTICAST:
            return
        found = self._dns.parse(bytes(datagram), self._mark)
        if not found:
            return
        addresses, life_s = found
        if not addresses:
            self._fail("unknown")
            return
        self.addresses = addresses
        self._pause_s = _PAUSE_S
        self._reason = None
        self._keep_for(min(max(life_s, _SHORTEST_LIFE_S), _LONGEST_LIFE_S))

    def _fail(self, reason):
        """Keep the known addresses, if there are any, because a name server may be silent for a while."""
        self._keep_for(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        if reason != self._reason:  # reported once; last, because syslog may ask for this name
            self._reason = reason
            self._names.log.warning("names", f"{self._host}: {reason}")

    def _keep_for(self, seconds):
        self.stop()
        self._valid_until = self._names.clock.uptime() + seconds
