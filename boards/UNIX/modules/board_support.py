"""The UNIX board: the folder of its files, and the computer's own readings.

The folder is $BOARD_FILES, or else the current one.
"""

import os

NAME = "UNIX"
FILES = os.getenv("BOARD_FILES") or os.getcwd()
KEEPS_TIME = True

_PROC = "/proc/"
_THERMAL = "/sys/class/thermal/"
_HWMON = "/sys/class/hwmon/"


def _read(path):
    """Return the text of a small file of /proc or /sys, without the space around it."""
    with open(path) as file:
        return file.read().strip()


def _folder(path, start):
    """Return the paths in a folder whose name begins with `start`; none if there is no such folder."""
    try:
        return sorted(path + name for name in os.listdir(path) if name.startswith(start))
    except OSError:
        return []


class SystemSensor:
    """Load averages, and memory in bytes, of the whole computer."""

    name = "system"

    def read(self):
        """Return {"load_1m", "load_5m", "load_15m", "memory_total", "memory_available"}."""
        loads = _read(_PROC + "loadavg").split()
        reading = {f"load_{minutes}m": float(loads[index]) for index, minutes in enumerate((1, 5, 15))}
        for line in _read(_PROC + "meminfo").split("\n"):
            if line.startswith("MemTotal:") or line.startswith("MemAvailable:"):
                key, kibibytes, _ = line.split()
                reading["memory_" + key[3:-1].lower()] = int(kibibytes) * 1024
        return reading


class TemperatureSensor:
    """The hottest of the computer's thermal zones and monitoring chips, in degrees Celsius."""

    name = "temperature"
    limits = {"celsius": (-55, 150)}

    def __init__(self):
        self.sources = [zone + "/temp" for zone in _folder(_THERMAL, "thermal_zone")]
        for chip in _folder(_HWMON, "hwmon"):
            self.sources += [path for path in _folder(chip + "/", "temp") if path.endswith("_input")]

    def read(self):
        """Return {"celsius"}. A source that cannot be read is skipped."""
        degrees = []
        for source in self.sources:
            try:
                degrees.append(int(_read(source)) / 1000)
            except (OSError, ValueError):
                pass
        return {"celsius": max(degrees)} if degrees else {}


def sensors():
    """Return the computer's sensors. A virtual machine rarely has a temperature sensor."""
    temperature = TemperatureSensor()
    return [SystemSensor(), temperature] if temperature.sources else [SystemSensor()]
