"""The time from the network: one datagram there and one back, once up and then once a day."""

import os

from firmware import borrow, const
from XAsyncSockets import XAsyncUDPDatagram, XTimer

_PORT = const(123)
_FIRST_RETRY_S = const(5)
_RETRY_AFTER_LOOKUP_S = const(60)  # by the system, that failed: it may have held up everything else for seconds
_NAME_S = 0.5  # until it is asked again whether the server's address is known by now; twice as long each time
_LONGEST_NAME_S = const(60)
_LONGEST_RETRY_S = const(3600)
_AGAIN_S = const(86400)


def _sntp():
    return borrow("firmware.network.sntp")


class NetworkTime:
    """The service that sets the board's clock."""

    name = "time"

    def __init__(self):
        self._app = None
        self._timer = None
        self._socket = None
        self._mark = b""
        self._retry_s = _FIRST_RETRY_S
        self._name_s = _NAME_S
        self.set_at = None  # uptime

    def start(self, app):
        """Wait for the network."""
        self._app = app
        self._timer = XTimer(app.pool, self._ask)

    def stop(self):
        """End it."""
        self._timer.Cancel()
        self._close()

    def network_up(self, _connection):
        """Ask, unless the board's clock is right without, or the configuration names no server."""
        if self._app.config["network"]["ntp"] and not self._app.board.keeps_time:
            self._retry_s = _FIRST_RETRY_S
            self._name_s = _NAME_S
            self._timer.Restart(0)

    def network_down(self, _reason):
        """Ask no more until it is back."""
        self._timer.Cancel()
        self._close()

    def _close(self):
        if self._socket:
            self._socket.Close()
            self._socket = None

    def _ask(self, _):
        self._close()
        host, _, port = self._app.config["network"]["ntp"].partition(":")
        address = self._app.names.address(host)
        if not address:
            self._timer.Restart(self._name_s)
            self._name_s = min(2 * self._name_s, _LONGEST_NAME_S)
            return
        self._name_s = _NAME_S
        self._mark = os.urandom(8)
        self._socket = XAsyncUDPDatagram.Create(self._app.pool, ("0.0.0.0", 0), recvbufLen=128)
        self._socket.OnRecv = self._on_answer
        self._socket.OnFailsToSend = self._on_unsent
        request = _sntp().request(self._mark)
        self._socket.AsyncSendDatagram(request, (address, int(port or _PORT)))
        self._wait_longer()

    def _wait_longer(self):
        self._timer.Restart(self._retry_s)
        self._retry_s = min(self._retry_s * 2, _LONGEST_RETRY_S)

    def _on_unsent(self, *_):
        self._retry_s = max(self._retry_s, _RETRY_AFTER_LOOKUP_S)
        self._wait_longer()

    def _on_answer(self, _socket, _address, datagram):
        sntp = _sntp()
        seconds = sntp.parse(datagram, self._mark)
        if seconds is None:
            return
        self._app.board.set_time(sntp.moment(seconds))
        self.set_at = self._app.clock.uptime()
        self._app.log.info("time", sntp.stamp(seconds) + " UTC")
        self._close()
        self._retry_s = _FIRST_RETRY_S
        self._timer.Restart(_AGAIN_S)
