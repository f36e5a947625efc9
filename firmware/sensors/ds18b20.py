"""DS18B20 thermometers: any number of them on one 1-Wire pin.

All measure at the same time; one reading is one field "celsius", several are "celsius_<serial number>".
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
_POWER_ON_RAW = const(0x0550)  # 85 degrees: what the part holds until it has measured …
_POWER_ON_RESERVED = const(0x0C)  # … together with this in byte 6


class Ds18b20Sensor:
    """All thermometers on one pin."""

    def __init__(self, board, settings, onewire=None):
        if onewire is None:
            import _onewire as onewire

        machine = board.machine
        self.name = settings["name"]
        self._onewire = onewire
        self._pin = machine.Pin(settings["pin"], machine.Pin.OPEN_DRAIN, machine.Pin.PULL_UP)
        self._serials = []

    def _reset(self):
        if not self._onewire.reset(self._pin):
            raise OSError("nothing answers on the pin")

    def _write(self, *values):
        for value in values:
            self._onewire.writebyte(self._pin, value)

    def prepare(self):
        """Look for the parts, the first time, and have all of them measure."""
        if not self._serials:
            self._serials = [serial for serial in self._search() if serial[0] in _FAMILIES]
        self._reset()
        self._write(_SKIP_ROM, _CONVERT)
        return _CONVERSION_MS

    def read(self):
        """{"celsius"} or {"celsius_<serial>"}"""
        if not self._serials:
            raise OSError("no DS18B20 on the pin")
        if len(self._serials) == 1:
            return {"celsius": self._read_one(self._serials[0])}
        return {"celsius_" + binascii.hexlify(serial[1:7]).decode(): self._read_one(serial) for serial in self._serials}

    def _read_one(self, serial):
        self._reset()
        self._write(_MATCH_ROM, *serial)
        self._write(_READ_SCRATCHPAD)
        data = bytes(self._onewire.readbyte(self._pin) for _ in range(9))
        if self._onewire.crc8(data) or not any(data):
            self._serials = []  # it may have been changed for another: search again
            raise OSError("checksum wrong")
        raw = data[0] | data[1] << 8
        if raw == _POWER_ON_RAW and data[6] == _POWER_ON_RESERVED:
            raise OSError("it has not measured: is its power steady?")
        return (raw - 0x10000 if raw & 0x8000 else raw) / 16

    def _search(self):
        """The 8-byte serial numbers of all parts: Maxim's application note 187."""
        serials = []
        last_choice = 65  # the bit, counted down from 64, at which the last walk took the branch of 0
        serial = bytearray(8)
        while last_choice:
            self._reset()
            self._write(_SEARCH_ROM)
            serial, last_choice = self._walk(serial, last_choice)
            if self._onewire.crc8(serial):
                raise OSError("checksum wrong in the search")
            serials.append(bytes(serial))
        return serials

    def _walk(self, last, last_choice):
        """One way down the tree of serial numbers; returns the number and where to branch off next time."""
        serial = bytearray(8)
        next_choice = 0
        for position in range(64, 0, -1):
            byte, bit = (64 - position) >> 3, (64 - position) & 7
            has_zero = not self._onewire.readbit(self._pin)
            has_one = not self._onewire.readbit(self._pin)
            if not has_zero and not has_one:
                raise OSError("nothing answers in the search")
            one = has_one
            if has_zero and has_one:
                one = position == last_choice or (position > last_choice and bool(last[byte] >> bit & 1))
                if not one:
                    next_choice = position
            self._onewire.writebit(self._pin, int(one))
            serial[byte] |= int(one) << bit
        return serial, next_choice
