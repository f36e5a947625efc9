"""The UNIX board's modules: boards/UNIX/modules."""

import board_support
import machine
import network
import pytest

ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
wlan0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0
"""
ADDRESSES = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 172.17.0.1
        /32 host LOCAL
     |-- 172.17.255.255
        /32 link BROADCAST
     |-- 192.168.1.77
        /32 host LOCAL
"""


class TestNetwork:
    @pytest.fixture
    def host(self, tmp_path, monkeypatch):
        def host(routes=ROUTES, addresses=ADDRESSES):
            for name, text in (("_ROUTES", routes), ("_ADDRESSES", addresses)):
                path = tmp_path / name
                if text is not None:
                    path.write_text(text)
                monkeypatch.setattr(network, name, str(path))
            return network.Host()

        return host

    def found(self, host):
        return host.config("ifname"), host.ipconfig("addr4"), host.ipconfig("gw4")

    def test_the_interface_with_the_default_route(self, host):
        assert self.found(host()) == ("wlan0", ("192.168.1.77", "255.255.255.0"), "192.168.1.1")

    def test_without_a_default_route_the_first_with_an_address(self, host):
        routes = "".join(line for line in ROUTES.splitlines(True) if "0101A8C0" not in line)
        assert self.found(host(routes)) == ("docker0", ("172.17.0.1", "255.255.0.0"), "0.0.0.0")

    @pytest.mark.parametrize("routes, addresses", [(None, None), ("header\n", ADDRESSES), (ROUTES, "")])
    def test_without_any_interface_the_loopback(self, host, routes, addresses):
        assert self.found(host(routes, addresses)) == ("lo", ("127.0.0.1", "255.0.0.0"), "0.0.0.0")

    def test_a_route_that_is_down_does_not_count(self, host):
        routes = ROUTES.replace("\t0003\t", "\t0002\t").replace("\t0001\t", "\t0000\t")
        assert self.found(host(routes))[0] == "lo"

    def test_unknown_parameters(self, host):
        for ask in (host().ipconfig, host().config):
            with pytest.raises(ValueError):
                ask("essid")


class TestMachine:
    @pytest.fixture(autouse=True)
    def fresh_pins(self, monkeypatch):
        monkeypatch.setattr(machine, "_wires", {})

    def test_an_output_reads_what_was_written(self):
        pin = machine.Pin(1, machine.Pin.OUT, value=1)
        assert pin() == 1
        pin.off()
        assert pin.value() == 0
        pin(5)
        assert machine.Pin(1).value() == 1 and machine.Pin(1).mode() == machine.Pin.OUT

    def test_an_input_reads_the_driven_level_or_its_pull(self):
        pin = machine.Pin(1, machine.Pin.IN, machine.Pin.PULL_UP)
        assert pin() == 1
        machine.drive(1, 0)
        pin.on()
        assert pin() == 0
        machine.drive(pin, None)
        assert pin() == 1
        assert machine.Pin(2, machine.Pin.IN, machine.Pin.PULL_DOWN)() == 0

    def test_an_open_drain_can_only_pull_down(self):
        pin = machine.Pin(1, machine.Pin.OPEN_DRAIN, machine.Pin.PULL_UP, value=1)
        assert pin() == 1
        machine.drive(1, 0)
        assert pin() == 0
        machine.drive(1, 1)
        pin.off()
        assert pin() == 0

    @pytest.mark.parametrize("number", [-1, 40, "x", 1.0, True, None])
    def test_missing_pins(self, number):
        with pytest.raises(ValueError):
            machine.Pin(number)

    def test_pulses_are_measured_as_their_mean(self):
        pulses = machine.PWM(machine.Pin(1), freq=50)
        pulses.duty_u16(1000)
        assert (pulses.freq(), pulses.duty_u16(), machine.ADC(1).read_u16()) == (50, 1000, 1000)
        pulses.deinit()
        assert machine.ADC(machine.Pin(1)).read_u16() == 0
        machine.Pin(1, machine.Pin.OUT, value=1)
        assert machine.ADC(1).read_u16() == 65535

    def test_the_number_of_this_computer_does_not_change(self):
        assert machine.unique_id() == machine.unique_id() and len(machine.unique_id()) == 8

    def test_a_computer_without_a_number(self, monkeypatch):
        monkeypatch.setattr(machine, "_MACHINE_ID", ("/nonexistent",))
        assert machine.unique_id() == bytes(8)

    def test_reset_ends_the_program(self):
        with pytest.raises(SystemExit):
            machine.reset()


class TestSensors:
    def test_the_hottest_of_all_sources_that_can_be_read(self, tmp_path, monkeypatch):
        for path, text in (
            ("thermal/thermal_zone0/temp", "41000\n"),
            ("thermal/thermal_zone1/temp", "broken"),
            ("thermal/cooling_device0/temp", "99000"),
            ("hwmon/hwmon0/temp1_input", "52500\n"),
            ("hwmon/hwmon0/temp1_max", "100000"),
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        monkeypatch.setattr(board_support, "_THERMAL", f"{tmp_path}/thermal/")
        monkeypatch.setattr(board_support, "_HWMON", f"{tmp_path}/hwmon/")
        names = {sensor.name: sensor.read() for sensor in board_support.sensors()}
        assert names["temperature"] == {"celsius": 52.5}

    def test_without_a_source_there_is_no_such_sensor(self, monkeypatch):
        monkeypatch.setattr(board_support, "_THERMAL", "/nonexistent/")
        monkeypatch.setattr(board_support, "_HWMON", "/nonexistent/")
        assert [sensor.name for sensor in board_support.sensors()] == ["system"]
