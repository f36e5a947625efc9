"""The configured pins over MQTT: <base>/pin/<name> has the real level, and <base>/pin/<name>/set changes it."""

from firmware.control.jsonrpc import RpcError
from XAsyncSockets import XTimer

_LOOK_S = 0.1
_LEVELS = {b"0": 0, b"1": 1}


class NamedPins:
    """The configured pins, and the level that was last published for each."""

    def __init__(self, mqtt):
        self._mqtt = mqtt
        self._app = mqtt.app
        self._pins = {}  # name: [number, Pin, the level that is published]
        for index, one in enumerate(mqtt.settings["pins"]):
            try:
                self._add(one)
            except RpcError as error:
                self._app.log.error("mqtt", f"mqtt.pins.{index}: {error.message}")
        self._timer = XTimer(mqtt.app.pool, self._publish_changes)
        mqtt.client.subscriptions.append(mqtt.topic("pin/+/set"))
        mqtt.when_connected.append(self._publish_all)
        mqtt.when_told.append(self._take)

    def _add(self, one):
        params = {"pin": one["pin"], "mode": one["mode"]}
        if one["pull"]:
            params["pull"] = one["pull"]
        self._app.methods.call(self, "gpio.mode", params)
        pin = self._app.board.machine.Pin(one["pin"])
        self._pins[one["name"]] = [one["pin"], pin, None]
        self._mqtt.pins[one["name"]] = one["mode"] == "out"

    def check_access(self, _writes):
        """Allow the access, because the configuration names the pins."""

    def _publish_all(self):
        for state in self._pins.values():
            state[2] = None
        self._publish_changes()

    def _publish_changes(self, _=None):
        """Publish the levels that have changed for any reason."""
        if not self._mqtt.client.connected:
            return
        self._timer.Restart(_LOOK_S)
        for name, state in self._pins.items():
            level = state[1].value()
            if level != state[2] and self._mqtt.publish("pin/" + name, str(level), 0, True):
                state[2] = level

    def _take(self, topic, payload, _retained):
        start = self._mqtt.topic("pin/")
        name = topic[len(start) : -len("/set")]
        if topic != f"{start}{name}/set":
            return
        state = self._pins.get(name)
        level = _LEVELS.get(payload)
        if not self._mqtt.pins.get(name):
            self._app.log.warning("mqtt", f"pin/{name}/set: mqtt.pins names no such output")
        elif level is None:
            self._app.log.warning("mqtt", f"pin/{name}/set: {payload[:20]!r} is neither 0 nor 1")
        else:
            self._app.methods.call(self, "gpio.write", {"pin": state[0], "value": level})
        if state:
            state[2] = None  # publish the level again, even if it is the same
            self._publish_changes()
