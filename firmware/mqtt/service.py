"""MQTT: publishes the board's status, readings, log and pins at a broker, and receives commands. docs/mqtt.md has the
topics.

The parts that only some configurations use are separate modules: loglines.py, commands.py, pins.py, discovery.py.
"""

import time

from firmware import const
from firmware.jsontext import dumps
from firmware.log import describe
from firmware.mqtt.client import MqttClient
from firmware.network import is_address
from XAsyncSockets import XAsyncTCPClient

_PORT = const(1883)
_TLS_PORT = const(8883)
_CLOCK_S = const(60)  # if the clock is not set after this time, that is reported
_CLOCK_IS_RIGHT = const(2024)  # from that year on, because chips start in 2000 or 2021


class Mqtt:
    """The service. Its parts use `app`, `settings`, `client`, `id` (the client's), `topic` and `publish`."""

    name = "mqtt"

    def __init__(self):
        self.app = None
        self.settings = None
        self.client = None
        self.id = ""
        self._base = ""
        # Functions of the parts: f() at each connection, f(readings), f(topic, payload, retained).
        self.when_connected = []
        self.when_read = []
        self.when_told = []
        self.last_readings = None
        self.pins = {}  # {name: True for an output}
        self._told = None  # the last reported reason why there is no connection
        self._is_online = False  # whether this was published
        self._clock_due = 0
        self._turn = 0  # index of the broker's address, if its name has several

    # --- the service

    def start(self, app):
        """Read the settings. The connection begins when the network is up."""
        self.app = app
        settings = self.settings = app.config["mqtt"]
        self.id = settings["client_id"] or "xas" + app.board.unique_id()
        self._base = (settings["base"] or "boards/" + app.device) + "/"
        self._turn = sum(app.device.encode())  # different boards begin with different addresses
        self._make_client(settings)
        telemetry = app.services.get("telemetry")
        telemetry.listeners.append(self)
        if settings["telemetry"]:
            telemetry.on_line = lambda line: self.publish("telemetry", line.rstrip())
        self._load_parts(settings)

    def _make_client(self, settings):
        app = self.app
        client = self.client = MqttClient(
            app.pool, self.id, self._on_connected, self._tell, self._on_message, app.random
        )
        client.on_warning = lambda text: app.log.warning(self.name, text)
        client.will = self.topic("status"), "offline"
        client.subscriptions = []
        if settings["user"]:
            client.user = settings["user"]
            client.password = settings["password"] or None
        if settings["tls"]:
            client.host = settings["broker"].partition(":")[0]
            try:
                client.context = XAsyncTCPClient.CreateSSLContext(
                    cert_reqs=2, ca_certs=app.board.path(settings["certificate"])
                )
            except Exception as error:
                raise ValueError(f"mqtt.certificate: {settings['certificate']}: {describe(error)}")

    def _load_parts(self, settings):
        if settings["log"] != "off":
            from firmware.mqtt.loglines import LogLines

            LogLines(self)
        if settings["rpc"]:
            from firmware.mqtt.commands import Commands

            Commands(self)
        if settings["pins"]:
            from firmware.mqtt.pins import NamedPins

            NamedPins(self)
        if settings["discovery"]:
            from firmware.mqtt.discovery import Discovery

            Discovery(self)

    def network_up(self, _connection):
        """Connect, and connect again whenever the connection is lost."""
        self._clock_due = self.app.clock.uptime() + _CLOCK_S
        self.client.start(self._locate)

    def network_down(self, _reason):
        """Disconnect. If the connection is dead, the broker publishes the will."""
        self.publish("status", "offline", 1, True)
        self.client.stop()

    def stop(self):
        """End the service. network_down was called before."""
        self.client.stop()

    def _locate(self):
        """Return the broker's address, or None while no connection to it is possible."""
        settings = self.settings
        if settings["tls"] and time.gmtime()[0] < _CLOCK_IS_RIGHT:
            if self.app.clock.uptime() >= self._clock_due:
                self._tell("the clock is not set, and certificates cannot be checked: network.ntp sets it")
            return None
        host, _, port = settings["broker"].partition(":")
        self._turn += 1
        address = host if is_address(host) else self.app.names.address(host, self._turn)
        if not address:
            self._tell("its address is not known yet")
        return address and (address, int(port or (_TLS_PORT if settings["tls"] else _PORT)))

    def _tell(self, reason):
        if reason != self._told:  # reported once, not with every attempt
            self._told = reason
            self.app.log.warning(self.name, f"{self.settings['broker']}: {reason}")

    # --- the connection

    def topic(self, below):
        """Return one of the board's topics."""
        return self._base + below

    def publish(self, below, payload, qos=0, retain=False):
        """Publish to one of the board's topics. Return False while this is not possible."""
        return self.client.publish(self._base + below, payload, qos, retain)

    def _on_connected(self):
        self._told = None
        self._tell_status()
        self.app.log.info(self.name, f"connected to {self.settings['broker']}")
        for function in list(self.when_connected):
            function()
        if self.last_readings:
            self.notify(self.last_readings)

    def _tell_status(self):
        """Publish the status. If too many messages wait for the broker, try again with the next readings."""
        self._is_online = self.publish("status", "online", 1, True)

    def _on_message(self, topic, payload, retained):
        try:
            for function in self.when_told:
                function(topic, payload, retained)
        except Exception as error:
            self.app.log.error(self.name, topic, error)

    # --- publishing

    def notify(self, readings):
        """Publish the readings of the telemetry."""
        self.last_readings = readings
        if not self.client.connected:
            return
        if not self._is_online:
            self._tell_status()
        if self.settings["state"]:
            state = {"uptime": self.app.clock.uptime()}
            state.update(readings)
            self.publish("state", dumps(state), 0, True)
        for function in self.when_read:
            function(readings)
