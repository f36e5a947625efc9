"""The pins, through the control server: gpio.mode, gpio.read, gpio.write, pwm.set, adc.read."""

_MODES = {"in": "IN", "out": "OUT", "open_drain": "OPEN_DRAIN"}
_PULLS = {"up": "PULL_UP", "down": "PULL_DOWN"}


class Pins:
    """The service that gives access to the pins that the board does not need itself."""

    name = "pins"

    def __init__(self):
        self._machine = None
        self._reserved = ()
        self._pulses = {}

    def start(self, app):
        """Offer what this board's `machine` has."""
        self._machine = app.board.machine
        self._reserved = app.board.reserved_pins
        add = app.methods.add
        if hasattr(self._machine, "Pin"):
            add("gpio.mode", self._mode, "pin mode pull?", writes=True)
            add("gpio.read", self._read, "pin")
            add("gpio.write", self._write, "pin value", writes=True)
        if hasattr(self._machine, "PWM"):
            add("pwm.set", self._pwm, "pin duty? freq?", writes=True)
        if hasattr(self._machine, "ADC"):
            add("adc.read", self._adc, "pin")

    def stop(self):
        """Stop all pulses."""
        for pulses in self._pulses.values():
            pulses.deinit()
        self._pulses = {}

    def _check(self, pin):
        if isinstance(pin, bool) or not isinstance(pin, (int, str)):
            raise ValueError("pin: a number or a name")
        if pin in self._reserved:
            raise ValueError(f"pin {pin} belongs to the board itself")
        return pin

    def _mode(self, _session, pin, mode, pull):
        pin_class = self._machine.Pin
        if mode not in _MODES or not hasattr(pin_class, _MODES[mode]):
            raise ValueError(f"mode: one of {', '.join(sorted(_MODES))}")
        if pull is not None and pull not in _PULLS:
            raise ValueError("pull: up, down or nothing")
        self._end_pulses(self._check(pin))
        wanted_pull = getattr(pin_class, _PULLS[pull]) if pull else None
        pin_class(pin, getattr(pin_class, _MODES[mode]), wanted_pull)
        return True

    def _read(self, _session, pin):
        return self._machine.Pin(self._check(pin)).value()

    def _write(self, _session, pin, value):
        if value not in (0, 1):
            raise ValueError("value: 0 or 1")
        self._end_pulses(self._check(pin))
        self._machine.Pin(pin, self._machine.Pin.OUT, value=int(value))
        return True

    def _pwm(self, _session, pin, duty, freq):
        self._check(pin)
        if duty is None:
            self._end_pulses(pin)
            return True
        if isinstance(duty, bool) or not isinstance(duty, (int, float)) or not 0 <= duty <= 1:
            raise ValueError("duty: 0 to 1")
        if freq is not None and (not isinstance(freq, int) or not 1 <= freq <= 40000000):
            raise ValueError("freq: 1 to 40000000 Hz")
        if pin not in self._pulses:
            self._pulses[pin] = self._machine.PWM(self._machine.Pin(pin))
        if freq:
            self._pulses[pin].freq(freq)
        self._pulses[pin].duty_u16(int(duty * 65535))
        return True

    def _end_pulses(self, pin):
        pulses = self._pulses.pop(pin, None)
        if pulses:
            pulses.deinit()

    def _adc(self, _session, pin):
        return self._machine.ADC(self._machine.Pin(self._check(pin))).read_u16() / 65535
