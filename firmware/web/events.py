"""GET /events: sends readings, log and network to every client when they change, as Server-Sent Events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from firmware import const
from firmware.control.jsonrpc import RpcError
from firmware.jsontext import dumps
from firmware.network import guarded
from firmware.web.request import HttpError, crowding
from XAsyncSockets import XTimer

_START = b"retry: 3000\n\n"
_TICK_S = const(1)
_QUIET_TICKS = const(15)  # ticks without an event, after which a comment keeps the connection alive
_RSSI_STEP = const(4)  # dB; smaller changes are noise
_MOST_ENTRIES = const(8)  # log entries that are sent at once


class Events:
    """The clients, and the last events that they got."""

    def __init__(self, app, most):
        self._app = app
        self._most = most
        self._clients = []
        self._runs = False
        self._ticks = 0
        self._network = None
        self._entries = []  # log entries that are not sent yet
        self._telemetry = None
        self._timer = XTimer(app.pool, self._tick)

    def add(self, request):
        """Add a client."""
        if request.is_foreign:
            raise HttpError(403, "a page of another site may not do this")
        self._forget_closed()
        if len(self._clients) >= self._most:
            goes = crowding(self._clients, request.address)
            if not goes:
                raise HttpError(503, f"at most {self._most} clients get events at a time", ("Retry-After: 10",))
            goes.close()
            self._clients.remove(goes)
        if not self._runs:  # it runs until the next tick, even without a client
            self._begin()
        self._clients.append(request)
        request.stream("text/event-stream", _START + _event("network", self._network))

    def check_access(self, _writes):
        """Allow the access, because it only reads."""

    def _begin(self):
        self._entries = []
        self._network = self._look_at_network()
        self._ticks = 0
        self._timer.Restart(_TICK_S)
        self._app.log.listeners.append(self._on_entry)
        self._runs = True
        try:
            self._app.methods.call(self, "telemetry.get", ())  # this loads the telemetry
            self._telemetry = self._app.services.get("telemetry")
            self._telemetry.listeners.append(self)
        except (RpcError, AttributeError):
            self._telemetry = None  # there is none in safe mode

    def _end(self):
        self._runs = False
        self._app.log.listeners.remove(self._on_entry)
        if self._telemetry:
            self._telemetry.listeners.remove(self)

    def _forget_closed(self):
        self._clients = [one for one in self._clients if not one.closed]

    def _tell(self, data):
        for one in self._clients:
            one.push(data)

    def notify(self, readings):
        """Send the readings that the telemetry has measured."""
        self._tell(_event("readings", readings))

    def _tick(self, _):
        self._forget_closed()
        if not self._clients:
            self._end()
            return
        self._timer.Restart(_TICK_S)
        self._tell_log()
        self._tell_network()
        self._ticks += 1
        if self._ticks >= _QUIET_TICKS:
            self._ticks = 0
            self._tell(b":\n\n")

    def _on_entry(self, entry):
        """Keep a log entry for the next tick. Sending it at once could log something, which would come here again."""
        if len(self._entries) < _MOST_ENTRIES:
            self._entries.append(entry)

    def _tell_log(self):
        entries, self._entries = self._entries, []
        for entry in entries:
            self._tell(_event("log", entry))

    def _tell_network(self):
        now = self._look_at_network()
        last = self._network
        rssi = now["rssi"]
        if rssi and last["rssi"] and abs(rssi - last["rssi"]) < _RSSI_STEP:
            now["rssi"] = last["rssi"]
        if now != last:
            self._network = now
            self._tell(_event("network", now))

    def _look_at_network(self):
        bringup = self._app.bringup
        connection = bringup.connection
        return {
            "state": bringup.state,
            "link": connection.name if connection else None,
            "address": connection.address if connection else None,
            "rssi": guarded(bringup.rssi)[0],
        }


def _event(name, data):
    return f"event: {name}\ndata: {dumps(data)}\n\n".encode()
