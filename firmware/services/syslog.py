"""Sends the log to another machine: RFC 5424 over UDP (RFC 5426), one datagram per line.

The board's clock may be wrong, so a line has "-" as its time and the uptime as `meta` (section 7.3).
"""

from firmware import const
from firmware.network import is_address
from XAsyncSockets import XAsyncUDPDatagram

_PORT = const(514)
_LOCAL0 = const(128)  # the facility
_SEVERITIES = {"error": 3, "warning": 4, "info": 6}
_MOST_BEHIND = const(12)  # lines that are sent later, once the server can be reached


class Syslog:
    """The service that sends each line."""

    name = "syslog"

    def __init__(self):
        self._app = None
        self._socket = None
        self._target = None
        self._count = 0
        self._behind = 0  # the uptime of the first line that is not sent, or None

    def start(self, app):
        """Subscribe to the log."""
        self._app = app
        host, _, port = app.config["log"]["syslog"].partition(":")
        self._target = host, int(port or _PORT)
        app.log.listeners.append(self._on_line)

    def stop(self):
        """Unsubscribe from the log."""
        self._app.log.listeners.remove(self._on_line)
        self.network_down("stopped")

    def network_up(self, _connection):
        """Open a new socket for a new network."""
        self._socket = XAsyncUDPDatagram.Create(self._app.pool, recvbufLen=16)
        self._socket.OnFailsToSend = lambda *_: None  # not logged, as that would be another line

    def network_down(self, _reason):
        """Keep the lines until the network is back."""
        if self._behind is None:
            self._behind = self._app.clock.uptime()  # the line about this has most likely not arrived
        if self._socket:
            self._socket.Close()
            self._socket = None

    def tick(self):
        """Send the lines that were kept."""
        address = self._behind is not None and self._address()
        if address:
            first, self._behind = self._behind, None
            for entry in self._app.log.tail(_MOST_BEHIND):
                if entry["uptime"] >= first:
                    self._send(entry, address)

    def _address(self):
        host = self._target[0]
        return self._socket and (host if is_address(host) else self._app.names.address(host))

    def _on_line(self, entry):
        if self._behind is not None:
            return
        try:
            address = self._address()
            if address:
                self._send(entry, address)
                return
        except Exception:  # no memory: a line of the log must not raise
            pass
        self._behind = entry["uptime"]

    def _send(self, entry, address):
        self._count = self._count % 0x7FFFFFFF + 1
        source = "".join([c if "!" <= c <= "~" else "_" for c in entry["source"]])[:32]
        head = f"<{_LOCAL0 + _SEVERITIES[entry['level']]}>1 - {self._app.device} firmware - {source}"
        facts = f'[meta sequenceId="{self._count}" sysUpTime="{100 * entry["uptime"]}"]'
        line = f"{head} {facts} {entry['text']}"
        self._socket.AsyncSendDatagram(line.encode(), (address, self._target[1]))
