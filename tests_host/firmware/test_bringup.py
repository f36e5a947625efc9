"""The network state machine (firmware/network/) with links that are lost, refused, stalled and restored. It runs on a
fake clock."""

import sys
from types import SimpleNamespace

import pytest
from fake_network import Cyw43Codes, Esp32Codes, FakeCable, FakeNetwork, FakePpp
from fakes import Bench

from firmware.network import broadcast_address, radio
from firmware.network.bringup import Bringup
from firmware.network.links import make_fallback, make_links
from firmware.services.system import network_status
from tools.emulator.modem import Modem


class Listener:
    """A service that records the events, and checks that up and down alternate."""

    def __init__(self):
        self.told = []
        self.is_up = False

    def network_up(self, connection):
        assert not self.is_up
        self.is_up = True
        self.told.append(("up", connection.address))

    def network_down(self, reason):
        assert self.is_up
        self.is_up = False
        self.told.append(("down", reason))


class NetworkBench(Bench):
    """A bench with a fake network and the state machine."""

    def __init__(self, folder, codes=Esp32Codes, support=None, **config):
        super().__init__(folder, support=support)
        self.network = self.board.network = FakeNetwork(self.clock, codes)
        self.chance = 0.5
        for section, values in config.items():
            for key, value in values.items():
                self.config.set(f"{section}.{key}", value)
        self.listener = Listener()

    def start(self):
        links = make_links(self.board, self.config, self.clock)
        settings = self.config["network"]
        self.bringup = Bringup(
            links, self.make_fallback, settings, self.clock, self.pool, self.log, lambda: self.chance
        )
        self.bringup.listen(self.listener)
        self.bringup.start()
        return self

    def make_fallback(self):
        return make_fallback(self.board, self.config, "device")

    def networks_tried(self):
        """Return each network once, however often it was tried."""
        tried = []
        for name, *arguments in self.network.calls:
            if name == "country":
                tried.append(None)
            elif name == "connect":
                tried[-1] = arguments[0]
        return tried

    def wait_until(self, condition, limit_s=3600):
        """Let time pass until `condition()` is true, and return the seconds that this took."""
        start = self.clock.now
        while not condition():
            assert self.clock.now - start < limit_s * 1000, network_status(self.bringup)
            self.advance(0.05)
        return (self.clock.now - start) / 1000


HOME = {"ssid": "home", "password": "home-password"}
ATTIC = {"ssid": "attic", "password": "attic-password"}


@pytest.fixture(params=[Esp32Codes, Cyw43Codes], ids=["esp32", "cyw43"])
def codes(request):
    return request.param


@pytest.fixture
def station(tmp_path, codes):
    def make(networks=(HOME, ATTIC), **config):
        config.setdefault("ap", {"enabled": False})
        return NetworkBench(tmp_path, codes, wifi={"networks": list(networks), "country": "DE"}, **config)

    return make


def test_a_station_comes_up(station):
    bench = station()
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(1)
    assert bench.listener.told == [("up", "192.168.1.20")]
    status = network_status(bench.bringup)
    assert (status["state"], status["link"], status["rssi"]) == ("up", "wifi 'home'", -61)
    assert bench.bringup.connection.broadcast == "192.168.1.255"


def test_country_and_power_saving_are_set_before_connecting(station):
    bench = station()
    bench.start()
    names = [call[0] for call in bench.network.calls]
    assert names.index("country") < names.index("active") < names.index("config") < names.index("connect")
    assert bench.network.called("country")[0] == ("country", "DE")
    assert bench.network.called("config")[0] == ("config", {"pm": 0})


class FakeEsp32:
    HEAP_DATA = 4

    @staticmethod
    def idf_heap_info(capabilities):
        return [(200000, 2000, 1500, 900), (16000, 340, 300, 100)]


def test_a_radio_without_memory_is_reported_and_not_tried_again(station, monkeypatch):
    monkeypatch.setitem(sys.modules, "esp32", FakeEsp32)
    bench = station(ap={"enabled": True})
    bench.network.station.has_memory = False
    bench.start()
    bench.advance(3600)
    texts = [text for text in bench.texts() if "no memory for the radio" in text]
    assert len(texts) == 2 and "2340 bytes are left, 1500 in one piece; switch off" in texts[0]  # one per network
    assert bench.texts()[-1] == "waiting: for the next boot"
    assert not bench.network.called("connect")


def test_another_link_is_tried_if_the_radio_has_no_memory(tmp_path):
    bench = NetworkBench(tmp_path, Esp32Codes, wifi={"networks": [HOME]}, network={"order": ["wifi", "lan"]})
    bench.network.station.has_memory = False
    bench.network.WIZNET5K = bench.network.LAN = lambda: bench.network.cable
    bench.network.cable = FakeCable()
    bench.start()
    bench.advance(60)
    assert [text for text in bench.texts() if "connecting: lan" in text]
    assert len([text for text in bench.texts() if "no memory for the radio" in text]) == 1


def test_the_radio_is_initialised_before_large_modules_are_loaded(station, monkeypatch):
    bench = station()
    radio.switch_on(bench.board, bench.config, bench.log)
    assert bench.network.calls == [("active", True)]
    bench.network.station.has_memory = False
    radio.switch_on(bench.board, bench.config, bench.log)
    assert "no memory for the radio" in bench.texts()[-1]


def test_the_radio_stays_off_if_it_is_not_configured(station):
    bench = station(networks=())
    radio.switch_on(bench.board, bench.config, bench.log)
    assert not bench.network.calls


def test_without_a_cable_the_radio_is_switched_on_for_the_access_point(station):
    bench = station(networks=(), ap={"enabled": True})
    radio.switch_on(bench.board, bench.config, bench.log)
    assert bench.network.calls == [("active", True)]
    bench = station(networks=(), ap={"enabled": True}, lan={"phy": "LAN8720"})
    radio.switch_on(bench.board, bench.config, bench.log)
    assert not bench.network.calls


def test_the_systems_free_memory_is_checked(station, monkeypatch):
    bench = station()
    radio.check(bench.board, bench.log)
    assert not bench.texts()
    monkeypatch.setitem(sys.modules, "esp32", FakeEsp32)
    radio.check(bench.board, bench.log)
    assert "the system has 2340 bytes left" in bench.texts()[-1]
    assert bench.board.system_heap() == {"free": 2340, "largest": 1500, "least": 1000}


def test_a_radio_that_is_still_connected_after_a_soft_reset(station):
    bench = station()
    bench.network.station.ssid = "of the last run"
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(1)
    assert bench.networks_tried() == ["home"] and bench.listener.is_up


def test_power_saving_on_request(station):
    bench = station()
    bench.config.set("wifi.power_save", True)
    bench.start()
    assert bench.network.called("config")[0] == ("config", {"pm": 2})


def test_networks_are_tried_in_their_order(station):
    bench = station()
    bench.network.air["attic"] = "ok"
    bench.start()
    bench.wait_until(lambda: bench.listener.is_up)
    assert bench.networks_tried() == ["home", "attic"]
    assert any("no such network in reach" in entry["text"] for entry in bench.bringup.history)


def test_a_wrong_password_is_reported_and_the_next_network_tried(station):
    bench = station()
    bench.network.air.update(home="STAT_WRONG_PASSWORD", attic="ok")
    bench.start()
    assert bench.wait_until(lambda: bench.listener.is_up) < 10
    assert any("wrong password" in text for text in bench.texts())
    assert not any("home-password" in text for text in bench.texts())


@pytest.mark.parametrize(
    "narrowed, wpa3_only, tried",
    [
        ("any", False, [None]),
        ("any", True, [None, 6]),
        ("wpa2", True, [None, None]),
        ("wpa3", True, [5]),
    ],
)
def test_a_pico_w_joins_each_kind_of_network_that_it_supports(tmp_path, narrowed, wpa3_only, tried):
    networks = [{**HOME, "security": narrowed}]
    bench = NetworkBench(tmp_path, Cyw43Codes, wifi={"networks": networks}, ap={"enabled": False})
    bench.network.air["home"] = "ok"
    bench.network.wpa3_only = ("home",) if wpa3_only else ()
    bench.start()
    bench.advance(10)
    assert bench.listener.is_up == (narrowed != "wpa2")
    assert bench.network.station.securities == tried


def test_the_security_that_worked_is_tried_first_the_next_time(tmp_path):
    bench = NetworkBench(tmp_path, Cyw43Codes, wifi={"networks": [HOME]}, ap={"enabled": False})
    bench.network.air["home"] = "ok"
    bench.network.wpa3_only = ("home",)
    bench.start()
    bench.advance(10)
    bench.network.station.securities.clear()
    del bench.network.air["home"]
    bench.wait_until(lambda: not bench.listener.is_up)
    bench.network.air["home"] = "ok"
    bench.wait_until(lambda: bench.listener.is_up)
    assert bench.network.station.securities == [6]


def test_if_the_radio_never_answers_the_other_security_is_tried(tmp_path):
    """If the Pico W's driver has to join a WPA3 network with WPA2, it tries for ever."""
    bench = NetworkBench(tmp_path, Cyw43Codes, wifi={"networks": [HOME]}, ap={"enabled": False})
    bench.network.air["home"] = "stall"
    bench.start()
    bench.advance(19)
    assert bench.network.station.securities == [None, 6]
    bench.advance(71)
    assert bench.network.station.securities[2:4] == [6, None] or bench.network.station.securities[2:4] == [None, 6]


def test_with_a_short_connect_time_the_other_security_is_left_to_the_next_attempt(tmp_path):
    network = {"connect_timeout_s": 5}
    bench = NetworkBench(tmp_path, Cyw43Codes, wifi={"networks": [HOME]}, ap={"enabled": False}, network=network)
    bench.network.air["home"] = "stall"
    bench.start()
    bench.advance(90)
    assert bench.network.station.securities[:3] == [None, 6, None]


def test_an_esp32_chooses_the_security_itself(tmp_path):
    networks = [{**HOME, "security": "wpa3"}]
    bench = NetworkBench(tmp_path, Esp32Codes, wifi={"networks": networks}, ap={"enabled": False})
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(2)
    assert bench.listener.is_up


def test_a_radio_without_wpa3_is_reported(tmp_path):
    networks = [{**HOME, "security": "wpa3"}]
    bench = NetworkBench(tmp_path, Cyw43Codes, wifi={"networks": networks}, ap={"enabled": False})
    del bench.network.WLAN.SEC_WPA3
    bench.start()
    bench.advance(1)
    assert any("no driver for wpa3" in text for text in bench.texts())


@pytest.mark.parametrize(
    "password, security, reason",
    [
        ("", 5, "the network needs a password"),
        ("home-password", 0, "the network is open: it takes no password"),
        ("home-password", 2, "no common security"),
        ("home-password", None, "no such network in reach"),
    ],
)
def test_a_pico_w_reports_why_it_cannot_join(tmp_path, password, security, reason):
    """Its status is "no such network" in all cases. A scan shows the reason."""
    networks = [{"ssid": "home", "password": password}]
    bench = NetworkBench(tmp_path, Cyw43Codes, wifi={"networks": networks}, ap={"enabled": False})
    bench.network.heard = {"other": 5} if security is None else {"home": security, "other": 5}
    bench.start()
    bench.advance(600)
    assert f"connecting: wifi 'home': {reason}" in bench.texts()
    assert len(bench.network.called("scan")) == 1


def test_no_scan_if_the_watchdog_is_too_short_for_it(tmp_path):
    bench = NetworkBench(tmp_path, Cyw43Codes, wifi={"networks": [HOME]}, ap={"enabled": False})
    bench.board.watchdog_s = 2
    bench.start()
    bench.advance(20)
    assert not bench.network.called("scan")


@pytest.mark.parametrize(
    "password, happens, reason",
    [
        ("", "STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY", "the network needs a password"),
        ("home-password", "STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY", "no common security"),
        ("home-password", "STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD", "the network is open, or its security"),
    ],
)
def test_an_esp32_reports_the_reason_itself(tmp_path, password, happens, reason):
    networks = [{"ssid": "home", "password": password}]
    bench = NetworkBench(tmp_path, Esp32Codes, wifi={"networks": networks}, ap={"enabled": False})
    bench.network.air["home"] = happens
    bench.start()
    bench.advance(20)
    assert any(reason in text for text in bench.texts())
    assert not bench.network.called("scan")


def test_an_unknown_code_is_reported_as_a_number(station):
    bench = station([HOME])
    bench.network.air["home"] = 39
    bench.start()
    bench.advance(8)
    assert any("code 39" in text for text in bench.texts())


@pytest.mark.parametrize("happens", ["stall", "no address"])
def test_a_stall_ends_at_the_time_limit(station, happens):
    bench = station(network={"connect_timeout_s": 15})
    bench.network.air.update(home=happens, attic="ok")
    bench.start()
    assert 15 <= bench.wait_until(lambda: bench.listener.is_up) < 17
    assert any("no answer in time" in text for text in bench.texts())


def test_an_old_reason_does_not_fail_the_next_attempt(station):
    bench = station([HOME])
    bench.network.delay_ms = 2500
    bench.network.air["home"] = "STAT_NO_AP_FOUND"
    bench.start()
    bench.wait_until(lambda: bench.bringup.state == "waiting")
    bench.network.air["home"] = "ok"
    bench.wait_until(lambda: bench.listener.is_up)
    assert bench.networks_tried() == ["home", "home"]


def test_the_backoff_doubles_is_limited_and_has_jitter(station):
    bench = station([HOME], network={"backoff_s": 2, "backoff_most_s": 60})

    def next_wait():
        bench.wait_until(lambda: bench.bringup.state == "connecting")
        bench.wait_until(lambda: bench.bringup.state == "waiting")
        return bench.wait_until(lambda: bench.bringup.state == "connecting")

    bench.start()
    waits = [round(next_wait()) for _ in range(8)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    bench.chance = 0
    assert round(next_wait()) == 45
    bench.chance = 1
    assert round(next_wait()) == 75


def test_a_lost_link_is_noticed_reported_and_restored(station):
    bench = station()
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(2)
    bench.network.air["home"] = "STAT_NO_AP_FOUND"
    assert bench.wait_until(lambda: not bench.listener.is_up) < 2
    assert any(entry["text"] == "wifi 'home': link lost" for entry in bench.bringup.history)
    bench.advance(60)
    bench.network.air["home"] = "ok"
    bench.wait_until(lambda: bench.listener.is_up)
    assert bench.listener.told == [("up", "192.168.1.20"), ("down", "link lost"), ("up", "192.168.1.20")]


def test_a_lost_link_comes_back_when_there_is_memory_again(station, monkeypatch):
    """The steps of connecting are loaded only while no link is up."""
    bench = station()
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(2)
    bench.network.air["home"] = "STAT_NO_AP_FOUND"

    def no_memory(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("firmware.network.bringup.borrow", no_memory)
        for _ in range(3):
            with pytest.raises(MemoryError):
                bench.advance(5)
    bench.wait_until(lambda: not bench.listener.is_up, 5)
    bench.network.air["home"] = "ok"
    bench.wait_until(lambda: bench.listener.is_up)
    assert network_status(bench.bringup)["failed_rounds"] == 0


def test_a_changed_address_makes_the_services_bind_again(station):
    bench = station()
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(2)
    bench.network.lease = ("192.168.7.7", "255.255.255.0", "192.168.7.1")
    bench.advance(2)
    assert bench.listener.told[1:] == [("down", "the address is now 192.168.7.7"), ("up", "192.168.7.7")]


def test_an_error_of_the_driver_is_a_failed_attempt(station):
    bench = station()
    bench.network.air["attic"] = "ok"
    connect = bench.network.station.connect

    def broken(ssid, key=None):
        if ssid == "home":
            raise OSError("Wifi Internal Error")
        connect(ssid, key)

    bench.network.station.connect = broken
    bench.start()
    bench.wait_until(lambda: bench.listener.is_up)
    assert any("OSError: Wifi Internal Error" in text for text in bench.texts())


def test_an_error_of_the_driver_ends_the_attempt_at_once(station):
    bench = station(network={"connect_timeout_s": 60})
    bench.network.air["attic"] = "ok"
    isconnected = bench.network.station.isconnected
    bench.network.station.isconnected = lambda: isconnected() if bench.network.station.ssid == "attic" else 1 / 0
    bench.start()
    assert bench.wait_until(lambda: bench.listener.is_up) < 5
    assert any("wifi 'home': ZeroDivisionError" in text for text in bench.texts())


def test_an_address_that_disappears_before_it_is_used(station):
    bench = station([HOME])
    bench.network.air["home"] = "ok"
    ipconfig = bench.network.station.ipconfig
    asked = []

    def once(name=None, **options):
        asked.extend([name] if name == "addr4" else [])
        if name == "addr4" and len(asked) == 2:
            raise OSError("no address")
        return ipconfig(name, **options)

    bench.network.station.ipconfig = once
    bench.start()
    bench.wait_until(lambda: bench.listener.is_up)
    assert bench.listener.told == [("up", "192.168.1.20")] and bench.networks_tried() == ["home", "home"]


def test_an_error_of_the_driver_while_up_is_a_lost_link(station):
    bench = station()
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(2)
    isconnected = bench.network.station.isconnected
    bench.network.station.isconnected = lambda: 1 / 0
    bench.advance(2)
    assert not bench.listener.is_up
    bench.network.station.isconnected = isconnected
    bench.wait_until(lambda: bench.listener.is_up)


def test_a_static_address(station):
    static = dict(HOME, address="192.168.1.9", netmask="255.255.255.0", gateway="192.168.1.254")
    bench = station([static])
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(1)
    assert bench.listener.told == [("up", "192.168.1.9")]
    assert bench.network.station.static == ("192.168.1.9", "255.255.255.0", "192.168.1.254", "192.168.1.254")


def test_after_a_static_network_the_next_one_gets_dhcp_again(station):
    bench = station([dict(HOME, address="192.168.1.9"), ATTIC])
    bench.network.air["attic"] = "ok"
    bench.start()
    bench.wait_until(lambda: bench.listener.is_up)
    assert bench.listener.told == [("up", "192.168.1.20")]


class TestAccessPoint:
    def test_it_opens_if_no_network_answers_and_closes_when_one_does(self, station):
        bench = station(ap={"enabled": True, "password": "12345678"})
        bench.start()
        bench.wait_until(lambda: bench.listener.is_up)
        assert bench.listener.told == [("up", "192.168.4.1")]
        assert bench.network.access_point.options == {"ssid": "device", "channel": 6, "key": "12345678", "security": 3}
        bench.network.air["home"] = "ok"
        bench.wait_until(lambda: bench.bringup.state == "up")
        assert bench.listener.told[1:] == [("down", "wifi 'home' is back"), ("up", "192.168.1.20")]
        assert not bench.network.access_point.on

    def test_stop_closes_it(self, station):
        bench = station(ap={"enabled": True})
        bench.start()
        bench.wait_until(lambda: bench.listener.is_up)
        bench.bringup.stop()
        assert not bench.network.access_point.on and bench.listener.told[-1] == ("down", "stopped")

    def test_an_access_point_that_fails_is_reported_and_the_networks_are_tried_again(self, station):
        bench = station(ap={"enabled": True})
        bench.network.access_point.ipconfig = lambda name: 1 / 0
        bench.start()
        bench.wait_until(lambda: bench.bringup.state == "waiting")
        assert not bench.listener.told
        assert "access point 'device': ZeroDivisionError: division by zero" in bench.texts()
        bench.network.air["home"] = "ok"
        bench.wait_until(lambda: bench.bringup.state == "up")

    def test_without_a_password_it_is_open(self, station):
        bench = station([], ap={"enabled": True})
        bench.start()
        bench.advance(1)
        assert bench.network.access_point.options == {"ssid": "device", "channel": 6, "security": 0}
        assert bench.bringup.state == "waiting"

    def test_a_port_that_needs_it_active_before_it_is_configured(self, station):
        bench = station([], ap={"enabled": True})
        point = bench.network.access_point
        config = point.config

        def only_while_on(**options):
            if not point.on:
                raise OSError("Wifi Invalid Mode")
            config(**options)

        point.config = only_while_on
        bench.start()
        bench.advance(1)
        assert point.on and point.options["ssid"] == "device"

    def test_guests_are_not_disturbed(self, station):
        bench = station(ap={"enabled": True})
        bench.start()
        bench.wait_until(lambda: bench.bringup.state == "waiting")
        bench.network.access_point.guests = [(b"123456",)]
        tried = len(bench.networks_tried())
        bench.network.air["home"] = "ok"
        bench.advance(1000)
        assert len(bench.networks_tried()) == tried
        bench.network.access_point.guests = []
        bench.wait_until(lambda: bench.bringup.state == "up")

    def test_an_attempt_ends_when_a_guest_joins(self, station):
        bench = station(ap={"enabled": True})
        bench.start()
        bench.wait_until(lambda: bench.bringup.state == "waiting")
        bench.wait_until(lambda: bench.bringup.state == "connecting")
        bench.network.access_point.guests = [(b"123456",)]
        bench.advance(0.5)
        bench.network.air["home"] = bench.network.air["attic"] = "ok"
        tried = len(bench.networks_tried())
        bench.advance(100)
        assert bench.bringup.state == "waiting" and len(bench.networks_tried()) == tried
        assert bench.network.access_point.on


def test_a_board_without_any_network_reports_it_and_works(tmp_path):
    bench = NetworkBench(tmp_path, ap={"enabled": False}).start()
    bench.advance(600)
    assert bench.bringup.state == "waiting" and len(bench.bringup.history) == 2
    assert not bench.waiting


class TestOtherLinks:
    class Support:
        """A board with a wired interface and a modem."""

        def __init__(self):
            self.cable = FakeCable()

        def lan(self):
            return self.cable

        def uart(self, baud):
            return ("uart", baud)

    @pytest.fixture
    def bench(self, tmp_path):
        bench = NetworkBench(tmp_path, support=self.Support(), ap={"enabled": False})
        self.modems = modems = []

        class Ppp(FakePpp):
            def __init__(self, uart):
                super().__init__(uart)
                modems.append(self)

        bench.network.PPP = Ppp
        return bench

    def test_a_cable_comes_first(self, bench):
        bench.board.support.cable.plugged = True
        bench.start()
        bench.advance(1)
        assert bench.listener.told == [("up", "10.0.0.7")]
        assert bench.bringup.connection.broadcast == "10.255.255.255"
        bench.board.support.cable.plugged = False
        bench.advance(2)
        assert not bench.listener.is_up

    def test_without_a_cable_the_modem_is_dialled(self, bench):
        bench.start()
        bench.wait_until(lambda: self.modems and self.modems[0].state == 2)
        assert self.modems[0].uart == ("uart", 921600)
        self.modems[0].state = 3
        bench.advance(1)
        assert bench.listener.told == [("up", "10.64.0.2")]
        assert bench.bringup.connection.broadcast == "255.255.255.255"

    def test_a_modem_that_fails_is_dialled_again(self, bench):
        bench.config.set("ppp.user", "me")
        bench.config.set("ppp.password", "secret")
        bench.start()
        bench.wait_until(lambda: self.modems and self.modems[0].state == 2)
        assert self.modems[0].options == {"security": 2, "user": "me", "key": "secret"}
        self.modems[0].state = -6
        bench.advance(1)
        assert any("PPP error 6" in text for text in bench.texts())
        assert self.modems[0].hang_ups == 1
        bench.wait_until(lambda: self.modems[0].state == 2)
        assert len(self.modems) == 1


class Cable:
    """A UART with a modem at its other end."""

    def __init__(self, clock, **options):
        self.clock = clock
        self.received = b""
        self.modem = Modem(self.receive, **options)

    def receive(self, data):
        self.received += data

    def write(self, data):
        self.modem.receive(data, self.clock.now / 1000)

    def read(self):
        self.modem.tick(self.clock.now / 1000)
        data, self.received = self.received, b""
        return data or None


LINES = ["ATZ", "ATE0", "AT+CPIN=1234", 'AT+CGDCONT=1,"IP","internet"', "ATD*99#"]


class TestModem:
    """A modem that needs AT commands."""

    @pytest.fixture
    def dial(self, tmp_path):
        def start(lines=LINES, **options):
            bench = NetworkBench(tmp_path, ap={"enabled": False}, ppp={"chat": list(lines)})
            bench.cable = Cable(bench.clock, **options)
            bench.board.support = SimpleNamespace(uart=lambda baud: bench.cable)
            bench.modem = bench.cable.modem
            bench.ppps = []

            def ppp(uart):
                assert bench.modem.online, "PPP before the modem is online"
                bench.ppps.append(FakePpp(uart))
                return bench.ppps[-1]

            bench.network.PPP = ppp
            return bench.start()

        return start

    def test_it_gets_the_lines_in_order_and_then_ppp_starts(self, dial):
        bench = dial(pin="1234", apn="internet")
        bench.wait_until(lambda: bench.ppps)
        expected = [*LINES[:2], "AT+CPIN?", *LINES[2:]]
        assert bench.modem.said == expected
        bench.ppps[0].state = 3
        bench.advance(1)
        assert bench.listener.told == [("up", "10.64.0.2")]

    def test_no_pin_is_sent_if_none_is_requested(self, dial):
        bench = dial()
        bench.wait_until(lambda: bench.ppps)
        assert not [line for line in bench.modem.said if line.startswith("AT+CPIN=")]

    def test_a_wrong_pin_is_sent_once_and_not_shown(self, dial):
        bench = dial(pin="4321")
        bench.advance(3600)
        assert bench.modem.pin_tries == 2
        told = [text for text in bench.texts() if "+CME ERROR: 16" in text]
        assert told and "line 3 of ppp.chat" in told[0] and "not tried again before the next boot" in told[0]
        assert "1234" not in " ".join(bench.texts())
        assert bench.texts()[-1] == "waiting: for the next boot"

    def test_a_locked_sim_is_not_tried(self, dial):
        bench = dial(pin="4321")
        bench.modem.pin_tries = 0
        bench.advance(600)
        assert any("the SIM is locked" in text and "SIM PUK" in text for text in bench.texts())
        assert bench.modem.said.count("AT+CPIN?") == 1

    def test_an_error_of_the_modem_is_reported_and_the_dialling_repeated(self, dial):
        bench = dial(apn="another")
        bench.advance(60)
        assert any("line 5 of ppp.chat: NO CARRIER" in text for text in bench.texts())
        assert bench.modem.said.count("ATD*99#") > 1

    def test_a_silent_modem_is_reported(self, dial):
        bench = dial()
        bench.modem.receive = lambda data, now: b""
        bench.advance(60)
        assert "connecting: ppp: no answer to line 1 of ppp.chat" in bench.texts()

    def test_a_modem_that_is_still_online_is_returned_to_commands_first(self, dial):
        """This happens after a reset of the board."""
        bench = dial(["ATH", "ATD*99#"])
        bench.modem.online = bench.modem._has_call = True
        ended = []
        bench.modem.on_end = lambda: ended.append(True)
        bench.wait_until(lambda: bench.ppps)
        assert ended
        assert bench.modem.said == ["ATH", "ATD*99#"]

    def test_it_is_dialled_again_after_the_last_ppp_has_ended(self, dial):
        bench = dial(["ATD*99#"])
        bench.wait_until(lambda: bench.ppps)
        ppp = bench.ppps[0]
        ppp.state = 3
        bench.advance(1)
        ppp.isconnected = lambda: False
        ppp.disconnect = lambda: None  # it would wait for the other end
        bench.modem.hang_up()
        bench.advance(10)
        assert len(bench.modem.said) == 1
        ppp.state = 0
        bench.wait_until(lambda: len(bench.modem.said) == 2)

    def test_bytes_that_are_not_text(self, dial):
        bench = dial()
        bench.modem.receive = lambda data, now: bench.cable.receive(b"\xff\xfe\r\nERROR \xff\r\n") or b""
        bench.advance(60)
        assert any("line 1 of ppp.chat: ERROR" in text for text in bench.texts())
        assert not any("next boot" in text for text in bench.texts())


class TestConfiguredWires:
    """Wired links that only the configuration describes."""

    @pytest.fixture
    def bench(self, tmp_path):
        bench = NetworkBench(tmp_path, ap={"enabled": False})
        self.made = made = []
        self.cable = FakeCable()
        self.modem = FakePpp(None)

        class Machine:
            @staticmethod
            def Pin(number):
                return f"pin {number}"

            @staticmethod
            def UART(*arguments, **options):
                return "uart", arguments, options

        def lan(**options):
            made.append(options)
            return self.cable

        def ppp(uart):
            made.append(uart)
            return self.modem

        bench.board.machine = Machine
        bench.network.LAN, bench.network.PHY_LAN8720, bench.network.PPP = lan, 3, ppp
        return bench

    def test_a_phy_of_an_esp32(self, bench):
        for key, value in {"phy": "LAN8720", "phy_address": 1, "mdc": 23, "mdio": 18, "address": "10.0.0.9"}.items():
            bench.config.set("lan." + key, value)
        self.cable.plugged = True
        bench.start()
        bench.advance(1)
        assert self.made == [{"phy_type": 3, "phy_addr": 1, "mdc": "pin 23", "mdio": "pin 18"}]
        assert bench.listener.told == [("up", "10.0.0.9")]

    def test_a_phy_without_a_driver_is_reported(self, bench):
        bench.config.set("lan.phy", "KSZ8081")
        bench.start()
        assert "connecting: lan: ValueError: lan.phy: this image has no driver for KSZ8081" in bench.texts()

    def test_a_modem_at_a_uart(self, bench, monkeypatch):
        for key, value in {"uart": 1, "tx": 17, "rx": 16, "baud": 115200}.items():
            bench.config.set("ppp." + key, value)
        monkeypatch.delattr(FakePpp, "status")  # not every port has it
        bench.start()
        assert self.made == [("uart", (1, 115200), {"rxbuf": 4096, "tx": "pin 17", "rx": "pin 16"})]
        bench.advance(1)
        self.modem.state = 3
        bench.advance(1)
        assert bench.listener.told == [("up", "10.64.0.2")]

    def test_links_without_configuration_are_not_tried(self, bench):
        del bench.network.WLAN
        bench.config.set("ap.enabled", True)
        bench.start()
        assert network_status(bench.bringup)["links"] == []
        assert bench.texts() == ["down: start", "waiting: no network is configured"]


def test_a_restart_on_request(station):
    bench = station()
    bench.network.air["home"] = "ok"
    bench.start()
    bench.bringup.restart("too early")
    bench.advance(2)
    assert bench.bringup.can_restart
    bench.bringup.restart("the gateway is dead")
    assert bench.listener.told[1:] == [("down", "the gateway is dead")]
    bench.advance(2)
    assert bench.listener.told[2:] == [("up", "192.168.1.20")]


def test_stop_notifies_the_services_and_disconnects(station):
    bench = station()
    bench.network.air["home"] = "ok"
    bench.start()
    bench.advance(1)
    bench.bringup.stop()
    assert bench.listener.told[-1] == ("down", "stopped")
    assert bench.network.station.ssid is None
    bench.advance(100)
    assert bench.bringup.state == "down"


def test_the_history_is_limited(station):
    bench = station()
    bench.start()
    bench.advance(3600)
    assert len(network_status(bench.bringup)["history"]) == 20


def test_a_year_of_a_flapping_link_in_a_second_or_two(station):
    bench = station([HOME])
    bench.start()
    for _ in range(300):
        bench.network.air["home"] = "ok"
        bench.wait_until(lambda: bench.listener.is_up)
        bench.network.air["home"] = "STAT_NO_AP_FOUND"
        bench.wait_until(lambda: not bench.listener.is_up)
    assert len(bench.listener.told) == 600


@pytest.mark.parametrize(
    "address, netmask, expected",
    [
        ("192.168.1.20", "255.255.255.0", "192.168.1.255"),
        ("172.16.5.4", "255.255.240.0", "172.16.15.255"),
        ("10.64.0.2", "255.255.255.255", "255.255.255.255"),
        ("127.0.0.1", "255.0.0.0", "127.255.255.255"),
    ],
)
def test_broadcast_address(address, netmask, expected):
    assert broadcast_address(address, netmask) == expected
