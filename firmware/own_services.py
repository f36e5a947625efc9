"""The firmware's own services that a configuration uses. Those that only answer calls are loaded by the first call."""

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
        if has_broker:
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
    return own


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
