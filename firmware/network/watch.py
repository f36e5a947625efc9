"""Detects a dead link that the radio still reports as connected.

Every `network.probe_s` seconds it asks the gateway a question that nearly every gateway answers: the name servers of
the DNS root (RFC 1035, 17 bytes). If a gateway that has answered misses several questions in a row, the link is
restarted. If it has never answered, the watching ends.
"""

import os

from firmware import const
from XAsyncSockets import XAsyncUDPDatagram, XTimer

_PORT = const(53)
_FLAGS_ONE_QUESTION = const(b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")  # recursion desired
_ROOT_NS_IN = const(b"\x00\x00\x02\x00\x01")
_MISSES = const(3)


class LinkWatch:
    """The service that asks the gateway."""

    name = "watch"
    port = _PORT

    _socket = None

    def start(self, app):
        """Wait for the network."""
        self._app = app
        self._timer = XTimer(app.pool, self._ask)

    def network_up(self, connection):
        """Begin to ask if the link can be restarted and has a gateway."""
        if not self._app.config["network"]["probe_s"] or not self._app.bringup.can_restart:
            return
        if connection.gateway == "0.0.0.0":
            return
        self._gateway = connection.gateway
        self._answered = False  # since the link came up
        self._misses = 0
        self._mark = b""
        self._socket = XAsyncUDPDatagram.Create(self._app.pool, ("0.0.0.0", 0), recvbufLen=512)
        self._socket.OnRecv = self._on_answer
        self._timer.Restart(0)

    def network_down(self, _reason=None):
        """Stop asking until the network is back."""
        self._timer.Cancel()
        if self._socket:
            self._socket.Close()
            self._socket = None

    stop = network_down

    def _ask(self, _):
        if self._mark:  # the last question has not been answered
            self._misses += 1
            if self._misses >= _MISSES:
                self._give_up()
                return
        self._mark = os.urandom(2)
        question = self._mark + _FLAGS_ONE_QUESTION + _ROOT_NS_IN
        self._timer.Restart(self._app.config["network"]["probe_s"])
        self._socket.AsyncSendDatagram(question, (self._gateway, self.port))

    def _on_answer(self, _socket, _address, datagram):
        if bytes(datagram[:2]) == self._mark:
            self._mark = b""
            self._answered = True
            self._misses = 0

    def _give_up(self):
        if self._answered:
            self._app.bringup.restart(f"the gateway {self._gateway} no longer answers")
        else:
            self._app.log.info("watch", f"the gateway {self._gateway} answers no questions: the link is not watched")
            self.network_down()
