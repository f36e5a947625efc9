"""The sensors that need nothing wired up: the heap, the chip's temperature, the radio's signal."""

import gc


class HeapSensor:
    """The interpreter's heap, in bytes."""

    name = "heap"
    min_interval_ms = 1000  # a collection takes time, and everybody may ask

    def read(self):
        """{"free", "used"} after a collection, because garbage would look like a leak."""
        gc.collect()
        return {"free": gc.mem_free(), "used": gc.mem_alloc()}


class ChipSensor:
    """The chip's own temperature in degrees Celsius; it may be some degrees off, and is warmer than the room."""

    name = "chip"
    limits = {"celsius": (-40, 125)}

    def __init__(self, measure):
        self._measure = measure

    def read(self):
        """{"celsius"}"""
        return {"celsius": self._measure()}


class SignalSensor:
    """The radio's signal strength in dBm, while the board is a station in a Wi-Fi network."""

    name = "wifi"
    limits = {"rssi": (-127, 0)}

    def __init__(self, bringup):
        self._bringup = bringup

    def read(self):
        """{"rssi"}, or nothing on another network."""
        rssi = self._bringup.rssi()
        return {} if rssi is None else {"rssi": rssi}


def _rp2_temperature(adc):
    """27 degrees at 0.706 V, and 1.721 mV less for each degree more (RP2040 and RP2350 datasheets)."""
    return 27 - (adc.read_u16() * 3.3 / 65535 - 0.706) / 0.001721


def _find_chip_temperature(machine):
    """A function that measures the chip's temperature, or None if the chip cannot."""
    try:
        import esp32

        if hasattr(esp32, "mcu_temperature"):
            return esp32.mcu_temperature
        if hasattr(esp32, "raw_temperature"):
            return lambda: (esp32.raw_temperature() - 32) / 1.8
    except ImportError:
        pass
    channel = getattr(getattr(machine, "ADC", None), "CORE_TEMP", None)
    if channel is None:
        return None
    adc = machine.ADC(channel)
    return lambda: _rp2_temperature(adc)


def find(board, bringup):
    """Yield those of these sensors that the board has."""
    if hasattr(gc, "mem_free"):
        yield HeapSensor()
    measure = _find_chip_temperature(board.machine)
    if measure:
        yield ChipSensor(measure)
    if hasattr(board.network, "WLAN"):
        yield SignalSensor(bringup)
