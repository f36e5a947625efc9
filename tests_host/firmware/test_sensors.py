"""The hub and the drivers of sensors, on simulated buses: firmware/sensors/."""

import sys
from types import SimpleNamespace

import pytest
from fakes import Bench

from firmware.sensors import SensorHub, load, onboard
from firmware.sensors.adc import AdcSensor
from firmware.sensors.bme280 import Bme280Sensor, humidity, humidity_calibration, pressure, temperature
from firmware.sensors.dht22 import Dht22Sensor
from firmware.sensors.ds18b20 import Ds18b20Sensor


class Constant:
    def __init__(self, name="constant", reading=None):
        self.name = name
        self.reading = reading or {"value": 1}
        self.reads = 0

    def read(self):
        self.reads += 1
        if isinstance(self.reading, Exception):
            raise self.reading
        return self.reading


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def hub(bench):
    return SensorHub(bench.clock, bench.pool, bench.log)


@pytest.fixture
def sample(bench, hub):
    def sample(seconds=2):
        found = []
        hub.sample(found.append)
        bench.advance(seconds)
        assert len(found) == 1
        return found[0]

    return sample


class TestHub:
    def test_all_readings_by_name(self, hub, sample):
        hub.add(Constant("a", {"x": 1}))
        hub.add(Constant("b", {"y": 2.5}))
        assert sample() == {"a": {"x": 1}, "b": {"y": 2.5}}

    def test_a_sensor_that_fails_is_reported_once_and_stops_no_other(self, bench, hub, sample):
        broken = Constant("broken", OSError(5))
        hub.add(broken)
        hub.add(Constant("good"))
        for _ in range(3):
            assert sample() == {"good": {"value": 1}}
        assert len(bench.texts()) == 1 and "broken" in bench.texts()[0]
        entry = hub.list()[0]
        assert entry["errors"] == 3 and "OSError" in entry["error"]
        broken.reading = {"value": 2}
        assert sample()["broken"] == {"value": 2}
        assert bench.texts()[-1] == "broken works again"
        broken.reading = OSError(5)
        assert sample() == {"good": {"value": 1}}, "an old reading does not count"

    @pytest.mark.parametrize("reading, error", [
        (None, "must return a dictionary"), (5, "must return a dictionary"),
        ({"x": []}, "x is not a number or text"), ({"x": object()}, "x is not a number or text"),
        ({"x": OSError("away")}, "x: OSError: away"),
    ])  # fmt: skip
    def test_invalid_readings_are_reported(self, hub, sample, reading, error):
        sensor = Constant()
        sensor.reading = reading
        hub.add(sensor)
        hub.add(Constant("good"))
        assert list(sample()) == ["good"]
        assert error in hub.list()[0]["error"]
        with pytest.raises(OSError, match=error):
            hub.read("constant")

    def test_a_failing_field_affects_no_other(self, bench, hub, sample):
        sensor = Constant("two", {"a": 1, "b": OSError("away")})
        hub.add(sensor)
        for _ in range(2):
            assert sample() == {"two": {"a": 1}}
        assert hub.read("two") == {"a": 1}
        assert hub.list()[0]["error"] == "b: OSError: away"
        assert bench.texts() == ["two: b: OSError: away"]
        sensor.reading = {"a": 1, "b": 2}
        assert sample() == {"two": {"a": 1, "b": 2}}
        assert bench.texts()[1:] == ["two works again"] and hub.list()[0]["error"] is None

    @pytest.mark.parametrize("value, good", [(-40, True), (80.0, True), (-40.1, False), (3275.3, False), (81, False)])
    def test_values_outside_the_range_are_errors(self, hub, sample, value, good):
        sensor = Constant("part", {"celsius": 20 if good else value, "celsius_1": value, "other": 999})
        sensor.limits = {"celsius": (-40, 80)}
        hub.add(sensor)
        assert ("celsius_1" in sample()["part"]) == good and sample()["part"]["other"] == 999
        if not good:
            assert f"celsius_1: {value} is outside -40 to 80" in hub.list()[0]["error"]

    def test_a_sensor_that_cannot_be_made_is_tried_again(self, bench, hub, sample):
        parts = [OSError("no part"), OSError("no part"), Constant("late")]
        made = []

        def make():
            made.append(bench.clock.now)
            part = parts.pop(0)
            if isinstance(part, Exception):
                raise part
            return part

        hub.add(None, "late", make)
        hub.add(Constant("good"))
        for _ in range(18):  # every 5 seconds
            readings = sample(5)
        assert readings == {"late": {"value": 1}, "good": {"value": 1}}
        assert len(made) == 3 and made[1] - made[0] >= 30000
        assert bench.texts() == ["late: OSError: no part", "late works again"]

    def test_a_sensor_that_fails_in_many_ways_does_not_fill_the_log(self, bench, hub, sample):
        sensor = Constant("loose")
        hub.add(sensor)
        for number in range(20):
            sensor.reading = OSError(f"error {number}")
            sample()
        assert bench.texts() == ["loose: OSError: error 0"]
        assert hub.list()[0]["error"] == "OSError: error 19"

    def test_the_answer_to_an_unknown_name_names_the_known_ones(self, hub):
        hub.add(Constant("a"))
        hub.add(Constant("b"))
        with pytest.raises(KeyError, match="c; there are a, b"):
            hub.read("c")

    def test_values_that_are_none_are_left_out(self, hub, sample):
        hub.add(Constant("a", {"x": float("nan"), "y": None, "z": float("inf"), "ok": 1}))
        assert sample() == {"a": {"ok": 1}}

    def test_preparation_takes_its_time_without_waiting(self, bench, hub):
        class Slow(Constant):
            prepared_at = None

            def prepare(self):
                self.prepared_at = bench.clock.now
                return 750

            def read(self):
                assert bench.clock.now - self.prepared_at >= 750
                return super().read()

        hub.add(Slow("slow"))
        hub.add(Constant("fast"))
        found = []
        hub.sample(found.append)
        hub.sample(found.append)
        bench.advance(0.7)
        assert not found
        bench.advance(0.2)
        assert found == [{"slow": {"value": 1}, "fast": {"value": 1}}] * 2

    def test_a_failed_preparation(self, bench, hub, sample):
        class Bad(Constant):
            def prepare(self):
                raise OSError("no part")

        bad = Bad("bad")
        hub.add(bad)
        hub.add(Constant("good"))
        assert list(sample()) == ["good"]
        assert bad.reads == 0

    def test_a_slow_sensor_returns_its_last_reading_and_others_a_fresh_one(self, hub, sample):
        fast, slow = Constant("fast"), Constant("slow")
        slow.slow = True
        hub.add(fast)
        hub.add(slow)
        assert hub.read("fast") == {"value": 1} and fast.reads == 1
        with pytest.raises(OSError, match="no reading yet"):
            hub.read("slow")
        assert hub.read_all() == {"fast": {"value": 1}}
        sample()
        assert hub.read("slow") == {"value": 1} and slow.reads == 1
        with pytest.raises(KeyError):
            hub.read("other")

    def test_a_pause_between_readings_is_kept(self, bench, hub):
        sensor = Constant()
        sensor.min_interval_ms = 2000
        hub.add(sensor)
        for _ in range(5):
            hub.read("constant")
        assert sensor.reads == 1
        bench.advance(2)
        hub.read("constant")
        assert sensor.reads == 2
        sensor.reading = OSError("busy")
        bench.advance(2)
        for _ in range(5):
            with pytest.raises(OSError, match="busy"):
                hub.read("constant")
        assert sensor.reads == 3

    def test_the_list_tells_how_old_a_reading_is(self, bench, hub):
        hub.add(Constant())
        assert hub.list()[0]["age_s"] is None
        hub.read("constant")
        bench.advance(7.5)
        assert (hub.list()[0]["age_s"], hub.list()[0]["reading"]) == (7, {"value": 1})

    def test_similar_names_are_distinguished(self, hub):
        assert [hub.add(Constant("adc")) for _ in range(3)] == ["adc", "adc2", "adc3"]


class FakePin:
    IN, OUT, OPEN_DRAIN, PULL_UP = range(4)

    def __init__(self, number, mode=None, pull=None):
        self.number = number


def crc8(data):
    """Return Maxim's CRC: polynomial x^8 + x^5 + x^4 + 1, least significant bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


def serial_number(family, number):
    start = bytes((family,)) + number.to_bytes(6, "little")
    return start + bytes((crc8(start),))


class FakeOneWire:
    """A 1-Wire bus with DS18B20s, driven like by the module _onewire."""

    def __init__(self, parts):
        self.parts = parts  # {serial number: scratchpad}
        self.crc8 = crc8
        self.present = True
        self.measured = False

    def reset(self, pin):
        self.state = "command"
        self.alive = list(self.parts)
        self.answer = []
        self.position = self.phase = 0
        return self.present and bool(self.parts)

    def writebyte(self, pin, value):
        if self.state == "command":
            self.state = {0xF0: "search", 0x55: "match", 0xCC: "all"}[value]
            self.matched = b""
        elif self.state == "match" and len(self.matched) < 8:
            self.matched += bytes((value,))
            self.alive = [self.matched] if len(self.matched) == 8 else self.alive
        elif value == 0x44:
            self.measured = True
        elif value == 0xBE:
            silent = b"\xff" * 9
            self.answer = list(self.parts.get(self.alive[0], silent) if self.measured else scratchpad(0x0550, 0x0C))

    def readbyte(self, pin):
        return self.answer.pop(0)

    def _bits(self):
        return {serial[self.position // 8] >> self.position % 8 & 1 for serial in self.alive}

    def readbit(self, pin):
        assert self.state == "search"
        self.phase += 1
        wanted = 1 if self.phase == 1 else 0
        return int((1 - wanted) not in self._bits())

    def writebit(self, pin, value):
        self.alive = [
            serial for serial in self.alive if serial[self.position // 8] >> self.position % 8 & 1 == value
        ]
        self.position += 1
        self.phase = 0


def scratchpad(raw, reserved=0x10):
    data = raw.to_bytes(2, "little", signed=True) + bytes((0x4B, 0x46, 0x7F, 0xFF, reserved, 0x10))
    return data + bytes((crc8(data),))


class TestDs18b20:
    @pytest.fixture
    def make(self, bench):
        class Machine:
            Pin = FakePin

        bench.board.machine = Machine

        def make(parts):
            self.bus = FakeOneWire(parts)
            return Ds18b20Sensor(bench.board, {"name": "ds18b20", "pin": 4}, self.bus)

        return make

    # The data sheet's table 1.
    @pytest.mark.parametrize(
        "raw, celsius",
        [(0x07D0, 125), (0x0191, 25.0625), (0x0008, 0.5), (0, 0), (-8, -0.5), (-0x191, -25.0625), (-0x370, -55)],
    )
    def test_the_data_sheets_examples(self, make, raw, celsius):
        sensor = make({serial_number(0x28, 1): scratchpad(raw)})
        assert sensor.prepare() == 750
        assert sensor.read() == {"celsius_010000000000": celsius}

    def test_many_parts_on_one_wire(self, make):
        serials = [serial_number(0x28, number) for number in (1, 2, 3, 0x0F0F0F, 0xABCDEF012345, 0x800000000000)]
        sensor = make({serial: scratchpad(16 * index) for index, serial in enumerate(serials)})
        sensor.prepare()
        assert sensor.read() == {f"celsius_{serial[1:7].hex()}": index for index, serial in enumerate(serials)}

    def test_other_parts_on_the_wire_are_left_alone(self, make):
        sensor = make({serial_number(0x01, 7): b"", serial_number(0x28, 1): scratchpad(16)})
        sensor.prepare()
        assert sensor.read() == {"celsius_010000000000": 1}
        sensor = make({serial_number(0x01, 7): b""})
        with pytest.raises(OSError, match="no DS18B20"):
            sensor.prepare()

    def test_no_part_on_the_wire(self, make):
        with pytest.raises(OSError, match="nothing answers"):
            make({}).prepare()

    def read(self, sensor):
        """Return the sensor's reading, with errors as text."""
        sensor.prepare()
        return {
            name: str(value) if isinstance(value, OSError) else value for name, value in sensor.read().items()
        }

    @pytest.mark.parametrize("data, error", [
        (scratchpad(16)[:-1] + b"\0", "checksum wrong"),
        (bytes(9), "checksum wrong"),  # a wire to ground reads as zeros, whose checksum is right
        (b"\xff" * 9, "it does not answer"),
        (scratchpad(0x0550, 0x0C), "it has not measured: is its power steady?"),
    ])  # fmt: skip
    def test_a_failing_part_affects_no_other(self, make, data, error):
        good, bad = serial_number(0x28, 1), serial_number(0x28, 2)
        sensor = make({bad: data, good: scratchpad(16)})
        assert self.read(sensor) == {"celsius_010000000000": 1, "celsius_020000000000": error}
        self.bus.parts[bad] = scratchpad(32)
        assert self.read(sensor) == {"celsius_010000000000": 1, "celsius_020000000000": 2}

    def test_parts_that_are_removed_and_added_keep_their_names(self, make):
        first, second, third = (serial_number(0x28, number) for number in (1, 2, 3))
        sensor = make({first: scratchpad(16)})
        assert self.read(sensor) == {"celsius_010000000000": 1}
        self.bus.parts[second] = scratchpad(32)
        self.read(sensor)
        assert self.read(sensor) == {"celsius_010000000000": 1, "celsius_020000000000": 2}
        del self.bus.parts[first]
        assert self.read(sensor) == {"celsius_010000000000": "it does not answer", "celsius_020000000000": 2}
        self.bus.parts[first] = scratchpad(48)
        assert self.read(sensor) == {"celsius_010000000000": 3, "celsius_020000000000": 2}
        self.bus.parts = {}
        with pytest.raises(OSError, match="nothing answers on the pin"):
            sensor.prepare()
        self.bus.parts = {third: scratchpad(64)}
        for _ in range(3):
            reading = self.read(sensor)
        assert reading["celsius_030000000000"] == 4

    def test_one_bad_checksum_in_the_search_hides_no_other(self, make):
        bad = serial_number(0x28, 4)[:7] + b"\0"
        parts = {serial_number(0x28, number): scratchpad(16 * number) for number in (1, 2, 3, 8, 12)}
        sensor = make({bad: scratchpad(0), **parts})
        for _ in range(8):
            try:
                reading = self.read(sensor)
            except OSError:
                continue  # the search began with the bad one
        assert reading == {f"celsius_0{number:x}0000000000": number for number in (1, 2, 3, 8, 12)}

    def test_a_wire_to_ground(self, make):
        class Grounded(FakeOneWire):
            def reset(self, pin):
                return True

            def readbit(self, pin):
                return 0

            def writebyte(self, pin, value):
                pass

            def writebit(self, pin, value):
                pass

        sensor = make({})
        sensor._onewire = Grounded({})
        for _ in range(3):
            with pytest.raises(OSError, match="no DS18B20"):
                sensor.prepare()

    def test_85_degrees_that_were_measured(self, make):
        sensor = make({serial_number(0x28, 1): scratchpad(0x0550)})
        assert self.read(sensor) == {"celsius_010000000000": 85}


class TestDht22:
    @pytest.fixture
    def make(self, bench):
        def make(data):
            class Machine:
                Pin = FakePin

                @staticmethod
                def dht_readinto(pin, buffer):
                    buffer[:] = bytes(data)

            bench.board.machine = Machine
            return Dht22Sensor(bench.board, {"name": "dht22", "pin": 4})

        return make

    # The data sheet's examples: 65.2 % and 35.1 degrees, and -10.1 degrees.
    @pytest.mark.parametrize(
        "data, celsius, humidity",
        [
            ((0x02, 0x8C, 0x01, 0x5F, 0xEE), 35.1, 65.2),
            ((0x02, 0x8C, 0x80, 0x65, 0x73), -10.1, 65.2),
            ((0x02, 0x10, 0xFF, 0xF1, 0x02), -1.5, 52.8),  # some parts use two's complement
            ((0x00, 0x00, 0xFE, 0x70, 0x6E), -40, 0),
            ((0x03, 0xE8, 0x81, 0x90, 0xFC), -40, 100),
            ((0x03, 0xE8, 0x80, 0x00, 0x6B), 0, 100),
        ],
    )
    def test_the_data_sheets_examples(self, make, data, celsius, humidity):
        assert make(data).read() == {"celsius": celsius, "humidity": humidity}

    @pytest.mark.parametrize("data, error", [
        ((0x02, 0x10, 0x7F, 0xF1, 0x82), "celsius: 3275.3 is outside -40 to 80"),
        ((0x02, 0x10, 0x81, 0x91, 0x24), "celsius: -40.1 is outside -40 to 80"),
        ((0x03, 0xE9, 0x00, 0x00, 0xEC), "humidity: 100.1 is outside 0 to 100"),
    ])  # fmt: skip
    def test_values_that_it_cannot_measure(self, make, hub, sample, data, error):
        hub.add(make(data))
        sample()
        assert error in hub.list()[0]["error"]

    @pytest.mark.parametrize("platform, module", [("esp32", "esp"), ("rp2", "rp2")])
    def test_the_driver_module_of_earlier_releases_is_used(self, bench, monkeypatch, platform, module):
        def read_into(pin, buffer):
            buffer[:] = bytes((0x02, 0x8C, 0x01, 0x5F, 0xEE))

        monkeypatch.setattr("firmware.sensors.dht22.sys.platform", platform)
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(dht_readinto=read_into))
        bench.board.machine = SimpleNamespace(Pin=FakePin)
        assert Dht22Sensor(bench.board, {"name": "dht22", "pin": 4}).read()["celsius"] == 35.1

    def test_a_wrong_checksum(self, make):
        with pytest.raises(OSError, match="checksum"):
            make((2, 0x8C, 1, 0x5F, 0)).read()


def by_integers(raw, fine, h):
    """Return percent by the formula for 32-bit integers (BST-BME280-DS002, section 4.2.3)."""
    base = fine - 76800
    gain = ((((base * h[5]) >> 10) * (((base * h[2]) >> 11) + 32768)) >> 10) + 2097152
    value = (((raw << 14) - (h[3] << 20) - h[4] * base + 16384) >> 15) * ((gain * h[1] + 8192) >> 14)
    value -= (((value >> 15) ** 2 >> 7) * h[0]) >> 4
    return min(max(value, 0), 419430400) / 4096 / 1024


class TestBme280:
    # BST-BMP280-DS001, section 3.12.
    T = (27504, 26435, -1000)
    P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)

    def test_bosch_s_example(self):
        celsius, fine = temperature(519888, self.T)
        assert round(celsius, 2) == 25.08 and round(fine) == 128422
        assert round(pressure(415148, fine, self.P), 1) == 100653.3

    def test_without_calibration_there_is_no_pressure(self):
        assert pressure(415148, 128422, (0,) * 9) == 0

    def test_humidity_calibration_shares_a_byte(self):
        data = bytes((0x72, 0x01, 0x00, 0x13, 0x25, 0x03, 0x1E))
        assert humidity_calibration(75, data) == (75, 370, 0, 0x135, 0x32, 30)
        assert humidity_calibration(75, bytes((0, 0, 0, 0xFF, 0xF0, 0xFF, 0xFF)))[3:] == (-16, -1, -1)

    def test_humidity_is_bounded_and_rises(self):
        h = (75, 370, 0, 313, 50, 30)
        values = [humidity(raw, 128422, h) for raw in (0, 25000, 30000, 35000, 65535)]
        assert values == sorted(values) and values[0] == 0 and values[-1] == 100

    @pytest.mark.parametrize("h", [(75, 370, 0, 313, 50, 30), (75, 355, 12, 301, -17, -5)])
    @pytest.mark.parametrize("fine", [40000, 128422, 300000])
    def test_humidity_is_that_of_bosch_s_other_formula(self, fine, h):
        for raw in (22000, 25000, 30000, 35000):
            assert humidity(raw, fine, h) == pytest.approx(by_integers(raw, fine, h), abs=0.02)

    @pytest.fixture
    def make(self, bench):
        import struct

        test = self

        class I2C:
            def __init__(self, bus, **pins):
                self.registers = bytearray(256)
                self.present = True
                self.writes = []
                self.pins = {name: pin.number for name, pin in pins.items()}
                test.bus = self

            def _call(self, address):
                if not self.present or address != 0x76:
                    raise OSError(19)

            def readfrom_mem(self, address, start, count):
                self._call(address)
                return bytes(self.registers[start : start + count])

            def writeto_mem(self, address, start, data):
                self._call(address)
                self.writes.append((start, data[0]))

        class Machine:
            Pin = FakePin

        Machine.I2C = I2C
        bench.board.machine = Machine

        def make(chip=0x60):
            sensor = Bme280Sensor(
                bench.board, {"name": "bme280", "bus": 0, "scl": 5, "sda": 4, "address": 0x76}
            )
            self.bus.registers[0xD0] = chip
            self.bus.registers[0x88:0xA0] = struct.pack("<Hhh", *self.T) + struct.pack("<Hhhhhhhhh", *self.P)
            self.bus.registers[0xA1] = 75
            self.bus.registers[0xE1:0xE8] = bytes((0x72, 0x01, 0x00, 0x13, 0x29, 0x03, 0x1E))
            self.bus.registers[0xF7:0xFF] = bytes((0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x75, 0x30))
            return sensor

        return make

    def test_a_bme280_on_the_bus(self, make):
        sensor = make()
        assert sensor.prepare() == 12
        assert self.bus.pins == {"scl": 5, "sda": 4}
        assert self.bus.writes == [(0xF2, 1), (0xF4, 0x25)]
        reading = sensor.read()
        assert round(reading["celsius"], 2) == 25.08
        assert round(reading["pascal"]) == 100653
        percent = by_integers(0x7530, 128422, (75, 370, 0, 0x139, 0x32, 30))
        assert reading["humidity"] == pytest.approx(percent, abs=0.01)

    def test_a_bmp280_has_no_humidity(self, make):
        sensor = make(0x58)
        sensor.prepare()
        assert sorted(sensor.read()) == ["celsius", "pascal"]

    def test_no_measurement_yet(self, make):
        sensor = make()
        sensor.prepare()
        for place in (0xF7, 0xFA):
            before = self.bus.registers[place : place + 3]
            self.bus.registers[place : place + 3] = b"\x80\0\0"
            with pytest.raises(OSError, match="has not measured"):
                sensor.read()
            self.bus.registers[place : place + 3] = before
        assert sensor.read()

    def test_values_that_it_cannot_measure(self, make, hub, sample):
        sensor = make()
        hub.add(sensor)
        self.bus.registers[0x8E:0x90] = b"\0\0"  # dig_P1
        assert sorted(sample()["bme280"]) == ["celsius", "humidity"]
        assert "pascal: 0 is outside 30000 to 110000" in hub.list()[0]["error"]

    def test_another_chip(self, make):
        with pytest.raises(OSError, match="chip 0x77"):
            make(0x77).prepare()

    def test_a_part_is_unplugged_and_another_plugged_in(self, make):
        sensor = make()
        sensor.prepare()
        self.bus.present = False
        with pytest.raises(OSError):
            sensor.prepare()
        self.bus.present = True
        self.bus.registers[0xD0] = 0x58
        self.bus.registers[0x88:0x8A] = (26000).to_bytes(2, "little")
        sensor.prepare()
        assert sorted(sensor.read()) == ["celsius", "pascal"] and sensor.read()["celsius"] > 30


class TestAdc:
    @pytest.mark.parametrize("attenuation", [None, 3])
    def test_it_measures_the_whole_range(self, bench, attenuation):
        """An ESP32 measures only up to 0.95 V by default."""
        given = []

        class ADC:
            def __init__(self, pin, **settings):
                given.append(settings)

            def read_u16(self):
                return 13107

        if attenuation:
            ADC.ATTN_11DB = attenuation
        bench.board.machine = SimpleNamespace(ADC=ADC, Pin=FakePin)
        sensor = AdcSensor(bench.board, {"name": "light", "pin": 34, "scale": 10})
        assert sensor.read() == {"value": 2}
        assert given == [{"atten": attenuation} if attenuation else {}]


class TestOnBoard:
    """Sensors that need no wiring."""

    def read(self, bench, monkeypatch, esp32=None, **machine):
        """Return {name: reading}."""
        monkeypatch.setitem(sys.modules, "esp32", esp32)
        bench.board.machine = SimpleNamespace(**machine)
        bench.board.network = SimpleNamespace(WLAN=None)
        self.rssi = None
        found = load.onboard_sensors(bench.board, SimpleNamespace(rssi=lambda: self.rssi))
        return {one.name: one.read() for one in found}

    def test_the_rp2_s_temperature_is_that_of_its_data_sheet(self, bench, monkeypatch):
        """RP2040 datasheet, section 4.9.5: 891 of 4096 are 20.1 degrees."""

        class ADC:
            CORE_TEMP = 4

            def __init__(self, channel):
                assert channel == 4

            def read_u16(self):
                return 891 << 4 | 891 >> 8

        celsius = self.read(bench, monkeypatch, ADC=ADC)["chip"]["celsius"]
        assert celsius == pytest.approx(20.1, abs=0.2)

    def test_the_heap_is_shown_after_a_collection(self, bench, monkeypatch):
        done = []
        for name in ("collect", "mem_free", "mem_alloc"):
            monkeypatch.setattr(onboard.gc, name, lambda name=name: done.append(name) or 5, raising=False)
        assert self.read(bench, monkeypatch)["heap"] == {"free": 5, "used": 5}
        assert done == ["collect", "mem_free", "mem_alloc"]

    @pytest.mark.parametrize("esp32, celsius", [
        (SimpleNamespace(mcu_temperature=lambda: 41), 41),
        (SimpleNamespace(raw_temperature=lambda: 212), 100),
    ], ids=["celsius", "fahrenheit"])  # fmt: skip
    def test_an_esp32_s_temperature(self, bench, monkeypatch, esp32, celsius):
        assert self.read(bench, monkeypatch, esp32)["chip"] == {"celsius": pytest.approx(celsius)}

    def test_a_chip_without_a_temperature_sensor(self, bench, monkeypatch):
        assert self.read(bench, monkeypatch, SimpleNamespace()) == {"wifi": {}}
