"""Telemetry for clients of the control server: methods for its settings, and a notification for each measurement."""

from firmware import borrow
from firmware.control.jsonrpc import encode_notification


class Subscribers:
    """The clients that get the measurements."""

    def __init__(self, app, telemetry):
        self._app = app
        self._telemetry = telemetry
        self.sessions = []
        add = app.methods.add
        add("telemetry.get", self._get)
        add("telemetry.set", self._set, "key value", writes=True)
        add("telemetry.subscribe", self._subscribe)
        add("telemetry.unsubscribe", self._unsubscribe)

    def _get(self, _session):
        telemetry = self._telemetry
        return {
            "settings": telemetry.settings,
            "targets": [f"{host}:{port}" for host, port in telemetry.targets()],
            "seq": telemetry.seq,
            "unsent": telemetry.unsent,
            "subscribers": len(self.sessions),
        }

    def _set(self, session, key, value):
        self._app.config.set(f"telemetry.{key}", value)
        self._telemetry.take_settings()
        borrow("firmware.services.own").announce(self._app)
        self._telemetry.measure_soon()
        return self._get(session)

    def _subscribe(self, session):
        if session not in self.sessions:
            if self not in self._telemetry.listeners:
                self._telemetry.listeners.append(self)
            self._forget_closed()  # also here, because clients that subscribe and disconnect must not fill the heap
            self.sessions.append(session)
        return f"a telemetry notification every {self._telemetry.settings['interval_s']} s"

    def _unsubscribe(self, session):
        if session in self.sessions:
            self.sessions.remove(session)
        return True

    def _forget_closed(self):
        self.sessions = [session for session in self.sessions if not session.closed]

    def notify(self, readings):
        """Send the readings to the clients, and remove those that have disconnected."""
        self._forget_closed()
        if not self.sessions:
            self._telemetry.listeners.remove(self)
            return
        report = {
            "device": self._app.device,
            "seq": self._telemetry.seq,
            "uptime": self._app.clock.uptime(),
            "readings": readings,
        }
        text = encode_notification("telemetry", report)
        for session in self.sessions:
            session.notify(text)
