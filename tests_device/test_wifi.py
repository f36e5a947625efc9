"""Tests for Wi-Fi on an emulated Pico W: networks that are wrong, vanish or change, and the board's own network."""

import hashlib
import json
import os
import random
import re
import socket
import time

import pytest

from tests_device.conftest import KIND, give_settings, let_pass
from tests_device.device import Device
from tests_device.test_firmware import Control
from tools.emulator.pico_w import KEY, SSID

LIMIT_SEC = 120  # a busy emulator on a busy computer takes its time
INTERVAL_S = 1
FAULTS_S = int(os.environ.get("FAULTS_S") or 3600)  # seconds of the board's time
SPEED = 60  # as a multiple of real time, if this computer is fast enough

pytestmark = pytest.mark.skipif(KIND != "PICO_W", reason="needs an emulated Pico W: make test-device BOARD=PICO_W")


@pytest.fixture
def home(air):
    """The access point that the other tests use. It is restored afterwards."""
    (home,) = air.of(SSID)
    yield home
    for other in air.access_points[1:]:
        other.on = False
    del air.access_points[1:]
    air.lan.dhcp.answers = True
    air.lan.dhcp.fixed.clear()
    air.set_conditions(loss=0, delay_ms=0)
    home.change(on=True, key=KEY, rssi=-50)


@pytest.fixture
def firmware(networked, home, board, device):
    """Starts the board's firmware with these settings in addition to those of telemetry, and returns the board."""

    def start(networks=None, **settings):
        networks = networks or board.settings["wifi"]["networks"]
        telemetry = {"interval_s": INTERVAL_S, "jitter": 0}
        network = {"ntp": "", "connect_timeout_s": 15, "backoff_s": 0.5, "backoff_most_s": 4, **settings}
        device.soft_reset()
        everything = {"wifi": {"networks": networks}, "telemetry": telemetry, "network": network}
        device.write_file("/config.json", json.dumps(everything).encode())
        device.close()
        board.reset()  # because a soft reset keeps the last network's address
        return board

    yield start
    board.set_speed(1)
    print(device.console())  # shown if a test has failed
    give_settings(board)


def status(board):
    """Return `net.status` as soon as the board answers."""
    return ask(board, "net.status")


def ask(board, method):
    """Return a method's result. If the board resets the connection because its network changes, try once more."""
    deadline = time.monotonic() + LIMIT_SEC
    while True:
        control = Control(board.address, LIMIT_SEC)
        try:
            return control.call(method)
        except (OSError, ValueError):
            assert time.monotonic() < deadline, "no answer"
            time.sleep(0.2)
        finally:
            control.close()


def history(board):
    return "\n".join(entry["text"] for entry in status(board)["history"])


def wait_until(condition, what):
    deadline = time.monotonic() + LIMIT_SEC
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def joined(board):
    return board.wifi()["ssid"]


def wait_joined(board, ssid):
    wait_until(lambda: joined(board) == ssid, f"in {joined(board)}, not in {ssid}")


def network(ssid, password=KEY):
    return {"ssid": ssid, "password": password}


def test_the_first_of_its_networks_that_is_there_is_preferred(air, firmware):
    air.add("office", KEY, rssi=-80)
    board = firmware([network("nowhere"), network("office"), network(SSID)])
    wait_joined(board, "office")
    assert "wifi 'nowhere': no such network in reach" in history(board)


def test_the_next_one_is_taken_when_the_network_vanishes(air, firmware):
    office = air.add("office", KEY)
    board = firmware([network("office"), network(SSID)])
    wait_joined(board, "office")
    status(board)  # returns when the board is up
    office.change(on=False)
    wait_joined(board, SSID)
    assert "wifi 'office': link lost" in history(board)


def test_a_wrong_key_is_named_and_the_next_network_taken(air, firmware):
    air.add("office", KEY)
    board = firmware([network("office", "not the key"), network(SSID)])
    wait_joined(board, SSID)
    assert "wifi 'office': wrong password" in history(board)


@pytest.mark.parametrize("security", ["wpa", "wpa2", "wpa2/wpa3", "wpa3"])
def test_a_network_of_each_security_is_joined(air, firmware, security):
    air.add("office", KEY, security)
    board = firmware([network("office"), network(SSID)])
    wait_joined(board, "office")
    assert "wifi 'office', 10.65.0.11" in history(board)


def test_a_network_is_joined_by_its_key_instead_of_its_password(air, firmware):
    air.add("office", KEY)
    digits = hashlib.pbkdf2_hmac("sha1", KEY.encode(), b"office", 4096, 32).hex()
    board = firmware([network("office", digits)])
    wait_joined(board, "office")


@pytest.mark.parametrize("security", ["open", "wpa2", "wpa3"])
def test_a_hidden_network_is_joined(air, firmware, security):
    key = "" if security == "open" else KEY
    air.add("attic", key, security, hidden=True)
    board = firmware([network("attic", key)])
    wait_joined(board, "attic")


def test_a_name_that_is_not_ascii(air, firmware):
    air.add("Café 😀", KEY)
    board = firmware([network("Café 😀")])
    wait_joined(board, "Café 😀")


def test_a_missing_and_a_needless_password_are_reported(air, firmware):
    air.add("office", KEY)
    air.add("cafe")
    board = firmware([network("office", ""), network("cafe", KEY), network(SSID)])
    wait_joined(board, SSID)
    told = history(board)
    assert "wifi 'office': the network needs a password" in told
    assert "wifi 'cafe': the network is open: it takes no password" in told


def test_a_network_without_the_configured_security(air, firmware):
    """The driver tries for ever, so the firmware has to give up."""
    narrowed = {**network("attic"), "security": "wpa2"}
    air.add("attic", KEY, "wpa3")
    board = firmware([narrowed, network(SSID)])
    wait_joined(board, SSID)
    assert "wifi 'attic': no answer in time" in history(board)


def test_a_key_that_is_changed_and_changed_back(air, home, firmware):
    board = firmware()
    status(board)
    home.change(key="changed horse")
    board.link.hang_up()
    assert board.link.wait_down(LIMIT_SEC)
    wait_until(lambda: board.wifi()["access_point"], "no access point of its own")
    home.change(key=KEY)
    wait_joined(board, SSID)
    assert "wrong password" in history(board)


def test_roaming_between_two_access_points_of_one_name(air, home, firmware):
    upstairs = air.add(SSID, KEY, rssi=-70)
    board = firmware()
    status(board)
    assert board.wifi()["bssid"] == home.bssid, "the stronger one"
    home.change(rssi=-90)
    upstairs.change(rssi=-50)
    wait_until(lambda: board.wifi()["bssid"] == upstairs.bssid, "it does not roam")
    assert "link lost" not in history(board), "the link was up all the time"
    upstairs.change(on=False)
    wait_until(lambda: board.wifi()["bssid"] == home.bssid, "it does not take the other one")
    wait_until(lambda: status(board)["rssi"] == -90, "another signal")


def test_reconnection_waits_longer_each_time_and_is_quick_afterwards(home, firmware):
    board = firmware()
    status(board)
    home.change(on=False)
    wait_until(lambda: board.wifi()["access_point"], "no access point of its own")
    let_pass(board, 8)  # some attempts
    home.change(on=True)
    wait_joined(board, SSID)
    entries = status(board)["history"]
    waits = [float(entry["text"].split()[0]) for entry in entries if entry["state"] == "waiting"]
    assert waits and waits[0] <= 0.5 * 1.25 and max(waits) <= 4 * 1.25
    expected = [min(0.5 * 2**number, 4) for number in range(len(waits))]
    assert all(0.75 * base <= wait <= 1.25 * base + 0.1 for base, wait in zip(expected, waits)), waits


def test_the_boards_own_network_is_joined_by_another_board(home, firmware, new_board, on_device):
    """The board opens its access point if there is no network, serves there, and closes it when there is one again."""
    board = firmware()
    status(board)
    other = new_board(2, network=False)
    guest = Device(other.port)
    guest.soft_reset()
    home.change(on=False)
    wait_until(lambda: board.wifi()["access_point"], "no access point of its own")
    name = board.wifi()["access_point"]["ssid"]
    assert guest.run(JOIN_AND_PING.format(ssid=name), timeout=LIMIT_SEC).split()[-1] == "pong"
    assert board.wifi()["stations"] == [other.mac.hex(":")]
    home.change(on=True)
    let_pass(board, 5)
    assert board.wifi()["access_point"], "a station is connected"
    guest.run("wlan.disconnect()")
    guest.close()
    wait_joined(board, SSID)
    wait_until(lambda: not board.wifi()["access_point"], "its own network is still there")


JOIN_AND_PING = """
import network, socket, time
wlan = network.WLAN(network.WLAN.IF_STA)
wlan.active(True)
start = time.ticks_ms()
wlan.connect({ssid!r})
while not wlan.isconnected():
    if wlan.status() < 0:
        wlan.connect({ssid!r})
    if time.ticks_diff(time.ticks_ms(), start) > 60000:
        raise OSError("status %d" % wlan.status())
    time.sleep_ms(100)
client = socket.socket()
client.connect((wlan.ipconfig("gw4"), 8095))
client.send(b"ping\\n")
print(client.recv(100).decode())
client.close()
"""


def test_a_dhcp_server_that_does_not_answer(air, firmware):
    """A board that has joined but has no address has no network. It has one as soon as the server is back."""
    air.lan.dhcp.answers = False
    board = firmware(connect_timeout_s=5)
    wait_until(lambda: board.wifi()["access_point"], "no access point of its own")
    assert air.lan.dhcp.requests > 0
    air.lan.dhcp.answers = True
    assert "wifi 'home': no answer in time" in history(board)


def test_an_address_that_changes(air, firmware):
    board = firmware()
    before = status(board)["address"]
    assert before == board.address
    air.lan.dhcp.fixed[board.mac] = air.lan.network[77]
    board.link.hang_up()
    assert board.address == "10.65.0.77"
    wait_until(lambda: status(board)["address"] == board.address, "the services do not know the new address")
    assert f"wifi '{SSID}', 10.65.0.77" in history(board)


def test_readings_are_sent_while_the_name_server_is_silent(air, firmware):
    """The time server's name cannot be looked up. This delays some readings, but loses none."""
    with Collector() as collector:
        firmware(ntp="pool.ntp.org")
        lines = collector.lines(20)
    pauses = [later - earlier for (_, earlier), (_, later) in zip(lines, lines[1:])]
    assert len([pause for pause in pauses if pause > 2 * INTERVAL_S]) <= 1, pauses


def test_bluetooth_is_refused_and_wifi_goes_on(device_network, device):
    """The model has no Bluetooth, and the program gets an error that says so."""
    output = device.run(
        "import bluetooth\ntry: bluetooth.BLE().active(True)\nexcept OSError as error: print('refused', error)",
        timeout=LIMIT_SEC,
    )
    assert "refused" in output
    assert device.run("import testing_network; print(testing_network.up())").strip() == device_network


def test_lossy_and_slow_air_loses_no_byte_of_tcp(air, firmware):
    board = firmware()
    control = Control(board.address, LIMIT_SEC)
    air.set_conditions(loss=0.05, delay_ms=30)
    number = 0
    while number < 20 or not board.wifi()["lost"]:  # it is random which frames are lost
        assert control.call("telemetry.get")["settings"]["interval_s"] == INTERVAL_S, number
        number += 1
        assert number < 500, "no frame is lost"
    control.close()


class Collector:
    """Receives what the board broadcasts."""

    def __enter__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("", 8094))
        self._socket.settimeout(LIMIT_SEC)
        return self

    def __exit__(self, *exception):
        self._socket.close()

    def line(self):
        """Return (seq, uptime) of the next line."""
        text = self._socket.recv(2000).decode()
        return tuple(int(re.search(rf"\b{name}=(\d+)i", text)[1]) for name in ("seq", "uptime"))

    def lines(self, count):
        return [self.line() for _ in range(count)]

    def waiting(self):
        """Return (seq, uptime) of the lines that have arrived."""
        self._socket.setblocking(False)
        try:
            while True:
                yield self.line()
        except BlockingIOError:
            pass
        finally:
            self._socket.settimeout(LIMIT_SEC)


def test_an_hour_of_faults_and_each_reading_accounted_for(air, home, firmware):
    """Links fail at random for an hour of the board's time. Each line arrives once, or was sent during a failure."""
    chance = random.Random(8)
    board = firmware()
    status(board)
    start = board.stats()["emulated_s"]
    board.set_speed(SPEED)
    faults = []  # (start, end) in the board's time
    lines = []

    def now():
        return board.stats()["emulated_s"] - start

    def until(moment):
        deadline = time.monotonic() + LIMIT_SEC + 10 * (moment - now())
        while now() < moment:
            lines.extend(collector.waiting())
            assert time.monotonic() < deadline, "the board's clock does not run"
            time.sleep(0.02)

    with Collector() as collector:
        first = collector.line()
        lines.append(first)
        offset = now() - first[1]  # difference between the board's time and its uptime
        while now() < FAULTS_S:
            until(now() + chance.uniform(10, 120))
            began = now()
            fault = chance.choice(FAULTS)
            fault(air, home, board)
            until(now() + chance.uniform(1, 60))
            recover(air, home)
            wait_joined(board, SSID)
            faults.append((began - offset - 2, now() - offset + SETTLES_S, fault.__name__))
        until(now() + SETTLES_S)
        board.set_speed(1)
        last = ask(board, "telemetry.get")["seq"]  # the number of the next line
        lines.extend(collector.waiting())
        while lines[-1][0] < last - 1:
            lines.append(collector.line())
    numbers = [seq for seq, _ in lines]
    assert numbers == sorted(set(numbers)), "duplicated, or in wrong order"
    gaps = [(lines[index], lines[index + 1]) for index in range(len(lines) - 1)
            if lines[index + 1][0] != lines[index][0] + 1]  # fmt: skip
    lost = sum(later[0] - earlier[0] - 1 for earlier, later in gaps)
    print(f"{len(faults)} faults, {len(lines)} lines received, {lost} lost in {len(gaps)} gaps")
    for (_, earlier), (_, later) in gaps:
        assert any(began <= later and earlier <= ended for began, ended, _ in faults), (earlier, later, faults)
    assert len(lines) + lost == lines[-1][0] - lines[0][0] + 1


SETTLES_S = 30  # time after a fault for joining, DHCP and the firmware's second check


def network_off(air, home, board):
    home.change(on=False)


def sent_away(air, home, board):
    board.link.hang_up()


def noise(air, home, board):
    air.set_conditions(loss=0.5, delay_ms=50)


def no_dhcp(air, home, board):
    air.lan.dhcp.answers = False
    board.link.hang_up()


FAULTS = (network_off, sent_away, noise, no_dhcp)


def recover(air, home):
    air.lan.dhcp.answers = True
    air.set_conditions(loss=0, delay_ms=0)
    home.change(on=True)
