"""The sensors that need no wiring: the heap, the chip's temperature and the radio's signal. load.py finds them."""

import gc


class HeapSensor:
    """The interpreter's heap, in bytes."""

    name = "heap"
    min_interval_ms = 1000  # a collection takes time, and anyone may request a reading

    def read(self):
        """Return {"free", "used"} after a collection, because garbage would look like a leak."""
        gc.collect()
        return {"free": gc.mem_free(), "used": gc.mem_alloc()}


class ChipSensor:
    """The chip's temperature in degrees Celsius. It may be some degrees off, and is above room temperature."""

    name = "chip"
    limits = {"celsius": (-40, 125)}

    def __init__(self, measure, factor=1, offset=0):
        self._measure = measure
        self._factor = factor
        self._offset = offset

    def read(self):
        """{"celsius"}"""
        return {"celsius": self._measure() * self._factor + self._offset}


class SignalSensor:
    """The radio's signal strength in dBm, while the board is a station in a Wi-Fi network."""

    name = "wifi"
    limits = {"rssi": (-127, 0)}

    def __init__(self, bringup):
        self._bringup = bringup

    def read(self):
        """Return {"rssi"}, or {} on another network."""
        rssi = self._bringup.rssi()
        return {} if rssi is None else {"rssi": rssi}
