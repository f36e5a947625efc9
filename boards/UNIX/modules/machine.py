"""`machine` on the UNIX board: the computer's number, a restart, and virtual pins.

Virtual pins are kept in memory. For the program they behave like real ones: a pin that is an output reads
what was written, an input reads its pull until `drive` moves it, the ADC measures the pin.
"""

import binascii

PWRON_RESET = 1
SOFT_RESET = 5
VIRTUAL_PINS = 40

_MACHINE_ID = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id")


class Reset(SystemExit):
    """Raised by `reset`: ends the program; the firmware's main loop starts it again."""


def reset():
    """End the program so that it starts again."""
    raise Reset(0)


soft_reset = reset


def reset_cause():
    """Return always a power-on, because a program on a computer cannot know why it was started."""
    return PWRON_RESET


def unique_id():
    """Return 8 bytes that identify this computer."""
    for path in _MACHINE_ID:
        try:
            with open(path) as file:
                digits = file.read().replace("-", "").strip()
            return binascii.unhexlify(digits[:16])
        except (OSError, ValueError):
            pass
    return bytes(8)


class _Wire:
    """The wire at one virtual pin."""

    def __init__(self):
        self.mode = Pin.IN
        self.pull = None
        self.latch = 0
        self.outside = None  # 0 or 1 while something drives the pin
        self.pwm = None

    def level(self):
        """The level: 0 or 1."""
        if self.mode == Pin.OUT:
            return self.latch
        if self.mode == Pin.OPEN_DRAIN and not self.latch:
            return 0
        if self.outside is not None:
            return self.outside
        return 1 if self.pull == Pin.PULL_UP else 0


def _wire(pin):
    number = pin.number if isinstance(pin, Pin) else pin
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < VIRTUAL_PINS:
        raise ValueError("invalid pin")
    if number not in _wires:
        _wires[number] = _Wire()
    return _wires[number]


def drive(pin, level):
    """Drive a virtual pin from outside with `level`: 0, 1, or None to stop driving it."""
    _wire(pin).outside = level


class Pin:
    """A virtual pin: `Pin(number, mode, pull, value=...)`."""

    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2

    def __init__(self, number, mode=-1, pull=-1, value=None):
        self._wire = _wire(number)
        self.number = number
        self.init(mode, pull, value)

    def init(self, mode=-1, pull=-1, value=None):
        """Change the given settings."""
        if mode not in (-1, Pin.IN, Pin.OUT, Pin.OPEN_DRAIN):
            raise ValueError("invalid pin mode")
        if value is not None:
            self._wire.latch = 1 if value else 0
        if mode != -1:
            self._wire.mode = mode
            self._wire.pwm = None
        if pull != -1:
            self._wire.pull = pull

    def __eq__(self, other):
        return isinstance(other, Pin) and other.number == self.number

    def mode(self):
        """IN, OUT or OPEN_DRAIN."""
        return self._wire.mode

    def value(self, level=None):
        """Write `level`, or read the pin."""
        if level is None:
            return self._wire.level()
        self._wire.latch = 1 if level else 0

    def on(self):
        """Write 1."""
        self.value(1)

    def off(self):
        """Write 0."""
        self.value(0)

    def __call__(self, *level):
        return self.value(*level)


class PWM:
    """Pulses on a virtual pin: their settings are kept, but no pulses are made."""

    def __init__(self, pin, freq=1000, duty_u16=0):
        self._wire = _wire(pin)
        self._wire.mode = Pin.OUT
        self._wire.pwm = [freq, duty_u16]

    def _setting(self, index, value):
        if value is None:
            return self._wire.pwm[index]
        self._wire.pwm[index] = value

    def freq(self, hertz=None):
        """Set the frequency, or return it."""
        return self._setting(0, hertz)

    def duty_u16(self, duty=None):
        """Set the duty, 0 to 65535, or return it."""
        return self._setting(1, duty)

    def deinit(self):
        """Stop the pulses."""
        self._wire.pwm = None


class ADC:
    """Measures a virtual pin: its level, or the mean of its pulses."""

    def __init__(self, pin):
        self._wire = _wire(pin)

    def read_u16(self):
        """Return the measured value, 0 to 65535."""
        if self._wire.pwm:
            return self._wire.pwm[1]
        return 65535 * self._wire.level()


_wires = {}
