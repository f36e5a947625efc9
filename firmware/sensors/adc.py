"""An analogue input: what a potentiometer, a photoresistor or a moisture probe gives."""


def analogue_input(machine, pin):
    """The ADC of a pin with the chip's full range of voltages; an ESP32 measures only 0.95 V otherwise."""
    full_range = getattr(machine.ADC, "ATTN_11DB", None)
    return machine.ADC(pin) if full_range is None else machine.ADC(pin, atten=full_range)


class AdcSensor:
    """One ADC pin; full scale reads as `scale`."""

    def __init__(self, board, settings):
        machine = board.machine
        self.name = settings["name"]
        self._scale = settings["scale"]
        self._adc = analogue_input(machine, machine.Pin(settings["pin"]))

    def read(self):
        """{"value"}: 0 to `scale`"""
        return {"value": self._adc.read_u16() / 65535 * self._scale}
