"""Publishes the log over MQTT, from a level on: <base>/log."""

from firmware import const
from firmware.jsontext import dumps

_MOST_BEHIND = const(8)  # lines that are sent later, when there is a connection
_LEVELS = ("error", "warning", "info")


class LogLines:
    """Publishes each line of the log."""

    def __init__(self, mqtt):
        self._mqtt = mqtt
        self._log = mqtt.app.log
        self._level = _LEVELS.index(mqtt.settings["log"])
        self._behind = 0  # the uptime of the first line that is not sent, or None
        self._log.listeners.append(self._take)
        mqtt.when_connected.append(self._catch_up)
        mqtt.when_read.append(self._catch_up)  # if the network was behind for a while

    def _take(self, entry):
        if self._behind is None and _LEVELS.index(entry["level"]) <= self._level:
            try:
                if self._mqtt.publish("log", dumps(entry)):
                    return
            except Exception:  # no memory: a line of the log must not raise
                pass
            self._behind = entry["uptime"]

    def _catch_up(self, _readings=None):
        first, self._behind = self._behind, None
        if first is not None:
            for entry in self._log.tail(_MOST_BEHIND):
                if entry["uptime"] >= first:
                    self._take(entry)
