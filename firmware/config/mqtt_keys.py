"""The keys of `mqtt` in the configuration, loaded if one of them is given. docs/configuration.md explains them."""

from firmware.config.schema import Choice, Flag, Integer, Kind, ListOf, Optional, Record, Secret, Server, Text, is_of

_WORD = "abcdefghijklmnopqrstuvwxyz0123456789-_"


def Word(shortest=1, longest=32):
    """A name with letters, digits, "-" and "_"."""
    words = f"{shortest} to {longest} letters, digits, '-' or '_'"
    return Kind(str, "", shortest, longest, lambda value: is_of(value.lower(), _WORD), words)


def Topic(default=""):
    """The first levels of MQTT topics. Empty: no default."""
    words = "a topic of 1 to 64 bytes like 'home/attic', without '+', '#' and empty levels"
    return Kind(str, default, 0, 64, lambda value: _is_topic(value) or not value and not default, words)


def _is_topic(value):
    return all(value.split("/")) and value[0] != "$" and not any(c in "+#" or ord(c) < 32 for c in value)


def Method():
    """The name of a method that may be called over MQTT."""
    words = "the name of a method like 'gpio.write'; not auth..., update..., telemetry.subscribe or unsubscribe"
    return Kind(str, "", 1, 40, _is_method, words)


def _is_method(value):
    on_connection = "auth.", "update.", "telemetry.subscribe", "telemetry.unsubscribe"
    return is_of(value.lower(), _WORD + ".") and not any(value.startswith(one) for one in on_connection)


def PinName():
    """A pin, given by its number or name."""
    kind = Integer("", 0, 255)
    is_number = kind.accepts
    kind.accepts = lambda value: is_number(value) or isinstance(value, str) and 0 < len(value) <= 16
    kind.expected = lambda: "a pin: a number from 0 to 255, or a name like 'LED'"
    return kind


def check_mqtt(values, start):
    """Return the faults of values that contradict each other."""
    faults = []
    names = [pin["name"] for pin in values["pins"]]
    for index, name in enumerate(names):
        if name in names[:index]:
            faults.append(f"{start}pins.{index}.name: {name!r} is used twice")
    if values["password"] and not values["user"]:
        faults.append(f"{start}user: a password needs a user")
    return faults


ON = Flag(True)
OFF = Flag(False)
VALUES = Record(
    fit=check_mqtt,
    broker=Server("", "a broker"),  # empty: no MQTT
    user=Text("", 0, 128),
    password=Secret(1, 256),
    client_id=Word(0, 64),  # empty: made from the board's serial number
    tls=OFF,
    certificate=Text("broker.pem", 1, 64),  # a file: the broker's certificate, or its issuer's
    base=Topic(),  # empty: boards/<the device's name>
    state=ON,
    telemetry=OFF,
    log=Choice("off", "off", "error", "warning", "info"),
    rpc=ListOf(Method(), 32),  # methods that may be called
    pins=ListOf(
        Record(
            name=Word(),
            pin=PinName(),
            mode=Choice("out", "in", "out"),
            pull=Optional(Choice("", "up", "down")),
        ),
        16,
    ),
    discovery=ON,
    discovery_prefix=Topic("homeassistant"),
)
