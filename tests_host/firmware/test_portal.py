"""Set-up by phone: the access point's name server and scan, setup.status, setup.save, and the button that unclaims."""

import json
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from types import SimpleNamespace

import pytest
from fake_network import Cyw43Codes, FakeNetwork
from fakes import Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from image import proof

from firmware.boot.unclaim import UnclaimButton
from firmware.config import ConfigError
from firmware.config.defaults import SCHEMA
from firmware.config.schema import Apart, ListOf
from firmware.control.jsonrpc import RpcError
from firmware.network.portal import Portal, answer
from firmware.network.setup import Setup

OWN = bytes((192, 168, 4, 1))
A, AAAA, ANY, HTTPS = 1, 28, 255, 65
TOKEN = "made by the page"


def query(*labels, kind=A, mark=b"\x12\x34", flags=0x0100, counts=(1, 0, 0, 0), kind_class=1, rest=b""):
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return mark + struct.pack(">5H", flags, *counts) + name + struct.pack(">2H", kind, kind_class) + rest


CAPTIVE = query(b"captive", b"apple", b"com")
label = st.binary(min_size=1, max_size=63)


class TestAnswer:
    def test_any_name_gives_the_boards_address(self):
        told = answer(CAPTIVE, OWN)
        assert told[:2] == CAPTIVE[:2] and struct.unpack(">5H", told[2:12]) == (0x8580, 1, 1, 0, 0)
        assert told[12 : len(CAPTIVE)] == CAPTIVE[12:]
        pointer, kind, kind_class, life_s, length = struct.unpack(">HHHIH", told[len(CAPTIVE) : -4])
        assert (pointer, kind, kind_class, life_s, length) == (0xC00C, A, 1, 60, 4) and told[-4:] == OWN

    @pytest.mark.parametrize("kind", [AAAA, HTTPS, ANY])
    def test_other_record_types_get_an_empty_answer(self, kind):
        asked = query(b"captive", b"apple", b"com", kind=kind)
        told = answer(asked, OWN)
        assert struct.unpack(">5H", told[2:12]) == (0x8580, 1, 0, 0, 0) and told[12:] == asked[12:]

    def test_an_extension_at_the_end_is_not_answered(self):
        """Most resolvers send such an extension (EDNS, RFC 6891)."""
        asked = query(b"example", b"com", counts=(1, 0, 0, 1), rest=b"\0\0\x29\x04\xd0\0\0\0\0\0\0")
        assert answer(asked, OWN)[-4:] == OWN and struct.unpack(">5H", answer(asked, OWN)[2:12])[3:] == (0, 0)

    @pytest.mark.parametrize(
        "wrong",
        [
            b"",
            CAPTIVE[:12],
            CAPTIVE[:-1],  # cut off
            CAPTIVE[:20],
            query(b"a", flags=0x8180),  # an answer, because two boards could answer each other for ever
            query(b"a", flags=0x2800),  # an update
            query(b"a", flags=0x0300),  # truncated by its sender
            query(b"a", counts=(0, 0, 0, 0)),
            query(b"a", counts=(2, 0, 0, 0)),
            query(b"a", counts=(1, 1, 0, 0)),
            CAPTIVE[:12] + b"\xc0\x0c\0\1\0\1",  # a name that points to itself
            CAPTIVE[:12] + bytes((64,)) + b"a" * 64 + b"\0\0\1\0\1",
            query(*[b"a" * 63] * 4),  # a name of 256 bytes
            query(b"a", rest=bytes(512)),
        ],
    )
    def test_wrong_packets_are_ignored(self, wrong):
        assert answer(wrong, OWN) is None

    @settings(max_examples=300, deadline=None)
    @given(st.one_of(st.binary(max_size=600), st.binary(max_size=520).map(lambda rest: CAPTIVE[:12] + rest)))
    def test_any_packet_raises_nothing_and_answers_are_not_much_longer(self, data):
        told = answer(data, OWN)
        assert told is None or (told[:2] == data[:2] and told[2] & 0x80 and len(told) <= min(len(data) + 16, 300))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(label, min_size=1, max_size=3), st.integers(0, 65535), st.binary(min_size=2, max_size=2))
    def test_every_valid_query_is_answered(self, labels, kind, mark):
        told = answer(query(*labels, kind=kind, mark=mark), OWN)
        assert told[:2] == mark and (told[-4:] == OWN and told[7] == 1 if kind == A else told[7] == 0)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    bench.network = bench.board.network = FakeNetwork(bench.clock, Cyw43Codes)
    bench.device = "new"
    bench.portal = None
    bench.bringup = SimpleNamespace(state="waiting", history=[])
    bench.restarts = 0

    def restart_later():
        bench.restarts += 1

    bench.restart_later = restart_later
    return bench


@pytest.fixture
def portal(bench):
    portal = Portal(bench)
    portal.port = 0
    yield portal
    if bench.portal:
        portal.stop()


class TestPortal:
    def ask(self, bench, portal, data):
        """Send `data`, and return the name server's answer, if there is one."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.sendto(data, ("127.0.0.1", portal._socket.LocalAddr[1]))
            end = time.monotonic() + (5 if answer(data, OWN) else 0.1)
            while time.monotonic() < end:
                bench.pool.PollEvents()
                try:
                    return client.recv(1000)
                except BlockingIOError:
                    time.sleep(0.005)
        return None

    def test_names_are_answered_while_it_is_open(self, bench, portal):
        portal.start()
        assert bench.portal is portal and bench.network.access_point.on
        assert self.ask(bench, portal, b"nonsense") is None
        assert self.ask(bench, portal, CAPTIVE) == answer(CAPTIVE, OWN)
        port = portal._socket.LocalAddr[1]
        portal.stop()
        assert bench.portal is None and not bench.network.access_point.on
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("0.0.0.0", port))

    @pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed (Debian: bind9-dnsutils)")
    def test_dig_understands_the_answers(self, bench, portal):
        portal.start()
        port = str(portal._socket.LocalAddr[1])
        for kind, found in (("A", "192.168.4.1\n"), ("AAAA", ""), ("HTTPS", "")):
            command = ["dig", "@127.0.0.1", "-p", port, "+tries=1", "+short", "captive.apple.com", kind]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dig:
                while dig.poll() is None:
                    bench.pool.PollEvents()
                    time.sleep(0.005)
                assert dig.returncode == 0 and dig.stdout.read() == found

    def test_a_taken_port_leaves_the_network_open_and_is_reported(self, bench, portal):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("0.0.0.0", 0))
            portal.port = other.getsockname()[1]
            portal.start()
        assert bench.network.access_point.on and "phones are not led to the page" in bench.texts()[-1]

    def test_networks_are_scanned_before_it_opens_and_then_only_on_request(self, bench, portal):
        was_on = []

        def scan():
            was_on.append(bench.network.access_point.on)
            names = [(b"far", -90, 3), (b"home", -70, 3), (b"home", -40, 3), (b"cafe", -60, 0), (b"", -30, 3)]
            return [(ssid, bytes(6), 6, rssi, security, 1) for ssid, rssi, security in [*names, (b"\xff\xfe", -20, 3)]]

        bench.network.station.scan = scan
        portal.start()
        assert portal.networks == [
            {"ssid": "home", "rssi": -40, "open": False},
            {"ssid": "cafe", "rssi": -60, "open": True},
            {"ssid": "far", "rssi": -90, "open": False},
        ]
        bench.advance(600)
        assert was_on == [False]
        assert bench.network.called("country")[0] == ("country", "XX")
        setup = started(bench)
        setup._status(guest())
        assert was_on == [False]
        setup._status(guest(), True)
        assert was_on == [False, True]

    def test_a_guest_cannot_have_it_scan_all_the_time(self, bench, portal):
        """A batch of requests could do this."""
        scans = []

        def scan():
            scans.append(bench.clock.uptime())
            bench.clock.now += 2000
            return [(b"net%d" % len(scans), bytes(6), 6, -50, 3, 1)]

        bench.network.station.scan = scan
        portal.start()
        setup = started(bench)
        found = []
        for _ in range(60):
            found.append(setup._status(guest(), True)["networks"][0]["ssid"])
            bench.advance(0.5)
        assert scans == [0, 12, 24] and found[0] == "net1" and found[-1] == "net3"

    def test_a_radio_that_cannot_scan_does_not_keep_it_closed(self, bench, portal):
        bench.network.station.scan = lambda: 1 / 0
        portal.start()
        assert portal.networks == [] and bench.network.access_point.on

    def test_no_scan_if_the_watchdog_is_too_short_for_it(self, bench, portal):
        bench.board.watchdog_s = 2
        portal.start()
        assert not bench.network.called("scan") and bench.network.access_point.on


def guest(address="192.168.4.16", authenticated=False):
    return SimpleNamespace(address=address, authenticated=authenticated)


def started(bench):
    bench.methods = SimpleNamespace(add=lambda *_arguments: None)
    setup = Setup()
    setup.start(bench)
    return setup


class TestSetup:
    @pytest.fixture
    def setup(self, bench, portal):
        portal.start()
        return started(bench)

    def file(self, bench, name="config.json"):
        with open(bench.board.path(name)) as file:
            return json.load(file)

    def test_a_new_board_is_set_up_in_one_step(self, bench, setup):
        assert setup._save(guest(), "home", "correct horse", "kitchen", TOKEN) is True
        assert self.file(bench) == {
            "wifi": {"networks": [{"ssid": "home", "password": "correct horse"}]},
            "device": {"name": "kitchen"},
            "control": {"token": TOKEN},
        }
        assert self.file(bench, "config.last.json") == self.file(bench) and not bench.board.has_file("trial.json")
        assert bench.restarts == 1

    @pytest.mark.parametrize(
        "wanted, words",
        [
            (("", "correct horse", "kitchen", TOKEN), "wifi.networks.0.ssid: '' is not text of 1 to 32 bytes"),
            (("home", "short", "kitchen", TOKEN), "wifi.networks.0.password: the value is not a password of 8"),
            (("home", 12345678, "kitchen", TOKEN), "wifi.networks.0.password: a number, without quotes, is not"),
            (("home", "correct horse", "my kitchen", TOKEN), "device.name: 'my kitchen' is not a host name"),
            (
                ("home", "correct horse", "kitchen", "short"),
                "control.token: the value is not a secret of 8 to 64 bytes, or empty",
            ),
            (("home", "correct horse", "kitchen"), "control.token: a new board needs one, 8 to 64 bytes"),
        ],
    )
    def test_wrong_values_get_the_errors_of_config_set_and_nothing_is_saved(self, bench, setup, wanted, words):
        with pytest.raises(ConfigError) as raised:
            setup._save(guest(), *wanted)
        assert str(raised.value).startswith(words)
        assert not bench.board.has_file("config.json") and not bench.restarts
        assert setup._status(guest())["claimed"] is False

    def test_a_file_that_cannot_be_written_is_reported(self, bench, setup, tmp_path):
        (tmp_path / "config.json.new").mkdir()
        with pytest.raises(OSError):
            setup._save(guest(), "home", "correct horse", "kitchen", TOKEN)
        assert not bench.restarts and setup._status(guest())["claimed"] is False

    def test_the_first_guest_is_the_owner(self, bench, setup):
        setup._save(guest(), "home", "correct horse", "kitchen", TOKEN)
        assert setup._status(guest("192.168.4.17"))["allowed"] is False
        with pytest.raises(RpcError, match="the board has a token"):
            setup._save(guest("192.168.4.17"), "home", "correct horse", "mine", "another token")

    @pytest.mark.parametrize("address", ["192.168.1.9", "10.0.0.2"])
    def test_a_new_board_is_set_up_over_its_own_network_only(self, bench, setup, address):
        assert setup._status(guest(address))["allowed"] is False and setup._status(guest(address))["networks"] == []
        with pytest.raises(RpcError, match="own Wi-Fi network only"):
            setup._save(guest(address), "home", "correct horse", "kitchen", TOKEN)

    def test_not_over_another_network_with_the_same_addresses(self, bench, setup):
        bench.portal.stop()
        assert setup._status(guest())["allowed"] is False

    def test_the_owner_changes_the_network_from_anywhere(self, bench, setup):
        old = {"ssid": "old", "password": "old password"}
        static = {"ssid": "home", "address": "192.168.1.20", "gateway": "192.168.1.1"}
        bench.config.use({"control": {"token": TOKEN}, "wifi": {"networks": [old, static]}}, "config.json")
        owner = guest("192.168.1.9", authenticated=True)
        assert setup._save(owner, "home", "correct horse") is True
        assert self.file(bench) == {
            "control": {"token": TOKEN},
            "wifi": {"networks": [{**static, "password": "correct horse"}, old]},
        }
        with pytest.raises(ConfigError, match="this board has one"):
            setup._save(owner, "home", "correct horse", "", "another token")

    def test_settings_that_could_lock_out_are_on_trial(self, bench, setup):
        """Without an access point, a board with a wrong network could not be reached any more."""
        bench.config.use({"control": {"token": TOKEN}, "ap": {"enabled": False}}, "config.json")
        setup._save(guest(authenticated=True), "home", "correct horse")
        assert bench.board.has_file("trial.json")

    def test_the_list_of_networks_is_bounded_and_the_new_one_is_first(self, bench, setup):
        networks = [{"ssid": f"net{index}"} for index in range(8)]
        bench.config.use({"control": {"token": TOKEN}, "wifi": {"networks": networks}}, "config.json")
        setup._save(guest(authenticated=True), "home")
        names = [one["ssid"] for one in self.file(bench)["wifi"]["networks"]]
        assert names == ["home", *(f"net{index}" for index in range(7))]

    def test_the_reason_is_the_one_of_net_status(self, bench, setup):
        bench.config.use({"wifi": {"networks": [{"ssid": "home"}, {"ssid": "old"}]}}, "config.json")
        texts = ["wifi 'home'", "wifi 'home': wrong password", "wifi 'old'", "wifi 'old': no such network in reach"]
        bench.bringup.history = [{"text": text} for text in [*texts, "2.0 s"]]
        assert setup._status(guest())["reason"] == "wifi 'home': wrong password"
        bench.bringup.state = "up"
        assert setup._status(guest())["reason"] is None


class Button:
    IN = 0
    PULL_UP = 1
    made = []
    level = 1

    def __init__(self, *arguments):
        Button.made.append(arguments)

    def value(self):
        return Button.level


class TestButton:
    @pytest.fixture
    def press(self, bench):
        """Returns a function that holds the button for some seconds and releases it."""
        bench.board.machine = SimpleNamespace(Pin=Button)
        Button.made, Button.level = [], 1
        bench.config.use(
            {
                "boot": {"unclaim_button": 15},
                "control": {"token": TOKEN, "port": 99},
                "wifi": {"networks": [{"ssid": "home", "password": "forgotten"}], "country": "DE"},
                "ap": {"enabled": False, "password": "forgotten"},
                "ppp": {"uart": 1, "user": "me", "password": "forgotten", "chat": ["AT+CPIN=1234"]},
                "mqtt": {"broker": "192.0.2.7", "user": "me", "password": "forgotten", "rpc": ["gpio.write"]},
                "http": {"enabled": False, "port": 8080},
            },
            "config.json",
        )
        button = UnclaimButton()
        button.start(bench)

        def live(seconds):
            for _ in range(int(seconds / button.tick_s)):
                bench.clock.now += int(button.tick_s * 1000)
                button.tick()

        def press(seconds):
            Button.level = 0
            live(seconds)
            Button.level = 1
            live(1)

        press.live = live
        return press

    def test_holding_it_resets_the_settings(self, bench, press):
        press.live(1)
        press(6)
        assert Button.made == [(15, Button.IN, Button.PULL_UP)]
        for name in ("config.json", "config.last.json"):
            with open(bench.board.path(name)) as file:
                kept = json.load(file)
            assert kept == {
                "boot": {"unclaim_button": 15},
                "control": {"port": 99},
                "wifi": {"country": "DE"},
                "ppp": {"uart": 1, "user": "me"},
                "http": {"enabled": True, "port": 8080},
            }
        assert bench.restarts == 1 and "all secrets are removed" in bench.texts()[-1]

    def test_no_secret_is_left(self, bench, press):
        """This checks all keys, also those that are added later."""

        def secrets(kind, path=()):
            found = [path] if kind.secret else []
            for key, one in getattr(kind, "_kinds", {}).items():
                found += secrets(one._values() if isinstance(one, Apart) else one, (*path, key))
            return found + (secrets(kind._kind, path) if isinstance(kind, ListOf) else [])

        def reach(values, path):
            for key in path:
                values = (values[0] if isinstance(values, list) else values).get(key, {})
            return values

        paths = secrets(SCHEMA)
        assert ("mqtt", "password") in paths and ("wifi", "networks", "password") in paths
        assert all(reach(bench.config.given, path) for path in paths)
        press.live(1)
        press(6)
        with open(bench.board.path("config.json")) as file:
            kept = json.load(file)
        assert not any(reach(kept, path) for path in paths)

    def test_a_shorter_press_does_nothing(self, bench, press):
        press.live(1)
        for _ in range(5):
            press(4)
        assert not bench.restarts and not bench.board.has_file("config.json")

    def test_a_wire_that_is_low_from_the_start_is_not_a_button(self, bench, press):
        press(600)
        assert not bench.restarts
        press(6)
        assert bench.restarts == 1

    def test_if_nothing_can_be_written_nothing_is_removed_and_the_error_reported(self, bench, press, tmp_path):
        (tmp_path / "config.json.new").mkdir()
        press.live(1)
        press(20)
        assert not bench.restarts and "nothing is removed" in bench.texts()[-1]


class TestBoard:
    """The image with simulated Wi-Fi (boards/UNIX/modules/simulated_wifi.py)."""

    @pytest.fixture
    def new(self, board, monkeypatch):
        monkeypatch.setenv("BOARD_WIFI", json.dumps({"home": "correct horse", "cafe": ""}))
        board.configure(control={"port": 0, "token": ""}, http={"enabled": True, "port": 0})
        return board.start()

    def url(self, board, start=0):
        return board.wait_for(r"^page +(http://\S+/)", start).group(1)

    def rpc(self, url, method, session=None, **params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        headers = {"Content-Type": "application/json", "X-Board": "1", **({"X-Session": session} if session else {})}
        with urllib.request.urlopen(urllib.request.Request(url + "rpc", body, headers), timeout=20) as answered:
            return json.loads(answered.read())

    def test_from_a_new_board_over_a_wrong_password_to_the_network(self, new):
        url = self.url(new)
        status = self.rpc(url, "setup.status")["result"]
        assert (status["claimed"], status["allowed"], status["portal"]) == (False, True, True)
        assert [network["ssid"] for network in status["networks"]] == ["cafe", "home"]
        assert "new board needs one" in self.rpc(url, "setup.save", ssid="home")["error"]["message"]
        start = len(new.output)
        wanted = {"ssid": "home", "password": "wrong horse", "name": "kitchen", "token": TOKEN}
        assert self.rpc(url, "setup.save", **wanted)["result"] is True
        url = self.url(new, start)
        status = self.rpc(url, "setup.status")["result"]
        assert (status["claimed"], status["allowed"], status["device"]) == (True, False, "kitchen")
        assert status["reason"] == "wifi 'home': wrong password"
        challenge = self.rpc(url, "auth.challenge")["result"]
        session = challenge["session"]
        assert self.rpc(url, "auth.login", session, response=proof(TOKEN, "login", challenge))["result"] is True
        start = len(new.output)
        assert self.rpc(url, "setup.save", session, ssid="home", password="correct horse")["result"] is True
        new.wait_for(r"network: up: wifi 'home'", start)

    @pytest.mark.parametrize("text", ["home", '{"home": "correct horse"', '["home"]', '{"home": 5}'])
    def test_networks_with_a_typo(self, board, monkeypatch, text):
        monkeypatch.setenv("BOARD_WIFI", text)
        board.start()
        board.wait_for(r"BOARD_WIFI: .* is not a JSON object of networks and passwords, for example")
        assert "Traceback" not in board.text and "network:" not in board.text

    def test_without_http_the_setup_is_not_loaded(self, board, monkeypatch):
        monkeypatch.setenv("BOARD_WIFI", '{"home": "correct horse"}')
        board.configure(control={"port": 0}, http={"enabled": False})
        board.start()
        with board.client() as client:
            assert not [line for line in client.result("help") if line.startswith("setup.")]
