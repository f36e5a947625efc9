"""A DHCP server (RFC 2131) for the boards of a virtual network, on Ethernet frames.

The last byte of a board's MAC address determines its IP address, unless `fixed` sets another.
"""

import ipaddress
import struct

SERVER_MAC = b"\x02\x00\x00\x00\x00\x43"
ETHERTYPE_IP = b"\x08\x00"
UDP = 17
SERVER_PORT, CLIENT_PORT = 67, 68
COOKIE = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
MASK, ROUTER, REQUESTED, LEASE, KIND, SERVER = 1, 3, 50, 51, 53, 54
SHORTEST = 14 + 20 + 8  # headers of Ethernet, IP, UDP
FIRST_HOST = 10
OPTIONS = 240  # their offsets


class DhcpServer:
    """Answers requests. `network` is an ipaddress.IPv4Network; its first address is the computer's."""

    def __init__(self, network, lease_sec=3600):
        self.network = network
        self.lease_sec = lease_sec
        self.answers = True  # False: the server is silent
        self.fixed = {}  # MAC address: another IP address
        self.leases = {}  # MAC address: IP address in use
        self.requests = 0  # received, also while silent

    def address(self, mac):
        """Return the IP address for a board with this MAC address."""
        return self.fixed.get(mac) or self.network[FIRST_HOST + mac[-1]]

    def answer(self, frame):
        """Return the answer to this frame, None if there is none, or False if the frame is not for a DHCP server."""
        port, message = datagram(frame)
        if port != SERVER_PORT or len(message) < OPTIONS:
            return False
        self.requests += 1
        return self._answer(message) if self.answers else None

    def _answer(self, message):
        transaction, mac = message[4:8], message[28:34]
        options = dict(options_of(message[OPTIONS:]))
        kind = options.get(KIND, b"\0")[:1]
        kind = kind[0] if kind else 0
        if kind not in (DISCOVER, REQUEST):
            return None
        address = self.address(mac)
        wanted = options.get(REQUESTED) or message[12:16]  # a renewal has it in the header
        if kind == REQUEST and wanted != address.packed:
            return self._frame(mac, transaction, bytes(4), NAK, ())
        if kind == REQUEST:
            self.leases[mac] = address
        terms = (
            (LEASE, struct.pack(">I", self.lease_sec)),
            (MASK, self.network.netmask.packed),
            (ROUTER, self.network[1].packed),
        )
        return self._frame(mac, transaction, address.packed, OFFER if kind == DISCOVER else ACK, terms)

    def _frame(self, mac, transaction, address, kind, terms):
        server = self.network[1].packed
        options = ((KIND, bytes((kind,))), (SERVER, server), *terms)
        message = struct.pack(">BBBB4sHH", 2, 1, 6, 0, transaction, 0, 0x8000)
        message += bytes(4) + address + server + bytes(4)
        message += mac.ljust(16, b"\0") + bytes(192) + COOKIE
        message += b"".join(bytes((name, len(value))) + value for name, value in options) + b"\xff"
        packet = struct.pack(">HHHH", SERVER_PORT, CLIENT_PORT, 8 + len(message), 0) + message
        return mac + SERVER_MAC + ETHERTYPE_IP + _ip_header(server, len(packet)) + packet


def datagram(frame):
    """Return (destination port, content) of a UDP datagram in a frame, or (None, b"")."""
    if len(frame) < SHORTEST or frame[12:14] != ETHERTYPE_IP or frame[23] != UDP:
        return None, b""
    header = 14 + (frame[14] & 0x0F) * 4
    if len(frame) < header + 8:
        return None, b""
    _, port, length = struct.unpack_from(">HHH", frame, header)
    return port, frame[header + 8 : header + length]


def options_of(data):
    while len(data) >= 2 and data[0] != 0xFF:
        if data[0] == 0:  # padding
            data = data[1:]
            continue
        yield data[0], data[2 : 2 + data[1]]
        data = data[2 + data[1] :]


def _ip_header(source, length):
    everybody = ipaddress.IPv4Address("255.255.255.255").packed
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, UDP, 0, source, everybody)
    total = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + header[12:]
