"""An analogue input: what a potentiometer, a photoresistor or a moisture probe gives."""


class AdcSensor:
    """One ADC pin; full scale reads as `scale`."""

    def __init__(self, board, settings):
        machine = board.machine
        self.name = settings["name"]
        self._scale = settings["scale"]
        self._adc = machine.ADC(machine.Pin(settings["pin"]))

    def read(self):
        """{"value"}: 0 to `scale`"""
        return {"value": self._adc.read_u16() / 65535 * self._scale}
