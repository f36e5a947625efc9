"""DS18B20 thermometers: any number of them on one 1-Wire pin.

All measure at the same time. Each has a field "celsius_<serial number>", which does not depend on the other parts.
"""

import binascii

from firmware import const

_SEARCH_ROM = const(0xF0)
_MATCH_ROM = const(0x55)
_SKIP_ROM = const(0xCC)
_CONVERT = const(0x44)
_READ_SCRATCHPAD = const(0xBE)
_CONVERSION_MS = const(750)
_FAMILIES = const((0x28, 0x22))  # DS18B20, DS1822
_POWER_ON_RAW = const(0x0550)  # 85 degrees: the part has this value until it has measured …
_POWER_ON_RESERVED = const(0x0C)  # … together with this in byte 6
_SILENCE = b"\xff" * 9
_ALL_WAYS = const(65)  # one more than the bits of a serial number: the search has not branched yet


class Ds18b20Sensor:
    """All thermometers on one pin."""

    limits = {"celsius": (-55, 125)}

    def __init__(self, board, settings, onewire=None):
        if onewire is None:
            import _onewire as onewire

        machine = board.machine
        self.name = settings["name"]
        self._onewire = onewire
        self._pin = machine.Pin(settings["pin"], machine.Pin.OPEN_DRAIN, machine.Pin.PULL_UP)
        self._serials = []  # all parts that were ever found, so that a missing one is noticed
        self._last = b""
        self._last_choice = _ALL_WAYS

    def _reset(self):
        if not self._onewire.reset(self._pin):
            raise OSError("nothing answers on the pin")

    def _write(self, *values):
        for value in values:
            self._onewire.writebyte(self._pin, value)

    def prepare(self):
        """Search for parts, and let all of them measure."""
        while self._finds_another():
            pass
        if not self._thermometers():
            raise OSError("no DS18B20 on the pin")
        self._reset()
        self._write(_SKIP_ROM, _CONVERT)
        return _CONVERSION_MS

    def read(self):
        """Return {"celsius_<serial>": degrees, or the part's error}."""
        reading = {}
        for serial in self._thermometers():
            reading["celsius_" + binascii.hexlify(serial[1:7]).decode()] = self._read_one(serial)
        return reading

    def _thermometers(self):
        return [serial for serial in self._serials if serial[0] in _FAMILIES]

    def _read_one(self, serial):
        self._reset()
        self._write(_MATCH_ROM, *serial)
        self._write(_READ_SCRATCHPAD)
        data = bytes(self._onewire.readbyte(self._pin) for _ in range(9))
        if data == _SILENCE:
            return OSError("it does not answer")
        if self._onewire.crc8(data) or not any(data):
            return OSError("checksum wrong")
        raw = data[0] | data[1] << 8
        if raw == _POWER_ON_RAW and data[6] == _POWER_ON_RESERVED:
            return OSError("it has not measured: is its power steady?")
        return (raw - 0x10000 if raw & 0x8000 else raw) / 16

    def _finds_another(self):
        """Search the next part (Maxim's application note 187). Return True if it is new. The first search finds all
        parts. Later, each measurement searches one branch."""
        self._reset()
        self._write(_SEARCH_ROM)
        serial, choice = self._walk(self._last, self._last_choice)
        self._last, self._last_choice = serial, choice or _ALL_WAYS
        if not serial or self._onewire.crc8(serial) or serial in self._serials:
            return False
        self._serials.append(serial)
        return True

    def _walk(self, last, last_choice):
        """Follow one path down the tree of serial numbers. Return the number and the next branch (0: done)."""
        serial = bytearray(8)
        next_choice = 0
        for position in range(64, 0, -1):
            byte, bit = (64 - position) >> 3, (64 - position) & 7
            has_zero = not self._onewire.readbit(self._pin)
            has_one = not self._onewire.readbit(self._pin)
            if not has_zero and not has_one:
                return b"", 0  # the part that answered first is gone
            one = has_one
            if has_zero and has_one:
                one = position == last_choice or (position > last_choice and bool(last[byte] >> bit & 1))
                if not one:
                    next_choice = position
            self._onewire.writebit(self._pin, int(one))
            serial[byte] |= int(one) << bit
        return bytes(serial), next_choice
