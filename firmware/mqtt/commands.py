"""Calls the control server's methods over MQTT: requests on <base>/rpc, answers on <base>/rpc/reply. The configuration
names the allowed methods.

The broker decides which clients may publish there. So a method that changes something needs no login here.
"""

from firmware.control.jsonrpc import ACCESS_DENIED, INTERNAL_ERROR, RpcError, answer, encode_error


class Commands:
    """The caller of the methods. It takes the place of a control server's session."""

    nonce = None  # no challenge, so no proof is possible: see firmware/control/access.py
    nonce_at = free_at = 0
    authenticated = True
    address = "mqtt"

    def __init__(self, mqtt):
        self._mqtt = mqtt
        self._app = mqtt.app
        self._allowed = mqtt.settings["rpc"]
        self._topic = mqtt.topic("rpc")
        self.visitor = self
        self.server = mqtt.app.services.get("control")
        mqtt.client.subscriptions.append(self._topic)
        mqtt.when_connected.append(self._check_names)
        mqtt.when_told.append(self._take)

    def _check_names(self):
        """Check the configured names. This is called once, when all services have added their methods."""
        self._mqtt.when_connected.remove(self._check_names)
        names = self._app.methods.names()
        for name in self._allowed:
            if name not in names:
                self._app.log.warning("mqtt", f"mqtt.rpc: there is no method {name}")

    def now(self):
        """Return the uptime in milliseconds."""
        return self._app.clock.uptime_ms()

    def check_access(self, _writes):
        """Allow the access: the methods that the configuration names may write."""

    def _call(self, method, params):
        if method not in self._allowed:
            raise RpcError(ACCESS_DENIED, f"mqtt.rpc does not name {method[:40]}")
        return self._app.methods.call(self, method, params)

    def _take(self, topic, payload, retained):
        if topic != self._topic:
            return
        if retained:  # it would be called again after every connect
            self._app.log.warning("mqtt", "a retained request on rpc is left out")
        else:
            self._app.soon.append((self._answer, payload))  # there, a chip's stack has enough room for all methods

    def _answer(self, payload):
        try:
            reply = answer(str(payload, "utf-8"), self._call)
        except Exception as error:  # no UTF-8, or no memory
            reply = encode_error(None, INTERNAL_ERROR, repr(error))
        if reply and not self._mqtt.publish("rpc/reply", reply):
            self._app.log.warning("mqtt", f"an answer of {len(reply)} characters could not be sent")
