"""The rarely used methods of `SensorHub`: to add sensors, and to show them and their readings."""

from firmware.sensors import Entry


def add(hub, sensor, name=None, make=None):
    """Add a sensor, and return its name. A second sensor of the same name gets a number.

    `sensor` is None if it could not be made; then `make()` is called again later.
    """
    name = wanted = str(name or getattr(sensor, "name", "sensor"))
    number = 2
    while _find(hub, name):
        name = f"{wanted}{number}"
        number += 1
    hub.entries.append(Entry(sensor, name, make))
    return name


def _find(hub, name):
    for entry in hub.entries:
        if entry.name == name:
            return entry
    return None


def names(hub):
    """Return the names of all sensors."""
    return [entry.name for entry in hub.entries]


def units(hub, name):
    """Return the units of the sensor with this name."""
    entry = _find(hub, name)
    return getattr(entry and entry.sensor, "units", {})


def list(hub):
    """Return a description of each sensor with its last reading."""
    now = hub.clock.uptime_ms()
    return [
        {
            "name": entry.name,
            "reading": entry.reading,
            "age_s": None if entry.read_at is None else (now - entry.read_at) // 1000,
            "error": entry.error,
            "errors": entry.errors,
        }
        for entry in hub.entries
    ]


def read(hub, name):
    """Return a sensor's reading, a new one if that is possible without waiting. Raises KeyError or OSError."""
    entry = _find(hub, name)
    if not entry:
        raise KeyError(f"{name}; there are {', '.join(names(hub))}")
    if not hasattr(entry.sensor, "prepare") and not getattr(entry.sensor, "slow", False):
        hub.measure(entry)
    if not entry.valid:
        raise OSError(entry.error or "no reading yet")
    return entry.reading


def read_all(hub):
    """Return {name: reading} of the sensors that can be read now."""
    readings = {}
    for name in names(hub):
        try:
            readings[name] = read(hub, name)
        except OSError:
            pass
    return readings
