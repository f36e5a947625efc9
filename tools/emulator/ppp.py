"""The other end of a board's PPP link: RFC 1661 (LCP), RFC 1662 (framing), RFC 1332 (IPCP), no authentication.

`PppPeer` converts bytes of the serial line to IP packets and back. It does no input or output itself, so it works with
any line.
"""

import ipaddress
import struct

FLAG, ESCAPE = b"\x7e", b"\x7d"
ADDRESS_AND_CONTROL = b"\xff\x03"
IP, IPCP, LCP = 0x0021, 0x8021, 0xC021
CONFIGURE_REQUEST, CONFIGURE_ACK, CONFIGURE_NAK, CONFIGURE_REJECT = 1, 2, 3, 4
TERMINATE_REQUEST, TERMINATE_ACK, PROTOCOL_REJECT, ECHO_REQUEST, ECHO_REPLY = 5, 6, 8, 9, 10
RESTART_SEC = 3  # RFC 1661, section 4.6


def _fcs_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0x8408 if value & 1 else value >> 1
        table.append(value)
    return table


_FCS = _fcs_table()
_GOOD_FCS = 0xF0B8


def fcs16(data):
    """Return the frame check sequence of `data`, before its final complement (RFC 1662, appendix C)."""
    fcs = 0xFFFF
    for byte in data:
        fcs = (fcs >> 8) ^ _FCS[(fcs ^ byte) & 0xFF]
    return fcs


def frame(data, escape_map=0):
    """Return a frame with `data`, which begins with the address or the protocol field.

    `escape_map` is the peer's asynchronous control character map: one bit for each of the bytes 0 to 31.
    """
    data += struct.pack("<H", fcs16(data) ^ 0xFFFF)
    data = data.replace(ESCAPE, ESCAPE + b"\x5d").replace(FLAG, ESCAPE + b"\x5e")
    for byte in range(32):
        if escape_map >> byte & 1:
            data = data.replace(bytes((byte,)), ESCAPE + bytes((byte ^ 0x20,)))
    return FLAG + data + FLAG


class Deframer:
    """Extracts frames from a stream of bytes."""

    def __init__(self):
        self.damaged = 0
        self._rest = b""

    def feed(self, data):
        """Yield the contents of the frames that `data` completes. Damaged frames are counted and dropped."""
        *frames, self._rest = (self._rest + data).split(FLAG)
        for content in map(self._unescape, filter(None, frames)):
            if len(content) >= 4 and fcs16(content) == _GOOD_FCS:
                yield content[:-2]
            else:
                self.damaged += 1

    @staticmethod
    def _unescape(data):
        first, *parts = data.split(ESCAPE)
        return first + b"".join(bytes((part[0] ^ 0x20,)) + part[1:] for part in parts if part)


def pack_options(options):
    return b"".join(bytes((kind, len(value) + 2)) + value for kind, value in options)


def unpack_options(data):
    options = []
    while len(data) >= 2 and 2 <= data[1] <= len(data):
        options.append((data[0], data[2 : data[1]]))
        data = data[data[1] :]
    return options


class ControlProtocol:
    """The part of the negotiation that LCP and IPCP share. `wanted` are the options that we ask for."""

    def __init__(self, send, wanted):
        self._send_packet = send
        self._wanted = wanted
        self._identifier = 0
        self.reset()

    def reset(self):
        self.ours_accepted = False  # the peer has accepted what we want
        self.theirs = None  # what the peer wants, once we have accepted it
        self._requested_at = None

    @property
    def is_open(self):
        return self.ours_accepted and self.theirs is not None

    def send(self, code, data=b"", identifier=None):
        if identifier is None:
            self._identifier = identifier = (self._identifier + 1) & 0xFF
        self._send_packet(struct.pack(">BBH", code, identifier, 4 + len(data)) + data)

    def request(self, now):
        """Ask for our options, and ask again if the last request was lost."""
        if not self.ours_accepted and (self._requested_at is None or now - self._requested_at >= RESTART_SEC):
            self._requested_at = now
            self.send(CONFIGURE_REQUEST, pack_options(self._wanted))

    def receive(self, packet):
        code, identifier, length = struct.unpack(">BBH", packet[:4])
        data = packet[4:length]
        if code == CONFIGURE_REQUEST:
            self._answer_request(identifier, data)
        elif code == CONFIGURE_ACK:
            self.ours_accepted = True
        elif code in (CONFIGURE_NAK, CONFIGURE_REJECT):
            refused = {kind for kind, _ in unpack_options(data)}
            self._wanted = [option for option in self._wanted if option[0] not in refused]
            self._requested_at = None
        else:
            self.receive_other(code, identifier, data)

    def _answer_request(self, identifier, data):
        options = unpack_options(data)
        rejected = [option for option in options if not self.knows(*option)]
        corrected = [(kind, self.correct(kind, value)) for kind, value in options if self.knows(kind, value)]
        corrected = [option for option in corrected if option not in options]
        if rejected:
            self.send(CONFIGURE_REJECT, pack_options(rejected), identifier)
        elif corrected:
            self.send(CONFIGURE_NAK, pack_options(corrected), identifier)
        else:
            self.send(CONFIGURE_ACK, data, identifier)
            self.theirs = dict(options)

    def knows(self, kind, value):
        """Return whether this option of the peer is allowed."""
        raise NotImplementedError

    def correct(self, kind, value):
        """Return the value that this option of the peer must have."""
        return value

    def receive_other(self, code, identifier, data):
        """Handle a packet that is not about options."""


class Lcp(ControlProtocol):
    """Negotiates the link itself: we ask for no escaped characters, and for short headers."""

    MRU, ESCAPE_MAP, MAGIC, SHORT_PROTOCOL, SHORT_ADDRESS = 1, 2, 5, 7, 8

    def __init__(self, send, on_terminate):
        super().__init__(send, [(self.ESCAPE_MAP, bytes(4)), (self.SHORT_PROTOCOL, b""), (self.SHORT_ADDRESS, b"")])
        self._on_terminate = on_terminate

    def knows(self, kind, value):
        return kind in (self.MRU, self.ESCAPE_MAP, self.MAGIC, self.SHORT_PROTOCOL, self.SHORT_ADDRESS)

    def receive_other(self, code, identifier, data):
        if code == TERMINATE_REQUEST:
            self.send(TERMINATE_ACK, b"", identifier)
            self._on_terminate()
        elif code == ECHO_REQUEST:
            self.send(ECHO_REPLY, bytes(4) + data[4:], identifier)

    def escape_map(self):
        """Return the characters that the peer wants escaped. Until the peer has told us, these are all."""
        return struct.unpack(">I", self.theirs.get(self.ESCAPE_MAP, b"\xff" * 4))[0] if self.theirs else 0xFFFFFFFF

    def header(self, protocol):
        """Return the fields before the payload, as short as both ends have agreed."""
        agreed = self.theirs if self.is_open and protocol != LCP else {}
        address = b"" if self.SHORT_ADDRESS in agreed else ADDRESS_AND_CONTROL
        if self.SHORT_PROTOCOL in agreed and protocol < 0x100:
            return address + bytes((protocol,))
        return address + struct.pack(">H", protocol)


class Ipcp(ControlProtocol):
    """Negotiates the addresses: the peer gets its address, and that of a name server if there is one.

    If there is no name server, none may be offered: a board would block while it waits for the answer.
    """

    ADDRESS, NAME_SERVER = 3, 129

    def __init__(self, send, local, remote, name_server):
        super().__init__(send, [(self.ADDRESS, ipaddress.IPv4Address(local).packed)])
        self._given = {self.ADDRESS: ipaddress.IPv4Address(remote).packed}
        if name_server:
            self._given[self.NAME_SERVER] = ipaddress.IPv4Address(name_server).packed

    def knows(self, kind, value):
        return kind in self._given

    def correct(self, kind, value):
        return self._given[kind]


class PppPeer:
    """One end of a link.

    write(bytes)         is called with bytes for the serial line
    deliver(packet)      is called with each received IP packet
    on_change(is_up)     is called when the link comes up or goes down
    """

    def __init__(self, write, deliver, on_change, local, remote, name_server=None):
        self._write = write
        self._deliver = deliver
        self._on_change = on_change
        self._deframer = Deframer()
        self._now = 0
        self.is_up = False
        self.lcp = Lcp(lambda packet: self._send(LCP, packet), self._peer_left)
        self.ipcp = Ipcp(lambda packet: self._send(IPCP, packet), local, remote, name_server)

    def receive(self, data, now):
        """Handle bytes from the serial line, at the time `now` in seconds."""
        self._now = now
        for content in self._deframer.feed(data):
            self._receive_frame(content)

    def tick(self, now):
        """Repeat unanswered requests. Call this about every second."""
        self._now = now
        if self.lcp.theirs is not None:  # the peer speaks first: a board starts the link when it wants to
            self.lcp.request(now)
        if self.lcp.is_open:
            self.ipcp.request(now)

    def send_packet(self, packet):
        """Send an IP packet to the peer. It is lost if the link is not up."""
        if self.is_up:
            self._send(IP, packet)

    def terminate(self):
        """Hang up, and tell the peer."""
        if self.lcp.theirs is not None:
            self.lcp.send(TERMINATE_REQUEST)
        self._peer_left()

    def lost(self):
        """End the link without a message, because the line is gone."""
        self._peer_left()

    def _send(self, protocol, payload):
        escape_map = 0xFFFFFFFF if protocol == LCP else self.lcp.escape_map()
        self._write(frame(self.lcp.header(protocol) + payload, escape_map))

    def _receive_frame(self, content):
        if content.startswith(ADDRESS_AND_CONTROL):
            content = content[2:]
        length = 1 if content[0] & 1 else 2
        protocol, payload = int.from_bytes(content[:length], "big"), content[length:]
        if protocol == IP:
            if self.is_up:
                self._deliver(payload)
        elif protocol == LCP:
            self._receive_lcp(payload)
        elif protocol == IPCP:
            self.ipcp.receive(payload)
        elif self.lcp.is_open:
            self.lcp.send(PROTOCOL_REJECT, struct.pack(">H", protocol) + payload)
        self._negotiate()

    def _receive_lcp(self, payload):
        if payload[:1] == bytes((CONFIGURE_REQUEST,)) and self.lcp.theirs is not None:
            self._peer_left()  # the peer has restarted without telling us
        self.lcp.receive(payload)

    def _negotiate(self):
        self.tick(self._now)
        is_up = self.lcp.is_open and self.ipcp.is_open
        if is_up != self.is_up:
            self.is_up = is_up
            self._on_change(is_up)

    def _peer_left(self):
        self.lcp.reset()
        self.ipcp.reset()
        if self.is_up:
            self.is_up = False
            self._on_change(False)
