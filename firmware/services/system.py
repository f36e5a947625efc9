"""The control server's methods for the firmware itself: info, sensors, configuration, log, reboot."""

import gc

from firmware import VERSION, borrow
from firmware.network import guarded
from firmware.sensors import readers


def network_status(bringup):
    """Return the state of the network."""
    connection = bringup.connection
    return {
        "state": bringup.state,
        "link": connection.name if connection else None,
        "address": connection.address if connection else None,
        "netmask": connection.netmask if connection else None,
        "gateway": connection.gateway if connection else None,
        "rssi": guarded(bringup.rssi)[0],
        "links": [link.name for link in bringup.links],
        "failed_rounds": bringup.rounds,
        "history": bringup.history,
    }


class System:
    """The service that offers these methods."""

    name = "system"

    def __init__(self):
        self._app = None

    def start(self, app):
        """Offer the methods."""
        self._app = app
        add = app.methods.add
        add("ping", lambda session: "pong")
        add("help", lambda session: borrow("firmware.control.help").lines(app.methods))
        add("info", self._info)
        add("uptime", lambda session: app.clock.uptime())
        add("gc", self._collect)
        add("reboot", lambda session: app.restart_later(), writes=True)
        add("safe_mode", lambda session: app.restart_later(safe_mode=True), writes=True)
        add("net.status", lambda session: network_status(app.bringup))
        add("sensor.list", lambda session: readers.list(app.sensors))
        add("sensor.read", self._read, "name?")
        add("log.tail", self._tail, "count?")
        add("config.get", lambda session, key="": app.config.get(str(key or "")), "key?")
        add("config.set", self._set, "key value proof?", writes=True)
        add("config.save", self._save, writes=True)
        add("config.reset", self._reset, "key? proof?", writes=True)

    def _info(self, _session):
        app = self._app
        facts = app.board.facts()
        facts.update(
            {
                "device": app.device,
                "version": VERSION,
                "uptime": app.clock.uptime(),
                "safe_mode": app.safe_reason,
                "address": app.bringup.connection.address if app.bringup.connection else None,
                "network": app.bringup.state,
                "config": {"source": app.config.source, "faults": app.config.faults, "unsaved": app.config.unsaved},
                "services": app.services.describe(),
                "sensors": readers.names(app.sensors),
                "clients": getattr(app.services.get("control"), "clients", None),
            }
        )
        if app.http:
            facts["page"] = app.http.url
            facts["http_clients"] = app.http.clients
        left = app.board.system_heap()
        if left:
            facts["system_heap"] = left
        return facts

    def _collect(self, _session):
        gc.collect()
        if not hasattr(gc, "mem_free"):
            return {}
        return {"free": gc.mem_free(), "used": gc.mem_alloc()}

    def _read(self, _session, name=None):
        return readers.read(self._app.sensors, name) if name else readers.read_all(self._app.sensors)

    def _tail(self, _session, count=20):
        if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= 100:
            raise ValueError("count: 1 to 100")
        return self._app.log.tail(count)

    def _checks_token(self, session, proof):
        """Return check(values), which raises if the token would change without proof that the caller knows it."""
        token = self._app.config["control"]["token"]

        def check(values):
            if values["control"]["token"] != token:
                from firmware.control.access import prove

                prove(session, "token", values["control"]["token"], proof)

        return check

    def _set(self, session, key, value, proof=None):
        self._app.config.set(str(key), value, self._checks_token(session, proof))
        return "changed; config.save keeps it, reboot applies it"

    def _save(self, _session):
        if self._app.config.save():
            return "on trial: log in within 10 minutes after the next boot, or the old settings come back"
        return True

    def _reset(self, session, key="", proof=None):
        self._app.config.reset(str(key or ""), self._checks_token(session, proof))
        return "changed; config.save keeps it, reboot applies it"
