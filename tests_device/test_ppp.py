"""The computer's end of the PPP link, without a board."""

import struct

import pytest

from tools.emulator import ppp
from tools.emulator.ppp import Deframer, PppPeer, frame

OURS, THEIRS = "10.64.1.1", "10.64.1.2"
LCP, IPCP = struct.pack(">H", ppp.LCP), struct.pack(">H", ppp.IPCP)


class Line:
    """A peer. The test is at the other end of the serial line."""

    def __init__(self):
        self.written = []
        self.packets = []
        self.changes = []
        self.peer = PppPeer(self.written.append, self.packets.append, self.changes.append, OURS, THEIRS)

    def send(self, protocol, code, data=b"", identifier=1, now=0.0):
        content = struct.pack(">BBH", code, identifier, 4 + len(data)) + data
        self.peer.receive(frame(b"\xff\x03" + protocol + content), now)

    def received(self):
        """Return the peer's packets since the last call: [(protocol, code, identifier, data)]."""
        contents = list(Deframer().feed(b"".join(self.written)))
        self.written.clear()
        messages = []
        for content in contents:
            content = content[2:] if content.startswith(b"\xff\x03") else content
            code, identifier, length = struct.unpack(">BBH", content[2:6])
            messages.append((content[:2], code, identifier, content[6 : 2 + length]))
        return messages

    def accept(self, protocol):
        """Accept the options that the peer wants, as a board does."""
        for wanted, code, identifier, data in self.received():
            if (wanted, code) == (protocol, ppp.CONFIGURE_REQUEST):
                self.send(protocol, ppp.CONFIGURE_ACK, data, identifier)
                return True
        return False

    def bring_up(self):
        self.send(LCP, ppp.CONFIGURE_REQUEST, b"\x02\x06\0\0\0\0")
        assert self.accept(LCP)
        self.send(IPCP, ppp.CONFIGURE_REQUEST, b"\x03\x06" + bytes((10, 64, 1, 2)))
        assert self.accept(IPCP)


@pytest.mark.parametrize("escape_map", [0, 0xFFFFFFFF])
def test_every_byte_goes_through_a_frame_wherever_it_is_cut(escape_map):
    content = bytes(range(256)) + b"\x7d\x7e\x7d\x7e"
    framed = frame(content, escape_map)
    for cut in range(len(framed)):
        deframer = Deframer()
        assert [*deframer.feed(framed[:cut]), *deframer.feed(framed[cut:])] == [content]


def test_a_damaged_frame_is_counted_and_dropped():
    deframer = Deframer()
    damaged = bytearray(frame(b"\xff\x03\x00\x21payload"))
    damaged[8] ^= 1
    assert list(deframer.feed(bytes(damaged) + frame(b"good"))) == [b"good"]
    assert deframer.damaged == 1


def test_the_link_comes_up_and_carries_packets():
    line = Line()
    line.bring_up()
    assert line.peer.is_up and line.changes == [True]
    line.peer.receive(frame(b"\xff\x03\x00\x21packet"), 0.0)
    assert line.packets == [b"packet"]
    line.peer.send_packet(b"answer")
    assert list(Deframer().feed(b"".join(line.written))) == [b"\xff\x03\x00\x21answer"]


def test_nothing_is_sent_before_the_board_starts_the_link():
    line = Line()
    line.peer.tick(100.0)
    assert not line.written


def test_the_board_gets_its_address():
    line = Line()
    line.send(LCP, ppp.CONFIGURE_REQUEST)
    line.accept(LCP)
    line.received()
    line.send(IPCP, ppp.CONFIGURE_REQUEST, b"\x03\x06\0\0\0\0")
    assert (IPCP, ppp.CONFIGURE_NAK, 1, b"\x03\x06" + bytes((10, 64, 1, 2))) in line.received()


def test_a_missing_name_server_is_refused():
    line = Line()
    line.send(LCP, ppp.CONFIGURE_REQUEST)
    line.accept(LCP)
    line.received()
    line.send(IPCP, ppp.CONFIGURE_REQUEST, b"\x81\x06\0\0\0\0")
    assert (IPCP, ppp.CONFIGURE_REJECT, 1, b"\x81\x06\0\0\0\0") in line.received()


def test_a_lost_request_is_sent_again():
    line = Line()
    line.send(LCP, ppp.CONFIGURE_REQUEST)
    assert [code for _, code, _, _ in line.received()].count(ppp.CONFIGURE_REQUEST) == 1
    line.peer.tick(1.0)
    assert not line.received()
    line.peer.tick(ppp.RESTART_SEC)
    assert [code for _, code, _, _ in line.received()] == [ppp.CONFIGURE_REQUEST]


def test_a_restarted_board_takes_the_link_down_and_up():
    line = Line()
    line.bring_up()
    line.bring_up()
    assert line.changes == [True, False, True]


def test_hanging_up_is_reported():
    line = Line()
    line.bring_up()
    line.received()
    line.peer.terminate()
    assert [code for _, code, _, _ in line.received()] == [ppp.TERMINATE_REQUEST]
    assert line.changes == [True, False]
