"""The control server's methods for pins: gpio.pins, gpio.mode, gpio.read, gpio.write, pwm.set, adc.read."""

from firmware import const
from firmware.sensors.adc import analogue_input

_ANALOG = const("analog")
_MODES = ("in", "open_drain", "out")  # `machine.Pin` has them in capitals
_MOST_NUMBERS = const(64)


class Pins:
    """The service that gives access to the pins that the board does not need itself."""

    name = "pins"

    def __init__(self):
        self._machine = None
        self._reserved = []
        self._uses = []  # (pin, its PWM or ADC)

    def start(self, app):
        """Offer the methods that this board's `machine` supports."""
        self._machine = app.board.machine
        add = app.methods.add
        if hasattr(self._machine, "Pin"):
            # Pin objects are compared, not names: 23, "GP23" and "GPIO23" are the same pin.
            self._reserved = [self._find(pin) for pin in app.board.reserved_pins]
            add("gpio.pins", lambda session: self._usable())
            add("gpio.mode", self._mode, "pin mode pull?", writes=True)
            add("gpio.read", lambda session, pin: self._check(pin).value(), "pin")
            add("gpio.write", self._write, "pin value", writes=True)
        if hasattr(self._machine, "PWM"):
            add("pwm.set", self._pwm, "pin duty? freq?", writes=True)
        if hasattr(self._machine, "ADC"):
            add("adc.read", self._adc, "pin")

    def stop(self):
        """Stop all PWM."""
        for pin, _ in self._uses:
            self._free(pin)

    def _find(self, pin):
        """Return the pin with a number or a name, or None. The pin does not change."""
        try:
            return self._machine.Pin(pin)
        except (ValueError, TypeError):
            return None

    def _usable(self):
        """Return the numbers of all pins that are not reserved, and the names of those without a number."""
        names = []
        seen = self._reserved + [None]
        for name in list(range(_MOST_NUMBERS)) + sorted(dir(getattr(self._machine.Pin, "board", None))):
            pin = self._find(name)
            if pin not in seen:
                seen.append(pin)
                names.append(name)
        return names

    def _check(self, pin):
        """Return the pin, or raise ValueError if it must not be used."""
        if isinstance(pin, bool) or not isinstance(pin, (int, str)):
            raise ValueError("pin: a number or a name")
        found = self._find(pin)
        if found is None:
            raise ValueError("no such pin: gpio.pins lists them")
        if found in self._reserved:
            raise ValueError(f"pin {pin} belongs to the board itself")
        return found

    def _use(self, pin, method):
        """Return the pin's PWM or ADC that has this method, or None."""
        for one, use in self._uses:
            if one == pin and hasattr(use, method):
                return use
        return None

    def _free(self, pin):
        """End the pin's PWM or ADC."""
        pulses = self._use(pin, "duty_u16")
        if pulses:
            pulses.deinit()
        self._uses = [use for use in self._uses if use[0] != pin]

    def _mode(self, _session, pin, mode, pull=None):
        pin_class = self._machine.Pin
        modes = [_ANALOG] + [one for one in _MODES if hasattr(pin_class, one.upper())]
        if mode not in modes:
            raise ValueError(f"mode: one of {', '.join(modes)}")
        if pull not in (None, "up", "down"):
            raise ValueError("pull: up, down or nothing")
        found = self._check(pin)
        self._free(found)
        if mode == _ANALOG:
            self._uses.append((found, analogue_input(self._machine, found)))
        else:
            pin_class(pin, getattr(pin_class, mode.upper()), pull and getattr(pin_class, "PULL_" + pull.upper()))
        return True

    def _write(self, _session, pin, value):
        if value not in (0, 1):
            raise ValueError("value: 0 or 1")
        self._free(self._check(pin))
        self._machine.Pin(pin, self._machine.Pin.OUT, value=int(value))
        return True

    def _pwm(self, _session, pin, duty=None, freq=None):
        found = self._check(pin)
        if duty is None:
            self._free(found)
            return True
        if isinstance(duty, bool) or not isinstance(duty, (int, float)) or not 0 <= duty <= 1:
            raise ValueError("duty: 0 to 1")
        if freq is not None and (not isinstance(freq, int) or not 1 <= freq <= 40000000):
            raise ValueError("freq: 1 to 40000000 Hz")
        pulses = self._use(found, "duty_u16")
        if not pulses:
            self._free(found)
            pulses = self._machine.PWM(found)
            self._uses.append((found, pulses))
        if freq:
            pulses.freq(freq)
        pulses.duty_u16(int(duty * 65535))
        return True

    def _adc(self, _session, pin):
        adc = self._use(self._check(pin), "read_u16")
        if not adc:  # switching it here would end its current use, and reading needs no login
            raise ValueError(f"pin {pin} is not an analogue input: gpio.mode pin={pin} mode=analog makes it one")
        return adc.read_u16() / 65535
