"""Gets the time when the network comes up, and then once a day. sntp.py, which asks for it, is loaded only then."""

from firmware import borrow, const
from XAsyncSockets import XTimer

_RETRY_S = const(60)  # pause if there was no memory to ask
_AGAIN_S = const(86400)


class NetworkTime:
    """The service that sets the board's clock."""

    name = "time"
    _query = None

    def start(self, app):
        """Wait for the network."""
        self._app = app
        self._timer = XTimer(app.pool, self._ask)

    def network_up(self, _connection):
        """Ask, unless the clock is right without NTP or no server is configured."""
        if self._app.config["network"]["ntp"] and not self._app.board.keeps_time:
            self._timer.Restart(0)

    def network_down(self, _reason=None):
        """Stop asking until the network is back."""
        self._timer.Cancel()
        if self._query:
            self._query.close()
            self._query = None

    stop = network_down

    def _ask(self, _):
        self._timer.Restart(_RETRY_S)
        self._query = borrow("firmware.network.sntp").Query(self._app, self._is_set)
        self._timer.Cancel()

    def _is_set(self):
        self.network_down()
        self._timer.Restart(_AGAIN_S)
