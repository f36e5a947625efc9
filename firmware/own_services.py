"""The firmware's own services that a configuration uses. Those that only answer calls are loaded by the first call."""

import sys

from firmware import const
from firmware.services import Late

# What is loaded when it is first called.
_SYSTEM = const(
    "ping help info uptime gc reboot safe_mode net.status sensor.list sensor.read log.tail config.get config.set "
    "config.save config.reset"
)
_UPDATE = const("update.status update.begin update.write update.end update.abort")
_TELEMETRY = const("telemetry.get telemetry.set telemetry.subscribe telemetry.unsubscribe")
_CONTROL_PORT = const(8095)  # where a control server is looked for
_OFTEN_S = const(5)
_PLACES = const(6)  # for connections by HTTP
_PLACES_OF_STOCK = const(2)  # stock MicroPython has five TCP control blocks, and keeps those of ended connections
_PINS = (("Pin", "gpio.pins gpio.mode gpio.read gpio.write"), ("PWM", "pwm.set"), ("ADC", "adc.read"))


def find(app):
    """They, in the order in which they start."""
    own = []  # type: list
    own.append(Late("system", "firmware.system", "System", _SYSTEM))
    if not app.safe_reason:
        pins = " ".join(methods for part, methods in _PINS if hasattr(app.board.machine, part))
        own.append(Late("pins", "firmware.control.pins", "Pins", pins))
        if app.config["log"]["syslog"]:
            from firmware.syslog import Syslog

            own.append(Syslog())
        has_broker = app.config["mqtt"].get("broker")
        if app.config["telemetry"]["enabled"] or has_broker:
            from firmware.telemetry import Telemetry

            own.append(Telemetry())
        else:
            own.append(Late("telemetry", "firmware.telemetry", "Telemetry", _TELEMETRY))
        if has_broker and _is_there(app, "mqtt"):
            from firmware.mqtt.service import Mqtt

            own.append(Mqtt())
        if app.config["network"]["ntp"] and not app.board.keeps_time:
            from firmware.network.ntp import NetworkTime

            own.append(NetworkTime())
        if app.config["network"]["probe_s"]:
            from firmware.network.watch import LinkWatch

            own.append(LinkWatch())
    own.append(Late("update", "firmware.update.service", "Update", _UPDATE))
    if _is_unheard(app):
        own.append(_announcer())
    if app.config["boot"]["unclaim_button"] is not None:
        from firmware.unclaim import UnclaimButton

        own.append(UnclaimButton())
    if _has_page(app) and _is_there(app, "web"):
        from firmware.web import WebServer

        app.http = WebServer(_PLACES_OF_STOCK if _in_heap() else _PLACES)
        own.append(app.http)
        own.append(Late("setup", "firmware.network.setup", "Setup", "setup.status setup.save"))
    return own


def _has_page(app):
    """Unless it is configured: not where its code would take heap."""
    enabled = app.config["http"]["enabled"]
    return not _in_heap() if enabled is None else enabled


def _is_there(app, folder):
    """True if the files of `folder` are on this board. `make deploy` brings them where the settings ask for them."""
    try:
        __import__("firmware." + folder)
        return True
    except ImportError:
        app.log.error("boot", f"firmware/{folder} is not on this board: make deploy installs it, with these settings")
        return False


def _in_heap():
    """True where the firmware lies in files on a board."""
    return sys.platform not in ("linux", "darwin", "win32") and __file__.startswith("/")


def announce(app):
    """From now on, if the settings have become such that the board is not heard of otherwise."""
    if _is_unheard(app) and not app.services.get("announce"):
        app.services.replace("announce", _announcer())


def _announcer():
    from firmware.network.announce import Announcer

    return Announcer()


def _is_unheard(app):
    """True where nobody who looks for boards finds this one, or its control server, by the telemetry."""
    port = app.config["network"]["announce"]
    telemetry = app.config["telemetry"]
    is_sent = telemetry["enabled"] and telemetry["broadcast"] and not app.safe_reason
    is_found = telemetry["port"] == port and telemetry["interval_s"] <= _OFTEN_S
    return bool(port) and not (is_sent and is_found and app.config["control"]["port"] == _CONTROL_PORT)
