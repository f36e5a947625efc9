"""The computer's side of the virtual Wi-Fi: addresses, delivery of frames, the console's commands."""

import socket
import struct
import time

import pytest

from tools.emulator.air import ASSOCIATED, FRAME, LEFT, Air, AirError
from tools.emulator.console import HELP, CommandError, Console
from tools.emulator.dhcp import ACK, DISCOVER, NAK, OFFER, REQUEST
from tools.emulator.lan import Lan
from tools.emulator.passt import Passt, loopback

EVERYBODY = b"\xff" * 6
LIMIT_SEC = 20


def mac(number):
    return bytes((0x28, 0xCD, 0xC1, 0, 0, number))


def dhcp_frame(sender, kind, wanted=None):
    """Return a packet that a board sends to get an address."""
    options = bytes((53, 1, kind)) + (bytes((50, 4)) + wanted if wanted else b"") + b"\xff"
    message = bytes((1, 1, 6, 0)) + b"\1\2\3\4" + bytes(20) + sender.ljust(16, b"\0") + bytes(192)
    message += b"\x63\x82\x53\x63" + options
    datagram = struct.pack(">HHHH", 68, 67, 8 + len(message), 0) + message
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    return EVERYBODY + sender + b"\x08\x00" + header + datagram


def dhcp_answer(frame):
    """Return (kind, the address in it)."""
    message = frame[14 + 20 + 8 :]
    return message[242], socket.inet_ntoa(message[16:20])


class Board:
    """A board's antenna, controlled by a test."""

    def __init__(self, air, number):
        self.mac = mac(number)
        self.number = number
        self.address = f"10.65.0.{10 + number}"
        self.told = {}
        self.was_reset = False
        self.stream, theirs = socket.socketpair()
        self.stream.settimeout(LIMIT_SEC)
        self.radio = air.attach(theirs, self.tell)

    def tell(self, name, **values):
        self.told[name] = values

    def heard(self):
        return [one["ssid"] for one in self.told["air"]["accessPoints"]]

    def send(self, kind, bssid, payload):
        head = struct.pack(">IB", 7 + len(payload), kind) + bytes.fromhex(bssid.replace(":", ""))
        self.stream.sendall(head + payload)

    def receive(self):
        """Return (kind, payload)."""
        length = int.from_bytes(self._read(4), "big")
        message = self._read(length)
        return message[0], message[7:]

    def _read(self, count):
        data = b""
        while len(data) < count:
            data += self.stream.recv(count - len(data))
        return data

    def wifi(self):
        return {"ssid": "home", "bssid": "02:00:00:00:10:01", "access_point": None, "stations": []}

    def reset(self):
        self.was_reset = True


@pytest.fixture
def air():
    lan = Lan()
    air = Air(lan)
    yield air
    for radio in air.radios:
        radio.stream.close()
    lan.close()


@pytest.fixture
def home(air):
    return air.add("home", "correct horse")


def test_an_address_is_offered_confirmed_and_kept(air):
    dhcp = air.lan.dhcp
    offer = dhcp.answer(dhcp_frame(mac(7), DISCOVER))
    assert offer[:6] == mac(7) and dhcp_answer(offer) == (OFFER, "10.65.0.17")
    wanted = socket.inet_aton("10.65.0.17")
    assert dhcp_answer(dhcp.answer(dhcp_frame(mac(7), REQUEST, wanted))) == (ACK, "10.65.0.17")
    assert air.lan.owns(wanted)


def test_a_changed_address_is_refused_to_its_old_owner(air):
    dhcp = air.lan.dhcp
    dhcp.fixed[mac(7)] = air.lan.network[99]
    assert dhcp_answer(dhcp.answer(dhcp_frame(mac(7), REQUEST, socket.inet_aton("10.65.0.17"))))[0] == NAK
    assert dhcp_answer(dhcp.answer(dhcp_frame(mac(7), DISCOVER))) == (OFFER, "10.65.0.99")


def test_a_silent_dhcp_server_counts_requests_and_does_not_answer(air):
    air.lan.dhcp.answers = False
    assert air.lan.dhcp.answer(dhcp_frame(mac(7), DISCOVER)) is None and air.lan.dhcp.requests == 1


@pytest.mark.parametrize("frame", [
    b"", bytes(13), EVERYBODY + mac(1) + b"\x08\x00", *(dhcp_frame(mac(1), DISCOVER)[:end] for end in (60, 283)),
], ids=len)  # fmt: skip
def test_a_truncated_frame_is_ignored(air, home, frame):
    assert not air.lan.dhcp.answer(frame)
    board = Board(air, 1)
    board.send(FRAME, home.bssid, frame)
    board.send(FRAME, home.bssid, dhcp_frame(board.mac, DISCOVER))
    assert dhcp_answer(board.receive()[1])[0] == OFFER, "the network still works"


def test_boards_of_one_lan_reach_each_other(air, home):
    one, other = Board(air, 1), Board(air, 2)
    for board in (one, other):
        board.send(ASSOCIATED, home.bssid, board.mac)
        board.send(FRAME, home.bssid, dhcp_frame(board.mac, DISCOVER))
        assert board.receive()[0] == FRAME
    to_other = other.mac + one.mac + b"\x08\x00to you"
    to_all = EVERYBODY + one.mac + b"\x08\x00to all"
    one.send(FRAME, home.bssid, to_other)
    one.send(FRAME, home.bssid, to_all)
    assert [other.receive()[1] for _ in range(2)] == [to_other, to_all]


def test_a_board_sees_access_points_and_other_boards_networks(air, home):
    one, other = Board(air, 1), Board(air, 2)
    assert one.heard() == ["home"]
    home.change(on=False)
    assert one.heard() == []
    one.radio.beacon = {"ssid": "of one", "bssid": one.mac.hex(":"), "key": "", "security": "open", "rssi": -40}
    air.publish()
    assert (one.heard(), other.heard()) == ([], ["of one"])


def test_frames_in_a_boards_own_network_reach_that_board_and_back(air):
    one, other, third = Board(air, 1), Board(air, 2), Board(air, 3)
    bssid = one.mac.hex(":")
    one.radio.beacon = {"ssid": "of one", "bssid": bssid, "key": "", "security": "open", "rssi": -40}
    other.send(ASSOCIATED, bssid, other.mac)
    assert one.receive() == (ASSOCIATED, other.mac)
    hello = one.mac + other.mac + b"\x08\x00hello"
    other.send(FRAME, bssid, hello)
    assert one.receive() == (FRAME, hello)
    back = other.mac + one.mac + b"\x08\x00back"
    one.send(FRAME, bssid, back)
    assert other.receive() == (FRAME, back)
    other.send(LEFT, bssid, other.mac)
    assert one.receive() == (LEFT, other.mac)
    third.stream.settimeout(0.1)
    with pytest.raises(OSError):
        third.receive()


def test_a_board_that_is_switched_off_sends_nothing(air):
    one, other = Board(air, 1), Board(air, 2)
    one.radio.beacon = {"ssid": "of one", "bssid": one.mac.hex(":"), "key": "", "security": "open", "rssi": -40}
    air.publish()
    gone = other.told.pop("air")
    assert gone["accessPoints"]
    one.stream.close()
    air.lan.loop.call(lambda: None)
    for _ in range(500):
        if other.told.get("air", {}).get("accessPoints") == []:
            break
        other.stream.settimeout(0.01)
        with pytest.raises(OSError):
            other.receive()
    assert other.heard() == []


@pytest.mark.parametrize("security, key", [("open", "a key"), ("wpa2", ""), ("wep", "abcde")])
def test_an_impossible_network_is_refused(air, security, key):
    with pytest.raises(AirError):
        air.add("odd", key, security)


@pytest.fixture
def console(air, home):
    return Console(air, {1: Board(air, 1)})


def test_the_console_changes_the_air(air, home, console):
    for line, check in (
        ("wifi off home", lambda: not home.on),
        ("wifi on home", lambda: home.on),
        ("wifi key home another horse", lambda: home.key == "another horse"),
        ("wifi rssi home -80", lambda: home.rssi == -80),
        ("wifi add my office", lambda: air.of("my")[0].key == "office"),
        ("loss 25", lambda: air.conditions["loss"] == 0.25),
        ("delay 40", lambda: air.conditions["delay"] == 40),
        ("dhcp off", lambda: not air.lan.dhcp.answers),
        ("dhcp on", lambda: air.lan.dhcp.answers),
    ):
        assert console.execute(line) == "done"
        assert check(), line


def test_the_console_lists_boards_and_networks(console):
    assert "home" in console.execute("wifi list") and "1 boards" in console.execute("wifi list")
    assert "10.65.0.11" in console.execute("boards") and "in 'home'" in console.execute("boards")
    assert console.execute("help") == HELP
    assert console.execute("") == "" and console.execute("quit") is None


@pytest.mark.parametrize("line, says", [
    ("wifi off nowhere", "There is no network 'nowhere'; there are: home."),
    ("wifi rssi home loud", "'loud' is not a whole number from -100 to 0"),
    ("loss 200", "'200' is not a whole number from 0 to 100"),
    ("loss", "arguments are wrong"),
    ("reset 9", "There is no board 9"),
    ("fly", "There is no command 'fly'"),
])  # fmt: skip
def test_the_console_reports_wrong_commands(console, line, says):
    with pytest.raises(CommandError, match=says.replace("(", "\\(")):
        console.execute(line)


def test_the_console_disconnects_and_resets_boards(air, console):
    board = console._boards[1]
    console.execute("wifi deauth")
    assert board.told["deauthenticate"] == {"reason": 3}
    console.execute("reset 1")
    assert board.was_reset


def test_the_error_of_a_failing_passt_is_reported(air, home, tmp_path, monkeypatch, capsys):
    program = tmp_path / "passt"
    program.write_text("#!/bin/sh\necho no way out >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    air.lan.connect(Passt([8095]))
    board = Board(air, 1)
    board.send(FRAME, home.bssid, EVERYBODY + board.mac + b"\x08\x06" + bytes(28))
    said = ""
    deadline = time.monotonic() + LIMIT_SEC
    while "no way out" not in said:
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
        said += capsys.readouterr().err
    assert "the board 10.65.0.11 cannot be reached" in said


def test_without_rights_a_board_has_a_loopback_address():
    assert loopback("10.65.0.11") == "127.65.0.11"
