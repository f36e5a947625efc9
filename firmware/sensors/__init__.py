"""Sensors: what they look like, the ones a board has, and the hub that reads them all without waiting.

A sensor is any object with a `name` and a `read()` that returns {"field": number}. More, where it needs it:

    prepare()         starts a measurement, returns the milliseconds until read() may fetch it
    min_interval_ms   read() must not be called more often
    slow = True       read() takes long: it is called for telemetry only, other readers get the last reading
"""

from firmware.log import describe
from XAsyncSockets import XTimer

_FIELD_TYPES = (int, float, bool, str)


class _Entry:
    """A sensor with its last reading and its last error."""

    def __init__(self, sensor, name):
        self.sensor = sensor
        self.name = name
        self.reading = None
        self.read_at = None  # uptime in milliseconds
        self.error = None
        self.errors = 0
        self.prepares = hasattr(sensor, "prepare")
        self.ready = not self.prepares


class SensorHub:
    """All sensors. One that fails is reported and harms no other."""

    def __init__(self, clock, pool, log):
        self._clock = clock
        self._log = log
        self._entries = []
        self._waiting = []  # who wants the readings that are being taken
        self._timer = XTimer(pool, self._finish)

    def add(self, sensor, name=None):
        """Take a sensor in; a second one of the same name gets a number. Returns the name it has here."""
        name = wanted = str(name or getattr(sensor, "name", "sensor"))
        number = 2
        while self._find(name):
            name = f"{wanted}{number}"
            number += 1
        self._entries.append(_Entry(sensor, name))
        return name

    def _find(self, name):
        for entry in self._entries:
            if entry.name == name:
                return entry
        return None

    def names(self):
        """The names of all sensors."""
        return [entry.name for entry in self._entries]

    def list(self):
        """What there is to tell of each sensor, and its last reading."""
        return [
            {
                "name": entry.name,
                "reading": entry.reading,
                "age_s": self._age_s(entry),
                "error": entry.error,
                "errors": entry.errors,
            }
            for entry in self._entries
        ]

    def failing(self):
        """How many sensors gave an error at their last reading."""
        return sum(1 for entry in self._entries if entry.error)

    def _age_s(self, entry):
        return None if entry.read_at is None else (self._clock.uptime_ms() - entry.read_at) // 1000

    def read(self, name):
        """One sensor's reading: fresh where that takes no waiting. Raises KeyError, or OSError if it fails."""
        entry = self._find(name)
        if not entry:
            raise KeyError(name)
        if not entry.prepares and not getattr(entry.sensor, "slow", False):
            self._read(entry)
        if entry.error:
            raise OSError(entry.error)
        if entry.reading is None:
            raise OSError("no reading yet")
        return entry.reading

    def read_all(self):
        """{name: reading} of the sensors that can be read now."""
        readings = {}
        for name in self.names():
            try:
                readings[name] = self.read(name)
            except OSError:
                pass
        return readings

    def sample(self, done):
        """Measure with every sensor, then call `done({name: reading})`, without waiting in between."""
        self._waiting.append(done)
        if len(self._waiting) > 1:
            return  # a measurement is under way: its readings are for both
        delay_ms = self._prepare()
        if delay_ms:
            self._timer.Restart(delay_ms / 1000)
        else:
            self._finish()

    def _prepare(self):
        """Start the measurements that need it; returns the milliseconds until all of them are done."""
        longest_ms = 0
        for entry in self._entries:
            if entry.prepares:
                try:
                    longest_ms = max(longest_ms, entry.sensor.prepare())
                    entry.ready = True
                except Exception as error:
                    self._failed(entry, error)
        return longest_ms

    def _finish(self, _=None):
        readings = {}
        for entry in self._entries:
            if entry.ready:
                self._read(entry)
            if entry.prepares:
                entry.ready = False
            if entry.reading and not entry.error:
                readings[entry.name] = entry.reading
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(readings)

    def _read(self, entry):
        now = self._clock.uptime_ms()
        pause_ms = getattr(entry.sensor, "min_interval_ms", 0)
        if pause_ms and entry.read_at is not None and now - entry.read_at < pause_ms:
            return
        try:
            entry.reading = _checked(entry.sensor.read())
        except Exception as error:
            self._failed(entry, error)
            return
        entry.read_at = now
        if entry.error:
            self._log.info("sensors", f"{entry.name} works again")
            entry.error = None

    def _failed(self, entry, error):
        entry.errors += 1
        text = describe(error)
        if entry.error != text:  # once, not at every reading
            self._log.warning("sensors", f"{entry.name}: {text}")
        entry.error = text


def _checked(reading):
    """A reading without what is no value (None, NaN). Raises TypeError for what is no reading at all."""
    if not isinstance(reading, dict):
        raise TypeError("read() must return a dictionary")
    fields = {}
    for field in reading:
        value = reading[field]
        if value is None or value != value or value in (float("inf"), float("-inf")):
            continue
        if not isinstance(value, _FIELD_TYPES):
            raise TypeError(f"{field} is not a number or text")
        fields[str(field)] = value
    return fields
