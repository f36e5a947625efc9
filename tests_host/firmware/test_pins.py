"""The pins' methods on a chip of the test's own: firmware/control/pins.py. Those of the image: test_control.py."""

from types import SimpleNamespace

import pytest
from fakes import Bench

from firmware.control.methods import Methods
from firmware.control.pins import Pins

RESERVED = 23


class Chip:
    """Records the calls for its pins and pulses."""

    def __init__(self):
        self.done = done = []

        class Pin:
            IN, OUT = "in", "out"  # no open drain
            PULL_UP, PULL_DOWN = "pull up", "pull down"

            def __init__(self, number, *mode, **value):
                self.number = number
                if mode or value:
                    done.append((number, *mode, *value.values()))

            def value(self):
                return 1

        class PWM:
            def __init__(self, pin):
                self.number = pin.number

            def freq(self, hertz):
                done.append((self.number, "freq", hertz))

            def duty_u16(self, duty):
                done.append((self.number, "duty", duty))

            def deinit(self):
                done.append((self.number, "no pulses"))

        self.Pin, self.PWM = Pin, PWM
        self.ADC = lambda pin: SimpleNamespace(read_u16=lambda: 65535)


@pytest.fixture
def chip():
    return Chip()


@pytest.fixture
def bench(tmp_path, chip):
    bench = Bench(tmp_path, machine=chip, support=SimpleNamespace(RESERVED_PINS=(RESERVED, "WL_GPIO0")))
    bench.methods = Methods(bench.log)
    bench.pins = Pins()
    bench.pins.start(bench)
    return bench


@pytest.fixture
def call(bench):
    session = SimpleNamespace(check_access=lambda writes: None)
    return lambda method, *params: bench.methods.call(session, method, list(params))


@pytest.mark.parametrize("pin", [RESERVED, "WL_GPIO0"])
@pytest.mark.parametrize(
    "method, params",
    [("gpio.mode", ["in"]), ("gpio.read", []), ("gpio.write", [1]), ("pwm.set", [0.5]), ("adc.read", [])],
)
def test_a_pin_of_the_boards_own_is_not_touched(call, chip, method, params, pin):
    with pytest.raises(Exception, match=f"pin {pin} belongs to the board itself"):
        call(method, pin, *params)
    assert not chip.done


def test_modes_and_pulls(call, chip):
    call("gpio.mode", 2, "in", "up")
    call("gpio.mode", 2, "out")
    assert chip.done == [(2, "in", "pull up"), (2, "out", None)]
    with pytest.raises(Exception, match="mode: one of"):
        call("gpio.mode", 2, "open_drain")


def test_pulses_have_their_frequency_and_end_when_they_are_to(call, chip, bench):
    for end in (("pwm.set", 4), ("gpio.write", 4, 1), ("gpio.mode", 4, "out")):
        call("pwm.set", 4, 0.5, 1000)
        call("pwm.set", 4, 1)
        assert chip.done == [(4, "freq", 1000), (4, "duty", 32767), (4, "duty", 65535)]
        call(*end)
        assert chip.done[3] == (4, "no pulses")
        chip.done.clear()
    call("pwm.set", 4, 0.5)
    call("pwm.set", 5, 0)
    chip.done.clear()
    bench.pins.stop()
    assert chip.done == [(4, "no pulses"), (5, "no pulses")]


def test_what_the_chip_has_not_is_not_offered(tmp_path):
    bench = Bench(tmp_path)
    bench.methods = Methods(bench.log)
    Pins().start(bench)
    assert bench.methods.names() == []
