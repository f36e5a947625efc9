"""Announces the board on the network. Loaded if the telemetry does not do that, or not often enough."""

from XAsyncSockets import XAsyncUDPDatagram, XTimer

PERIOD_S = 5


class Announcer:
    """The service that announces the board: it sends a telemetry line whose only reading is the control server's
    port."""

    name = "announce"

    def __init__(self):
        self._app = None
        self._timer = None
        self._socket = None
        self._target = None

    def start(self, app):
        """Wait for the network."""
        self._app = app
        self._timer = XTimer(app.pool, self._announce)

    def stop(self):
        """End it."""
        self.network_down("stopped")

    def network_up(self, connection):
        """Begin."""
        self._socket = XAsyncUDPDatagram.Create(self._app.pool, recvbufLen=16, broadcast=True)
        self._target = (connection.broadcast, self._app.config["network"]["announce"])
        self._timer.Restart(0)

    def network_down(self, _reason):
        """Stop announcing until the network is back."""
        self._timer.Cancel()
        if self._socket:
            self._socket.Close()
            self._socket = None

    def _announce(self, _):
        self._timer.Restart(PERIOD_S)
        app = self._app
        port = getattr(app.services.get("control"), "port", None) or 0
        line = f"board,device={app.device} control={port}i,uptime={app.clock.uptime()}i\n"
        self._socket.AsyncSendDatagram(line.encode(), self._target)
