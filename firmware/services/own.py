"""The firmware's own services that a configuration uses. Those that only answer calls are loaded at the first call."""

import sys

from firmware import const, make

# The methods of services that are loaded at the first call.
_SYSTEM = const(
    "ping help info uptime gc reboot safe_mode net.status sensor.list sensor.read log.tail config.get config.set "
    "config.save config.reset"
)
_UPDATE = const("update.status update.begin update.write update.end update.abort")
_TELEMETRY = const("telemetry.get telemetry.set telemetry.subscribe telemetry.unsubscribe")
_CONTROL_PORT = const(8095)  # the port that tools try
_OFTEN_S = const(5)
_ANNOUNCER = const("firmware.network.announce Announcer")
_PLACES = const(6)  # HTTP connections
_PLACES_OF_STOCK = const(2)  # stock MicroPython has five TCP control blocks, some of them for ended connections
_PINS = (("Pin", "gpio.pins gpio.mode gpio.read gpio.write"), ("PWM", "pwm.set"), ("ADC", "adc.read"))


def find(app):
    """Return the services in the order of their start. One that only answers calls is a tuple: see service_set.py."""
    own = [("system", "firmware.services.system System", _SYSTEM)]  # type: list
    config = app.config
    if not app.safe_reason:
        pins = " ".join(methods for part, methods in _PINS if hasattr(app.board.machine, part))
        own.append(("pins", "firmware.control.pins Pins", pins))
        if config["log"]["syslog"]:
            _add(app, own, "firmware.services.syslog Syslog")
        has_broker = config["mqtt"].get("broker")
        if config["telemetry"]["enabled"] or has_broker:
            _add(app, own, "firmware.telemetry Telemetry")
        else:
            own.append(("telemetry", "firmware.telemetry Telemetry", _TELEMETRY))
        if has_broker:
            _add(app, own, "firmware.mqtt.service Mqtt")
        if config["network"]["ntp"] and not app.board.keeps_time:
            _add(app, own, "firmware.network.ntp NetworkTime")
        if config["network"]["probe_s"]:
            _add(app, own, "firmware.network.watch LinkWatch")
    own.append(("update", "firmware.update.service Update", _UPDATE))
    if _is_unheard(app):
        _add(app, own, _ANNOUNCER)
    if config["boot"]["unclaim_button"] is not None:
        _add(app, own, "firmware.boot.unclaim UnclaimButton")
    enabled = config["http"]["enabled"]
    in_heap = sys.platform not in ("linux", "darwin", "win32") and __file__.startswith("/")
    if not in_heap if enabled is None else enabled:
        app.http = _add(app, own, "firmware.web WebServer", _PLACES_OF_STOCK if in_heap else _PLACES)
    if app.http:
        own.append(("setup", "firmware.network.setup Setup", "setup.status setup.save"))
    return own


def _add(app, own, path, *args):
    """Add an object of the class at `path`, and return it. Return None if this board does not have the files."""
    try:
        own.append(make(path, *args))
        return own[-1]
    except ImportError:
        module = path.split()[0]
        app.log.error("boot", f"{module} is not on this board; make deploy installs it, with these settings")
        return None


def announce(app):
    """Start announcing the board if the settings have changed so that tools cannot find it otherwise."""
    added = []  # type: list
    if _is_unheard(app) and not app.services.get("announce") and _add(app, added, _ANNOUNCER):
        app.services.replace("announce", added[0])


def _is_unheard(app):
    """Return True if the telemetry does not show this board and its control server to tools that look for boards."""
    port = app.config["network"]["announce"]
    telemetry = app.config["telemetry"]
    is_sent = telemetry["enabled"] and telemetry["broadcast"] and not app.safe_reason
    is_found = telemetry["port"] == port and telemetry["interval_s"] <= _OFTEN_S
    return bool(port) and not (is_sent and is_found and app.config["control"]["port"] == _CONTROL_PORT)
