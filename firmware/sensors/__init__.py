"""Sensors: their interface, and the hub that reads all of them without waiting.

A sensor is any object with a `name` and a `read()` that returns {"field": number}. An exception instead of the number
is the error of that field only. It may also have:

    prepare()         starts a measurement, returns the milliseconds until read() may fetch it
    limits            {"field": (least, most)} of measurable values, also for "field_..."; other values are errors
    units             {"field": (device class, unit)} for Home Assistant, if it cannot know them
    min_interval_ms   the shortest time between two calls of read()
    slow = True       read() takes long, so it is called only for telemetry; other callers get the last reading
"""

from firmware import Lean, const
from firmware.log import describe
from XAsyncSockets import XTimer

_MAKE_AGAIN_MS = const(30000)


class Entry:
    """A sensor with its last reading and its last error."""

    reading = read_at = tried_at = error = None  # times are uptimes in milliseconds
    valid = False  # False: the reading is outdated
    errors = 0
    ready = False

    def __init__(self, sensor, name, make):
        self.sensor = sensor  # None if it could not be made
        self.make = make if sensor is None else None
        self.name = name


class SensorHub(Lean):
    """All sensors. A sensor that fails is reported and does not affect the others."""

    SELDOM = "firmware.sensors.readers"

    def __init__(self, clock, pool, log):
        self.clock = clock
        self.entries = []
        self._log = log
        self._waiting = []  # callers that wait for the current measurement
        self._timer = XTimer(pool, self._finish)

    def sample(self, done):
        """Measure with every sensor, then call `done({name: reading})`, without waiting in between."""
        self._waiting.append(done)
        if len(self._waiting) > 1:
            return  # a measurement is in progress: both callers get its readings
        delay_ms = self._prepare()
        if delay_ms:
            self._timer.Restart(delay_ms / 1000)
        else:
            self._finish()

    def _prepare(self):
        """Start the measurements that take time. Return the milliseconds until all of them are done."""
        longest_ms = 0
        for entry in self.entries:
            try:
                if entry.sensor is None and self._is_due(entry, _MAKE_AGAIN_MS):
                    entry.sensor = entry.make()
                if hasattr(entry.sensor, "prepare"):
                    longest_ms = max(longest_ms, entry.sensor.prepare())
                entry.ready = True
            except Exception as error:
                self._failed(entry, describe(error))
        return longest_ms

    def _finish(self, _=None):
        readings = {}
        for entry in self.entries:
            if entry.ready:
                self.measure(entry)
            entry.ready = False
            if entry.valid and entry.reading:
                readings[entry.name] = entry.reading
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(readings)

    def measure(self, entry):
        """Read one sensor, unless it was read a moment ago."""
        if entry.sensor is None or not self._is_due(entry, getattr(entry.sensor, "min_interval_ms", 0)):
            return
        try:
            reading, errors = _checked(entry.sensor.read(), getattr(entry.sensor, "limits", {}))
        except Exception as error:
            self._failed(entry, describe(error))
            return
        if errors:
            self._failed(entry, ", ".join(errors))
        elif entry.error:
            self._log.info("sensors", f"{entry.name} works again")
            entry.error = None
        if reading or not errors:
            entry.reading = reading
            entry.read_at = entry.tried_at
            entry.valid = True

    def _is_due(self, entry, pause_ms):
        """Return True if `pause_ms` have passed since this last returned True."""
        now = self.clock.uptime_ms()
        if pause_ms and entry.tried_at is not None and now - entry.tried_at < pause_ms:
            return False
        entry.tried_at = now
        return True

    def _failed(self, entry, text):
        entry.valid = False
        entry.errors += 1
        if not entry.error:  # reported once, not at every reading
            self._log.warning("sensors", f"{entry.name}: {text}")
        entry.error = text


def _checked(reading, limits):
    """Return (the fields of a reading that have a value, the errors of others). Others are in neither."""
    if not isinstance(reading, dict):
        raise TypeError("read() must return a dictionary")
    fields = {}
    errors = []
    for field in sorted(reading):
        value = reading[field]
        field = str(field)
        limit = limits.get(field.split("_")[0])
        if value is None or isinstance(value, float) and value - value != 0:  # NaN, or infinite
            continue
        if isinstance(value, Exception):
            errors.append(f"{field}: {describe(value)}")
        elif not isinstance(value, (int, float, str)):
            errors.append(f"{field} is not a number or text")
        elif limit and not limit[0] <= value <= limit[1]:
            errors.append(f"{field}: {value:.7g} is outside {limit[0]} to {limit[1]}")
        else:
            fields[field] = value
    return fields, errors
