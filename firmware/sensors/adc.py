"""An analogue input, for example for a potentiometer, a photoresistor or a moisture probe."""


def analogue_input(machine, pin):
    """Return the ADC of a pin with the chip's full voltage range. By default an ESP32 measures only up to 0.95 V."""
    full_range = getattr(machine.ADC, "ATTN_11DB", None)
    return machine.ADC(pin) if full_range is None else machine.ADC(pin, atten=full_range)


class AdcSensor:
    """One ADC pin. Full scale reads as `scale`."""

    def __init__(self, board, settings):
        machine = board.machine
        self.name = settings["name"]
        self._scale = settings["scale"]
        self._adc = analogue_input(machine, machine.Pin(settings["pin"]))

    def read(self):
        """Return {"value"}, from 0 to `scale`."""
        return {"value": self._adc.read_u16() / 65535 * self._scale}
