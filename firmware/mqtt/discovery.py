"""Announces the board to Home Assistant: one device with an entity for each reading, each pin and the uptime.

Each entity has a retained message of its own. So no message is long, a new entity changes no other, and an empty
message removes an entity. entities.py makes the messages; it is loaded only while some have to be sent.
"""

from firmware import borrow, const
from XAsyncSockets import XTimer

_RETRY_S = const(1)
_SETTLED_S = const(3)  # time after the last entity in which the broker's retained messages arrive
_LONGEST_DELAY_S = const(10)  # delay after a start of Home Assistant, so that not all boards send at once
_MOST_FOUND = const(64)  # retained topics that are checked; the others are checked after the next start
_LONGEST_FOUND = const(256)  # bytes of such a topic; a stranger's topics must not fill the heap
_LONGEST = const(1000)  # bytes of a topic and its payload: a packet of at most 1 KB


class Discovery:
    """The announcements: those that were sent over this connection, and those that are still to be sent."""

    def __init__(self, mqtt):
        self._mqtt = mqtt
        self._app = mqtt.app
        self._known = {}  # {sensor: {field: its kind}}; the pins and the uptime have no sensor: ""
        self._to_do = []  # (sensor, field, kind)
        self._found = []  # topics of entities that the broker has retained; None when they have been checked
        self._entities = None  # the module
        self._timer = XTimer(mqtt.app.pool, self._next)
        self._delay = XTimer(mqtt.app.pool, self._restart)
        prefix = mqtt.settings["discovery_prefix"]
        self._status = prefix + "/status"
        self._kept = f"{prefix}/+/{mqtt.id}/+/config"
        mqtt.client.subscriptions += [self._status, self._kept]
        mqtt.client.on_acked = self._on_acked
        mqtt.when_connected.append(self._begin)
        self._has_state = mqtt.settings["state"]
        if self._has_state:
            mqtt.when_read.append(self._take)
        mqtt.when_told.append(self._on_received)

    def _begin(self):
        """Announce everything: the pins and the uptime at once, the readings as they arrive."""
        self._known = {}
        self._to_do = []
        self._add("", {name: "switch" if is_output else "contact" for name, is_output in self._mqtt.pins.items()})
        if self._has_state:
            self._add("", {"uptime": "number"})

    def _restart(self, _):
        self._begin()
        if self._has_state:
            self._take(self._mqtt.last_readings or {})

    def _take(self, readings):
        """Announce readings that are new."""
        for sensor, reading in readings.items():
            known = self._known.get(sensor, ())
            new = [field for field in reading if field not in known]
            if new:
                self._add(sensor, {field: _kind_of(reading[field]) for field in new})

    def _add(self, sensor, kinds):
        self._known.setdefault(sensor, {}).update(kinds)
        self._to_do += [(sensor, field, kinds[field]) for field in sorted(kinds)]
        self._timer.Restart(0)

    def _on_received(self, topic, payload, retained):
        if topic == self._status:
            if payload == b"online" and not retained:
                self._delay.Restart(1 + _LONGEST_DELAY_S * self._app.random())
        elif retained and payload and self._found is not None and topic.endswith("/config"):
            is_new = topic not in self._found  # they arrive again with each connection
            if is_new and len(self._found) < _MOST_FOUND and len(topic) <= _LONGEST_FOUND:
                self._found.append(topic)

    def _on_acked(self):
        if self._to_do:
            self._timer.Restart(0)

    def _next(self, _):
        if not self._mqtt.client.connected:
            return  # with the next connection, everything starts again
        self._entities = self._entities or borrow("firmware.mqtt.entities")
        if self._to_do:
            self._send_next()
        elif self._found is not None:
            self._remove_old()
        else:
            self._entities = None

    def _send_next(self):
        """Send one entity; the next one follows when the broker has this one."""
        topic, payload = self._entities.entity(self._mqtt, *self._to_do[0])
        if len(topic) + len(payload.encode()) > _LONGEST:
            self._app.log.warning("mqtt", f"an entity of more than 1 KB is left out: {topic}")
        elif not self._mqtt.client.publish(topic, payload, 1, True):
            self._timer.Restart(_RETRY_S)
            return
        self._to_do.pop(0)
        self._timer.Restart(_RETRY_S if self._to_do else _SETTLED_S)

    def _remove_old(self):
        """Remove entities that no longer exist. Once after the start is enough: nothing changes later."""
        gone = self._entities.gone(self._mqtt, self._known, self._found)
        for topic in gone:
            if not self._mqtt.client.publish(topic, b"", 1, True):
                self._timer.Restart(_RETRY_S)
                return
            self._found.remove(topic)
        self._mqtt.client.subscriptions.remove(self._kept)
        self._found = self._entities = None


def _kind_of(value):
    if value is True or value is False:
        return "truth"
    return "text" if isinstance(value, str) else "number"
