"""Telemetry: the sensors' readings as InfluxDB line protocol, one line per datagram, broadcast and to collectors.

A line has the tag `device`, the fields `<sensor>_<field>`, `seq` (one more with every line, so that a gap is a
loss) and `uptime` in seconds.
"""

from firmware import const
from firmware.control.jsonrpc import encode_notification
from firmware.network.interface import is_address
from firmware.telemetry.line_protocol import encode_fields, encode_head
from XAsyncSockets import XAsyncUDPDatagram

LONGEST_LINE = 1400  # bytes: a datagram that no link on the way has to cut in two
_RESERVED_FOR_COUNTERS = const(40)  # ",seq=…i,uptime=…i" and the line end
_PAUSE_S = const(60)  # after a computer could not look a name up: every lookup holds up everything else
_INFLUX_PORT = const(8089)  # InfluxDB's own for line protocol over UDP
_SETTINGS = const(("enabled", "interval_s", "jitter", "broadcast", "port", "collectors", "measurement"))


class Telemetry:
    """The service that measures in a rhythm and sends."""

    name = "telemetry"

    def __init__(self):
        self._app = None
        self._timer = None
        self._socket = None
        self._connection = None
        self._head = ""
        self._seq = 0
        self._unsent = 0
        self._failed = {}  # target: uptime from which it is tried again
        self._subscribers = []
        self._settings = {}

    # --- the service

    def start(self, app):
        """Take the settings and begin the rhythm."""
        self._app = app
        self._timer = app.timers.timer(self._measure)
        self._take_settings()
        app.methods.add("telemetry.get", self._get)
        app.methods.add("telemetry.set", self._set, "key value", writes=True)
        app.methods.add("telemetry.subscribe", self._subscribe)
        app.methods.add("telemetry.unsubscribe", self._unsubscribe)
        self._timer.start(1)

    def stop(self):
        """End it."""
        self._timer.stop()
        self._close()

    def network_up(self, connection):
        """A new socket for a new network: an old one may be bound to an interface that is gone."""
        self._close()
        self._connection = connection
        self._failed = {}
        self._socket = XAsyncUDPDatagram.Create(self._app.pool, recvbufLen=16, broadcast=True)
        self._socket.OnFailsToSend = self._count_unsent

    def network_down(self, _reason):
        """Measuring goes on, for the subscribers."""
        self._close()

    def _close(self):
        self._connection = None
        if self._socket:
            self._socket.Close()
            self._socket = None

    # --- settings

    def _take_settings(self):
        self._settings = self._app.config["telemetry"]
        self._head = encode_head(self._settings["measurement"], self._tags())

    def _tags(self):
        tags = {}
        for tag in self._app.config["device"]["tags"]:
            key, _, value = tag.partition("=")
            tags[key] = value
        tags["device"] = self._app.device
        return tags

    def targets(self):
        """[(host, port)] of everybody who gets the lines now."""
        settings = self._settings
        targets = []
        if settings["broadcast"] and self._connection:
            targets.append((self._connection.broadcast, settings["port"]))
        for collector in settings["collectors"]:
            host, _, port = collector.partition(":")
            targets.append((host, int(port or _INFLUX_PORT)))
        return targets

    def _get(self, _session):
        return {
            "settings": {key: self._settings[key] for key in _SETTINGS},
            "targets": [f"{host}:{port}" for host, port in self.targets()],
            "seq": self._seq,
            "unsent": self._unsent,
            "subscribers": len(self._subscribers),
        }

    def _set(self, session, key, value):
        if key not in _SETTINGS:
            raise ValueError(f"key: one of {', '.join(_SETTINGS)}")
        self._app.config.set("telemetry." + key, value)
        self._take_settings()
        self._timer.start(1)
        return self._get(session)

    # --- measuring

    def _subscribe(self, session):
        if session not in self._subscribers:
            self._forget_closed()  # here too: who comes, subscribes and goes must not fill the heap until a reading
            self._subscribers.append(session)
        return f"a telemetry notification every {self._settings['interval_s']} s"

    def _unsubscribe(self, session):
        if session in self._subscribers:
            self._subscribers.remove(session)
        return True

    def _measure(self):
        settings = self._settings
        jitter = settings["jitter"] * (2 * self._app.random() - 1)
        self._timer.start(settings["interval_s"] * 1000 * (1 + jitter))
        if settings["enabled"] or self._subscribers:
            self._app.sensors.sample(self._publish)

    def _publish(self, readings):
        if self._settings["enabled"] and self._socket:
            self._send(readings)
        if self._subscribers:
            self._notify(readings)

    def _forget_closed(self):
        self._subscribers = [session for session in self._subscribers if not session.closed]

    def _notify(self, readings):
        """Tell the subscribers; one that has gone away is one no more."""
        self._forget_closed()
        report = {
            "device": self._app.device,
            "seq": self._seq,
            "uptime": self._app.clock.uptime(),
            "readings": readings,
        }
        text = encode_notification("telemetry", report)
        for session in self._subscribers:
            session.notify(text)

    def _send(self, readings):
        """All readings in one line; what does not fit into a datagram goes into another one."""
        line = ""
        limit = LONGEST_LINE - len(self._head) - _RESERVED_FOR_COUNTERS
        for name in sorted(readings):
            fields = encode_fields({f"{name}_{field}": value for field, value in readings[name].items()})
            if line and len(line) + len(fields) >= limit:
                self._send_line(line)
                line = ""
            if fields:
                line = f"{line},{fields}" if line else fields
        self._send_line(line)

    def _send_line(self, fields):
        separator = "," if fields else ""
        uptime = self._app.clock.uptime()
        datagram = f"{self._head} {fields}{separator}seq={self._seq}i,uptime={uptime}i\n".encode()
        self._seq += 1
        for host, port in self.targets():
            target = (self._app.names.address(host), port)
            if not target[0]:  # not yet, or not at all: the names' service says why
                self._unsent += 1
            elif self._failed.get(target, 0) <= uptime:
                self._socket.AsyncSendDatagram(datagram, target)

    def _count_unsent(self, _socket, _datagram, target):
        self._unsent += 1
        if target not in self._failed:  # once, not with every line
            self._app.log.warning("telemetry", f"{target[0]}:{target[1]} cannot be reached")
        pause_s = 0 if is_address(target[0]) else _PAUSE_S
        self._failed[target] = self._app.clock.uptime() + pause_s
