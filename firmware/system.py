"""The methods that show and steer the firmware itself: info, sensors, configuration, log, reboot."""

import gc

from firmware import VERSION


class System:
    """The service that offers them."""

    name = "system"

    def __init__(self):
        self._app = None

    def start(self, app):
        """Offer the methods."""
        self._app = app
        add = app.methods.add
        add("ping", lambda session: "pong", "", "pong")
        add("help", self._help, "", "what there is")
        add("info", self._info, "", "what this board is and how it fares")
        add("uptime", lambda session: app.clock.uptime(), "", "seconds since the boot")
        add("gc", self._collect, "", "collect garbage; the heap in bytes")
        add("reboot", self._reboot, "", "start again", writes=True)
        add("safe_mode", self._safe_mode, "", "start again with network and control only", writes=True)
        add("net.status", lambda session: app.bringup.status(), "", "state and history of the network")
        add("sensor.list", lambda session: app.sensors.list(), "", "all sensors with their last reading")
        add("sensor.read", self._read, "name?", "one sensor, or all that can be read now")
        add("log.tail", self._tail, "count?", "the last lines of the log")
        add("config.get", lambda session, key: app.config.get(key or ""), "key?", "a key, a section or all")
        add("config.set", self._set, "key value", "change a key in memory", writes=True)
        add("config.save", self._save, "", "write config.json", writes=True)
        add("config.reset", self._reset, "key?", "back to the default, in memory", writes=True)

    def _help(self, _session):
        lines = []
        for entry in self._app.methods.help():
            needs = " (token)" if entry["writes"] else ""
            lines.append(" ".join([entry["method"]] + entry["params"]) + f"{needs}: {entry['text']}")
        return lines

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
                "sensors": app.sensors.names(),
                "clients": getattr(app.services.get("control"), "clients", None),
            }
        )
        return facts

    def _collect(self, _session):
        gc.collect()
        if not hasattr(gc, "mem_free"):
            return {}
        return {"free": gc.mem_free(), "used": gc.mem_alloc()}

    def _read(self, _session, name):
        return self._app.sensors.read(name) if name else self._app.sensors.read_all()

    def _tail(self, _session, count):
        count = 20 if count is None else count
        if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= 100:
            raise ValueError("count: 1 to 100")
        return self._app.log.tail(count)

    def _set(self, _session, key, value):
        self._app.config.set(str(key), value)
        return "changed; config.save keeps it, reboot applies it"

    def _save(self, _session):
        self._app.config.save()
        return True

    def _reset(self, _session, key):
        self._app.config.reset(key or "")
        return "changed; config.save keeps it, reboot applies it"

    def _reboot(self, _session):
        self._app.restart_later()
        return True

    def _safe_mode(self, _session):
        self._app.restart_later(safe_mode=True)
        return True
