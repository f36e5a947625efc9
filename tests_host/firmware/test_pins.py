"""The pins' methods on a simulated chip: firmware/control/pins.py. test_control.py tests those of the image."""

from types import SimpleNamespace

import pytest
from fakes import Bench

from firmware.control import Methods
from firmware.control.pins import Pins

RESERVED = 23


class Chip:
    """Records the changes of its pins and pulses. As on an RP2, an ADC switches its pin's output off."""

    NAMES = {f"GP{number}": number for number in range(30)} | {f"GPIO{number}": number for number in range(30)}
    NAMES |= {"LED": "led", "WL_GPIO0": "led", "WL_GPIO1": "supply"}

    def __init__(self):
        self.done = done = []

        class Pin:
            IN, OUT = "in", "out"  # this chip has no open drain
            PULL_UP, PULL_DOWN = "pull up", "pull down"

            board = SimpleNamespace(**self.NAMES)

            def __init__(self, number, *mode, **value):
                self.number = Chip.NAMES.get(number, number)
                if not 0 <= (self.number if isinstance(self.number, int) else 0) < 30:
                    raise ValueError("invalid pin")
                if isinstance(self.number, str) and self.number not in Chip.NAMES.values():
                    raise ValueError("unknown named pin")
                if mode or value:
                    done.append((self.number, *mode, *value.values()))

            def __eq__(self, other):
                return isinstance(other, Pin) and other.number == self.number

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

        class ADC:
            def __init__(self, pin):
                done.append((pin.number, "analogue"))

            def read_u16(self):
                return 65535

        self.Pin, self.PWM, self.ADC = Pin, PWM, ADC


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


@pytest.mark.parametrize("pin", [RESERVED, "GP23", "GPIO23", "WL_GPIO0", "LED"])
@pytest.mark.parametrize(
    "method, params",
    [("gpio.mode", ["in"]), ("gpio.read", []), ("gpio.write", [1]), ("pwm.set", [0.5]), ("adc.read", [])],
)
def test_reserved_pins_cannot_be_used(call, chip, method, params, pin):
    with pytest.raises(Exception, match=f"pin {pin} belongs to the board itself"):
        call(method, pin, *params)
    assert not chip.done


def test_modes_and_pulls(call, chip):
    call("gpio.mode", 2, "in", "up")
    call("gpio.mode", 2, "out")
    assert chip.done == [(2, "in", "pull up"), (2, "out", None)]
    with pytest.raises(Exception, match="mode: one of analog, in, out"):
        call("gpio.mode", 2, "open_drain")


def test_pulses_have_their_frequency_and_end_on_request(call, chip, bench):
    for end in (("pwm.set", "GP4"), ("gpio.write", "GPIO4", 1), ("gpio.mode", 4, "out"), ("gpio.mode", 4, "analog")):
        call("pwm.set", "GP4", 0.5, 1000)
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


@pytest.mark.parametrize("method", ["gpio.read", "adc.read"])
@pytest.mark.parametrize("pin", [*range(30), "GP26", "WL_GPIO1"])
def test_reading_changes_nothing(call, chip, method, pin):
    try:
        call(method, pin)
    except Exception as error:
        if pin != RESERVED:
            assert f"pin {pin} is not an analogue input: gpio.mode pin={pin} mode=analog makes it one" in str(error)
    assert not chip.done


def test_an_analogue_input_is_made_once_and_kept_until_the_mode_changes(call, chip):
    call("gpio.mode", 26, "analog")
    assert call("adc.read", "GP26") == call("adc.read", "GPIO26") == 1
    assert chip.done == [(26, "analogue")]
    for end in (("gpio.mode", "GP26", "out"), ("gpio.write", 26, 1), ("pwm.set", 26, 0.5)):
        call("gpio.mode", 26, "analog")
        call(*end)
        with pytest.raises(Exception, match="not an analogue input"):
            call("adc.read", 26)


@pytest.mark.parametrize("pin", [30, -1, "GP30", "nothing", "board"])
def test_the_answer_to_an_invalid_pin_names_the_method_that_lists_the_valid_ones(call, pin):
    with pytest.raises(Exception, match="^no such pin: gpio.pins lists them$"):
        call("gpio.read", pin)


def test_the_list_of_pins(call, chip):
    assert call("gpio.pins") == [number for number in range(30) if number != RESERVED] + ["WL_GPIO1"]
    assert not chip.done


def test_a_reserved_pin_unknown_to_the_port_does_no_harm(tmp_path, chip):
    bench = Bench(tmp_path, machine=chip, support=SimpleNamespace(RESERVED_PINS=(99, RESERVED)))
    bench.methods = Methods(bench.log)
    Pins().start(bench)
    with pytest.raises(Exception, match="belongs to the board itself"):
        bench.methods.call(SimpleNamespace(check_access=lambda writes: None), "gpio.read", ["GP23"])


def test_methods_for_missing_hardware_are_not_offered(tmp_path):
    bench = Bench(tmp_path)
    bench.methods = Methods(bench.log)
    Pins().start(bench)
    assert bench.methods.names() == []
