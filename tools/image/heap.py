"""Estimates how much of Python's heap the firmware will use on stock MicroPython, where code is in the heap.

    check(Room(...), config, say)       says how much, and raises BoardProblem if the firmware cannot run

The figures are those of docs/weight.md.
"""

import copy
from collections import namedtuple

from tools.flash.config import SCHEMA
from tools.flash.ports import BoardProblem
from tools.weigh import table as weights

from . import loading

LIBRARY = "XAsyncSockets"
IN_PIECES = 6 * 1024  # bytes of the free memory that may be in pieces too small to use

# An ESP32's heap starts with these bytes (MicroPython's ports/esp32/mpconfigport.h). Its first growth doubles it and
# leaves enough for Wi-Fi. The second growth takes all available memory.
_FIRST = {"esp32": 56 * 1024}
_FIRST_OF_OTHERS = 64 * 1024

# The settings that switch off a part, each with its value. The sensors are read from the configuration.
SWITCHES = {
    "telemetry.enabled": False,
    "network.ntp": "",
    "network.probe_s": 0,
    "network.announce": 0,
    "ap.enabled": False,
    "http.enabled": False,
    "mqtt.broker": "",
    "mqtt.discovery": False,
    "log.syslog": "",
}

# most: the bytes that the heap can have, None if unknown. in_rom: the code runs from a ROMFS and takes no heap.
# has_ethernet: the board has an Ethernet chip that works without settings.
Room = namedtuple("Room", "name most in_rom has_ethernet", defaults=(False, False))
Estimate = namedtuple("Estimate", "used serving")  # bytes, at rest and with four clients


class NoFigures(BoardProblem):
    """A module is newer than the last `make weigh`."""


def most_of_esp32(chip):
    """Return the largest size in bytes of Python's heap on a chip without external memory."""
    return 2 * _FIRST.get(chip, _FIRST_OF_OTHERS)


def growths(used, chip="esp32c3"):
    """Return how often the heap of such a chip has grown when `used` bytes are in use."""
    most = most_of_esp32(chip)
    return sum(used + IN_PIECES > size for size in (most // 2, most))


def estimate(config, room, table=None):
    """Return an `Estimate` of the heap that the firmware uses with a configuration (the content of config.json)."""
    table = table or weights.read()
    (used,) = _used(table, [config], room)
    return Estimate(used, used + table.heap["serving"] - table.heap["used"])


def parts(config, room, table=None):
    """Return [(bytes, setting)] of the parts that can be switched off in a configuration, the largest first."""
    less = _switched_off(config)
    used, *others = _used(table or weights.read(), [config, *less.values()], room)
    return sorted(((used - other, setting) for setting, other in zip(less, others) if other < used), reverse=True)


def _switched_off(config):
    """Return {setting: the configuration with this part switched off} for all parts that are on."""
    filled = SCHEMA.fill(config)
    sensors = {f"sensors.{kind}": [] for kind, given in filled["sensors"].items() if given and kind != "off"}
    found = {}
    for setting, off in {**SWITCHES, **sensors}.items():
        section, key = setting.split(".")
        if filled[section][key] != off:
            found[setting] = copy.deepcopy(config)
            found[setting].setdefault(section, {})[key] = off
    return found


def _used(table, configs, room):
    """Return a list of the bytes in use with each configuration: the measured value, adapted to its modules."""
    measured = {one.name for one in table.modules.values() if one.by_default}
    found = []
    for config, names in zip(configs, loading.modules([(config, room.has_ethernet) for config in configs])):
        wanted = {LIBRARY, *names}
        unknown = sorted(wanted - set(table.modules))
        if unknown:
            raise NoFigures(f"{weights.PAGE.name} has no figures for {', '.join(unknown)}: make weigh measures them.")
        used = table.heap["used"] + _sum(table, wanted, "heap") - _sum(table, measured, "heap")
        if room.in_rom:
            used -= _sum(table, wanted, "file")
        modem = SCHEMA.fill(config)["ppp"]
        if not modem["enabled"] or modem["uart"] is None:
            used -= table.heap["modem"]
        found.append(used)
    return found


def _sum(table, names, of):
    return sum(getattr(table.modules[name], of) for name in names)


def check(room, config, say, table=None):
    """Say how much of the heap will be in use. If it is too much, raise BoardProblem, which says what to switch off."""
    found = estimate(config, room, table)
    if room.most is None:
        say(f"Python's heap: about {_kb(found.used)} kB in use once it runs")
        return
    most = room.most - IN_PIECES
    if found.used > most:
        needs = f"needs about {_kb(found.used)} kB of Python's heap, and {room.name} has {_kb(most)} kB for it"
        raise BoardProblem(f"This configuration {needs}. {_advice(found.used - most, parts(config, room, table))}")
    more = ""
    if found.serving > most:
        more = f"; the {_kb(found.serving)} kB with 4 clients are too much: set control.clients to a smaller number"
    say(f"Python's heap: about {_kb(found.used)} of {_kb(most)} kB in use once it runs{more}")


def _advice(excess, found):
    if sum(taken for taken, _ in found) < excess:
        return "Switching parts off is not enough: build our image (make firmware), which keeps the code in flash."
    switches = ", ".join(f"{setting} ({taken / 1024:.1f} kB)" for taken, setting in found)
    return f"Switch off {_kb_up(excess)} kB or more of these: {switches}."


def _kb(number):
    return round(number / 1024)


def _kb_up(number):
    return -(-number // 1024)
