"""The set-up by phone on an emulated Pico W, from the phone's join until the board is in the network at home."""

import json
import queue
import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from firmware import VERSION
from tests_device.conftest import KIND, network_missing
from tests_device.device import Device
from tests_device.test_wifi import LIMIT_SEC, ask, wait_joined, wait_until
from tests_host.firmware.image import proof
from tools.emulator.pico_w import KEY, SSID

TO_THE_PAGE_SEC = 15  # time from the phone's join until it has the page
TOKEN = "made by the page"
OWN = "192.168.4.1"
BUTTON = 15
A, AAAA, HTTPS = 1, 28, 65
PROBES = {
    "Android": "connectivitycheck.gstatic.com/generate_204",
    "Android, older": "clients3.google.com/generate_204",
    "Apple": "captive.apple.com/hotspot-detect.html",
    "Windows": "www.msftconnecttest.com/connecttest.txt",
    "Windows, older": "www.msftncsi.com/ncsi.txt",
    "Firefox": "detectportal.firefox.com/canonical.html",
    "GNOME": "nmcheck.gnome.org/check_network_status.txt",
}

pytestmark = pytest.mark.skipif(KIND != "PICO_W", reason="needs an emulated Pico W: make test-device BOARD=PICO_W")


@pytest.fixture
def new(networked, new_board):
    """A new board, without settings."""
    return new_board(3, network=False)


@pytest.fixture
def phone(new, air):
    from tools.emulator.phone import Phone

    assert not network_missing
    phone = Phone(air)
    yield phone
    phone.close()


def access_point(board):
    """Return the name of the board's own network as soon as it is open."""
    wait_until(lambda: board.link.radio.beacon, "no access point")
    return board.link.radio.beacon["ssid"]


def join(phone, name):
    """Join a network and get an address there."""
    wait_until(lambda: phone.join(name), "the network is gone")
    phone.lease(LIMIT_SEC)


def look_up(server, name, kind):
    """Return the name server's answer: (error code, addresses)."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(
            struct.pack(">6H", 77, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1), (server, 53)
        )
        answer = client.recv(1000)
    number, flags, _, count, _, _ = struct.unpack_from(">6H", answer)
    assert number == 77
    return flags & 15, [socket.inet_ntoa(answer[-4:])] if count else []


class Redirects(urllib.request.HTTPRedirectHandler):
    """Raises an exception instead of following a redirect."""

    def redirect_request(self, *_arguments):
        return None


def get(host, path):
    """Return (status, headers, body) of a page of `host`. The board's name server gives its address."""
    _, (address,) = look_up(OWN, host, A) if host != OWN else (0, [OWN])
    return fetch(urllib.request.Request(f"http://{address}{path}", headers={"Host": host}))


def fetch(request):
    """Send a request and return the same as `get`. This repeats the request until the server is there."""
    opener = urllib.request.build_opener(Redirects, urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + LIMIT_SEC
    while True:
        try:
            with opener.open(request, timeout=LIMIT_SEC) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except urllib.error.URLError:
            assert time.monotonic() < deadline, "no web server"
            time.sleep(0.2)


def rpc(method, session=None, **params):
    """Call a method, and return its answer."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    headers = {"Content-Type": "application/json", "X-Board": "1"}
    if session:
        headers["X-Session"] = session
    return json.loads(fetch(urllib.request.Request(f"http://{OWN}/rpc", body, headers))[2])


def test_from_the_phones_join_to_a_board_at_home(new, air, phone, tmp_path):
    name = access_point(new)
    joined_at = time.monotonic()
    join(phone, name)
    assert (phone.router, phone.name_server) == (OWN, OWN)
    status, headers, _ = get("captive.apple.com", "/hotspot-detect.html")
    assert (status, headers["Location"]) == (302, f"http://{OWN}/")
    status, _, page = get(OWN, "/")
    took_s = time.monotonic() - joined_at
    assert status == 200 and page[:2] == b"\x1f\x8b"
    print(f"from the join to the page: {took_s:.1f} s")
    assert took_s <= TO_THE_PAGE_SEC

    assert look_up(OWN, "example.com", AAAA) == look_up(OWN, "example.com", HTTPS) == (0, [])
    for host_and_path in PROBES.values():
        host, path = host_and_path.split("/", 1)
        status, headers, _ = get(host, "/" + path)
        assert (status, headers["Location"], headers["Cache-Control"]) == (302, f"http://{OWN}/", "no-store"), host

    told = rpc("setup.status")["result"]
    assert (told["claimed"], told["allowed"], told["portal"]) == (False, True, True)
    assert {"ssid": SSID, "rssi": -50, "open": False} in told["networks"]

    refused = rpc("setup.save", ssid=SSID, password="short", token=TOKEN)["error"]["message"]
    assert refused.startswith("wifi.networks.0.password: the value")
    assert rpc("setup.save", ssid=SSID, password="not the key", name="kitchen", token=TOKEN)["result"] is True
    wait_until(lambda: not new.link.radio.beacon, "it does not restart")
    phone.leave()

    # The network refuses the board: the access point opens again and gives the reason. The board has an owner now.
    assert access_point(new) == "kitchen"
    join(phone, "kitchen")
    told = rpc("setup.status")["result"]
    assert told["reason"] == f"wifi '{SSID}': wrong password"
    assert (told["claimed"], told["allowed"]) == (True, False)
    assert "has a token" in rpc("setup.save", ssid=SSID, password=KEY)["error"]["message"]
    challenge = rpc("auth.challenge")["result"]
    session = challenge["session"]
    assert rpc("auth.login", session, response=proof(TOKEN, "login", challenge))["result"] is True
    # This check has the deepest call stack, and a chip's stack is short.
    wrong = rpc("config.set", session, key="sensors.adc", value=[{"name": "soil", "pin": 300}])["error"]["message"]
    assert wrong.startswith("sensors.adc.0.pin: 300 is not"), wrong
    assert rpc("setup.save", session, ssid=SSID, password=KEY)["result"] is True
    phone.leave()
    wait_joined(new, SSID)
    wait_until(lambda: not new.link.radio.beacon, "its own network is still there")
    assert device_name(new) == "kitchen"


def test_a_browser_on_the_phone_is_redirected_to_the_page(new, phone, tmp_path):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed")
    name = access_point(new)
    joined_at = time.monotonic()
    join(phone, name)
    (tmp_path / "resolv.conf").write_text(f"nameserver {phone.name_server}\n")
    options = "--headless --no-sandbox --disable-dev-shm-usage --disable-gpu --dump-dom --timeout=20000"
    options += f" --user-data-dir={tmp_path}/data"
    browse = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec {chromium} {options}"
    command = ["unshare", "-m", "sh", "-c", f"{browse} http://{PROBES['Android']}"]
    browser = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SEC, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    )
    print(f"from the join to the end of the browser: {time.monotonic() - joined_at:.1f} s", browser.stderr[-1000:])
    assert "<noscript>" in browser.stdout and "/events" in browser.stdout, browser.stdout[:300]


def test_the_page_is_found_by_dns_sd(board, networked, device):
    """Zeroconf finds the page, like any program that looks for web servers."""
    zeroconf = pytest.importorskip("zeroconf")
    device.soft_reset()
    device.close()
    board.reset()
    found = queue.Queue()

    def changed(zeroconf, service_type, name, state_change):
        found.put(name)

    with zeroconf.Zeroconf(interfaces=[board.local_address], ip_version=zeroconf.IPVersion.V4Only) as zero:
        browser = zeroconf.ServiceBrowser(zero, "_http._tcp.local.", handlers=[changed])
        try:
            name = found.get(timeout=LIMIT_SEC)
        except queue.Empty:
            pytest.fail("no web server is found")
        service = zero.get_service_info("_http._tcp.local.", name, timeout=LIMIT_SEC * 1000)
        browser.cancel()
    assert name == f"{device_name(board)}._http._tcp.local."
    assert service.port == 80 and board.address in service.parsed_addresses()
    told = {key.decode(): value.decode() for key, value in service.properties.items()}
    assert told == {"path": "/", "kind": "PICO_W", "version": VERSION}


def device_name(board):
    """Return the board's name."""
    return ask(board, "info")["device"]


def test_a_button_makes_the_board_new(new, phone):
    """The button is held for as long as docs/setup.md says, on a board that has an owner."""
    settings = {"boot": {"unclaim_button": BUTTON}, "control": {"token": TOKEN}, "device": {"name": "kitchen"}}
    device = Device(new.port)
    device.soft_reset()
    device.write_file("/config.json", json.dumps(settings).encode())
    device.close()
    new.reset()
    wait_until(lambda: new.link.radio.beacon and new.link.radio.beacon["ssid"] == "kitchen", "no access point")
    join(phone, "kitchen")
    assert rpc("setup.status")["result"]["claimed"] is True
    new.press_button(BUTTON)
    wait_until(lambda: not new.link.radio.beacon, "it does not restart")
    new.release_button(BUTTON)
    phone.leave()
    assert access_point(new) == "kitchen"
    join(phone, "kitchen")
    told = rpc("setup.status")["result"]
    assert (told["claimed"], told["allowed"]) == (False, True)
