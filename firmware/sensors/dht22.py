"""DHT22 (AM2302): temperature and relative humidity, over one wire with its own protocol."""

import sys


def _find_readinto(machine):
    """Return the function that reads the part's 5 bytes. Its module differs between ports and releases."""
    if hasattr(machine, "dht_readinto"):
        return machine.dht_readinto
    return __import__("esp" if sys.platform.startswith("esp") else sys.platform).dht_readinto


class Dht22Sensor:
    """One DHT22."""

    limits = {"celsius": (-40, 80), "humidity": (0, 100)}
    min_interval_ms = 2000
    slow = True  # it takes up to 25 ms with interrupts off

    def __init__(self, board, settings):
        self.name = settings["name"]
        self._pin = board.machine.Pin(settings["pin"])
        self._readinto = _find_readinto(board.machine)
        self._data = bytearray(5)

    def read(self):
        """Return {"celsius", "humidity"} in degrees and percent."""
        data = self._data
        self._readinto(self._pin, data)
        if sum(data[:4]) & 0xFF != data[4]:
            raise OSError("checksum wrong")
        tenths = data[2] << 8 | data[3]
        if tenths & 0x8000:  # sign and magnitude, or two's complement; the wrong one gives a far too low value
            tenths = max(0x8000 - tenths, tenths - 0x10000)
        return {"celsius": tenths / 10, "humidity": (data[0] << 8 | data[1]) / 10}
