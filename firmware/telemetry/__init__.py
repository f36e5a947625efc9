"""Telemetry: the sensors' readings as InfluxDB line protocol, one line per datagram, broadcast and to collectors.

A line has the tag `device`, the fields `<sensor>_<field>`, `seq` (it grows by one with every line, so that a gap shows
a loss) and `uptime` in seconds.
"""

from firmware import const, make
from firmware.network import is_address
from firmware.telemetry.line_protocol import encode_fields, encode_head
from XAsyncSockets import XAsyncUDPDatagram, XTimer

_LONGEST_LINE = const(1400)  # bytes, so that no link has to fragment the datagram
_RESERVED_FOR_COUNTERS = const(40)  # ",seq=…i,uptime=…i" and the line end
_PAUSE_S = const(60)  # pause after a failed look-up on a computer, which blocks everything
_INFLUX_PORT = const(8089)  # InfluxDB's port for line protocol over UDP
_METHODS = const("telemetry.get telemetry.set telemetry.subscribe telemetry.unsubscribe")


class Telemetry:
    """The service that measures and sends at regular intervals."""

    name = "telemetry"

    on_line = None  # f(line)
    seq = unsent = 0
    _socket = _connection = None
    _told_too_long = False

    def __init__(self):
        self._failed = {}  # {target: uptime from which it is tried again}
        self.listeners = []  # services that get the readings

    # --- the service

    def start(self, app):
        """Read the settings, and begin to measure."""
        self._app = app
        self._timer = XTimer(app.pool, self._measure)
        self.take_settings()
        app.methods.offer(_METHODS, make, "firmware.telemetry.subscribers Subscribers", app, self)
        self._timer.Restart(0)

    def stop(self):
        """End it."""
        self._timer.Cancel()
        self._close()

    def network_up(self, connection):
        """Open a new socket for a new network, because the old one may be bound to an interface that is gone."""
        self._close()
        self._connection = connection
        self._failed = {}
        self._socket = XAsyncUDPDatagram.Create(self._app.pool, recvbufLen=16, broadcast=True)
        self._socket.OnFailsToSend = self._count_unsent
        self.measure_soon()

    def network_down(self, _reason):
        """Close the socket. Measuring continues for the subscribers."""
        self._close()

    def _close(self):
        self._connection = None
        if self._socket:
            self._socket.Close()
            self._socket = None

    # --- settings

    def take_settings(self):
        """Apply the configuration."""
        self.settings = self._app.config["telemetry"]
        tags = {}
        for tag in self._app.config["device"]["tags"]:
            key, _, value = tag.partition("=")
            tags[key] = value
        tags["device"] = self._app.device
        self._head = encode_head(self.settings["measurement"], tags)

    def targets(self):
        """Return [(host, port)] of all that get the lines now."""
        settings = self.settings
        targets = []
        if not settings["enabled"]:
            return targets
        if settings["broadcast"] and self._connection:
            targets.append((self._connection.broadcast, settings["port"]))
        for collector in settings["collectors"]:
            host, _, port = collector.partition(":")
            targets.append((host, int(port or _INFLUX_PORT)))
        return targets

    # --- measuring

    def measure_soon(self):
        """Measure now instead of at the next interval."""
        self._timer.Restart(0)

    def _measure(self, _=None):
        settings = self.settings
        jitter = settings["jitter"] * (2 * self._app.random() - 1)
        self._timer.Restart(settings["interval_s"] * (1 + jitter))
        if settings["enabled"] or self.listeners:
            self._app.sensors.sample(self._publish)

    def _publish(self, readings):
        if self._socket and (self.settings["enabled"] or self.on_line):
            self._send(readings)
        for listener in list(self.listeners):
            listener.notify(readings)

    def _send(self, readings):
        """Send all readings in one line, or in several if they do not fit into one datagram."""
        line = []
        room = left = _LONGEST_LINE - len(self._head) - _RESERVED_FOR_COUNTERS
        for name in sorted(readings):
            for field in encode_fields(readings[name], name + "_"):
                size = len(field) + 1  # and a comma
                if size > room:
                    if not self._told_too_long:  # once, not with every line
                        self._told_too_long = True
                        self._app.log.warning("telemetry", f"{name}: a reading does not fit into a datagram")
                    continue
                if size > left:
                    self._send_line(line)
                    line = []
                    left = room
                line.append(field)
                left -= size
        self._send_line(line)

    def _send_line(self, fields):
        uptime = self._app.clock.uptime()
        fields.append(f"seq={self.seq}i,uptime={uptime}i\n".encode())
        datagram = self._head + b" " + b",".join(fields)
        self.seq += 1
        if self.on_line:
            self.on_line(datagram)
        for host, port in self.targets():
            target = (host if is_address(host) else self._app.names.address(host), port)
            if not target[0]:  # not known yet, or unknown: the name look-up reports why
                self.unsent += 1
            elif self._failed.get(target, 0) <= uptime:
                self._socket.AsyncSendDatagram(datagram, target)

    def _count_unsent(self, _socket, _datagram, target):
        self.unsent += 1
        if target not in self._failed:  # once, not with every line
            self._app.log.warning("telemetry", f"{target[0]}:{target[1]} cannot be reached")
        pause_s = 0 if is_address(target[0]) else _PAUSE_S
        self._failed[target] = self._app.clock.uptime() + pause_s
