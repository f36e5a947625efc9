"""BME280 and BMP280 on I2C: temperature, pressure and, with a BME280, relative humidity.

Registers and compensation after Bosch's data sheet BST-BME280-DS002, sections 4.2.3, 5 and 8.1.
"""

import struct

from firmware import const

_BME280 = const(0x60)
_BMP280 = const((0x56, 0x57, 0x58))
_CHIP_ID = const(0xD0)
_CALIBRATION = const(0x88)
_HUMIDITY_CALIBRATION = const(0xE1)
_CONTROL_HUMIDITY = const(0xF2)
_CONTROL = const(0xF4)
_DATA = const(0xF7)
_ONCE = const(0x25)  # forced mode, temperature and pressure oversampled once
_MEASURING_MS = const(12)  # it takes at most 9.3
_NOT_MEASURED = b"\x80\x00\x00"  # the value of pressure and temperature after a reset


def temperature(raw, t):
    """Return (degrees Celsius, the fine value that the other formulas need). `t`: dig_T1 to dig_T3."""
    first = (raw / 16384 - t[0] / 1024) * t[1]
    second = (raw / 131072 - t[0] / 8192) ** 2 * t[2]
    return (first + second) / 5120, first + second


def pressure(raw, fine, p):
    """Return the pressure in pascal. `p`: dig_P1 to dig_P9."""
    half = fine / 2 - 64000
    second = half * half * p[5] / 32768 + half * p[4] * 2
    second = second / 4 + p[3] * 65536
    first = (p[2] * half * half / 524288 + p[1] * half) / 524288
    first = (1 + first / 32768) * p[0]
    if not first:
        return 0  # the part cannot measure such a pressure
    pascal = (1048576 - raw - second / 4096) * 6250 / first
    return pascal + (p[8] * pascal * pascal / 2147483648 + pascal * p[7] / 32768 + p[6]) / 16


def humidity(raw, fine, h):
    """Return the humidity in percent. `h`: dig_H1 to dig_H6."""
    base = fine - 76800
    percent = (raw - (h[3] * 64 + h[4] / 16384 * base)) * (
        h[1] / 65536 * (1 + h[5] / 67108864 * base * (1 + h[2] / 67108864 * base))
    )
    percent *= 1 - h[0] * percent / 524288
    return min(max(percent, 0), 100)


def humidity_calibration(first, data):
    """Return dig_H1 to dig_H6 from register 0xA1 and the 7 from 0xE1 on. Two 12-bit numbers share a byte."""
    second, third, fourth, shared, fifth, sixth = struct.unpack("<hBbBbb", data)
    return first, second, third, fourth * 16 + (shared & 15), fifth * 16 + (shared >> 4), sixth


class Bme280Sensor:
    """One part. It may be plugged in later, or be missing for some time."""

    limits = {"celsius": (-40, 85), "pascal": (30000, 110000), "humidity": (0, 100)}

    def __init__(self, board, settings):
        machine = board.machine
        pins = {name: machine.Pin(settings[name]) for name in ("scl", "sda") if settings[name] is not None}
        self.name = settings["name"]
        self._address = settings["address"]
        self._i2c = machine.I2C(settings["bus"], **pins)
        self._calibration = None

    def _registers(self, start, count):
        return self._i2c.readfrom_mem(self._address, start, count)

    def _set(self, register, value):
        self._i2c.writeto_mem(self._address, register, bytes((value,)))

    def _calibrate(self):
        chip = self._registers(_CHIP_ID, 1)[0]
        if chip != _BME280 and chip not in _BMP280:
            raise OSError(f"chip {chip:#x} is not a BME280 or BMP280")
        data = self._registers(_CALIBRATION, 26)
        t = struct.unpack("<Hhh", data[:6])
        p = struct.unpack("<Hhhhhhhhh", data[6:24])
        h = humidity_calibration(data[25], self._registers(_HUMIDITY_CALIBRATION, 7)) if chip == _BME280 else None
        self._calibration = t, p, h

    def prepare(self):
        """Start one measurement. Between measurements the part sleeps."""
        try:
            if not self._calibration:
                self._calibrate()
            if self._calibration[2]:
                self._set(_CONTROL_HUMIDITY, 1)
            self._set(_CONTROL, _ONCE)
        except OSError:
            self._calibration = None  # another part may be plugged in
            raise
        return _MEASURING_MS

    def read(self):
        """Return {"celsius", "pascal"} and, from a BME280, "humidity" in percent."""
        t, p, h = self._calibration
        data = self._registers(_DATA, 8 if h else 6)
        if data[:3] == _NOT_MEASURED or data[3:6] == _NOT_MEASURED:
            raise OSError("it has not measured: is its power steady?")
        celsius, fine = temperature(data[3] << 12 | data[4] << 4 | data[5] >> 4, t)
        reading = {"celsius": celsius, "pascal": pressure(data[0] << 12 | data[1] << 4 | data[2] >> 4, fine, p)}
        if h:
            reading["humidity"] = humidity(data[6] << 8 | data[7], fine, h)
        return reading
