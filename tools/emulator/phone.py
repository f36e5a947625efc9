"""A phone in the air: an Ethernet interface of this computer that joins the network of an emulated board.

    phone = Phone(air)
    phone.join("pico-w-000001")
    phone.lease(10)             # by DHCP; then phone.address, phone.router, phone.name_server
    phone.leave()

Its traffic goes through this computer's own network stack, so any program can use it, such as curl or a browser.
"""

import fcntl
import os
import socket
import struct
import time

from .air import ASSOCIATED, FRAME, LEFT
from .dhcp import (
    ACK,
    CLIENT_PORT,
    COOKIE,
    DISCOVER,
    KIND,
    OFFER,
    OPTIONS,
    REQUEST,
    REQUESTED,
    ROUTER,
    SERVER,
    SERVER_PORT,
    options_of,
)
from .network import IFF_TAP, SIOCSIFADDR, SIOCSIFNETMASK, _address, _configure, _open_interface

SIOCGIFHWADDR = 0x8927
NAME_SERVER, PARAMETERS = 6, 55
REPEAT_SEC = 1


class Phone:
    """One phone. In an Air it looks like a board's radio."""

    beacon = None
    stream = None

    def __init__(self, air, name="phone"):
        self.name = name
        self.bssid = None
        self.address = self.router = self.name_server = None
        self._air = air
        self._fd = _open_interface(name, IFF_TAP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            answer = fcntl.ioctl(control, SIOCGIFHWADDR, struct.pack("40s", name.encode()))
        self.mac = answer[18:24]
        air.lan.loop.watch(self._fd, self._read)
        air.lan.loop.call(lambda: air.radios.append(self))

    def join(self, ssid):
        """Join a board's open network. Return False if there is no network of that name."""
        for radio in list(self._air.radios):
            if radio.beacon and radio.beacon["ssid"] == ssid:
                self.bssid = radio.beacon["bssid"]
                self._air.lan.loop.call(lambda: self._air.route(self, ASSOCIATED, self.bssid, self.mac))
                return True
        return False

    def leave(self):
        """Leave the network."""
        bssid, self.bssid = self.bssid, None
        if bssid:
            self._air.lan.loop.call(lambda: self._air.route(self, LEFT, bssid, self.mac))

    def lease(self, timeout):
        """Get an address by DHCP (RFC 2131). Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.name.encode())
            client.bind(("", CLIENT_PORT))
            client.settimeout(REPEAT_SEC)
            offered, terms = self._ask(client, deadline, DISCOVER, OFFER)
            wanted = ((REQUESTED, offered), (SERVER, terms[SERVER]))
            address, terms = self._ask(client, deadline, REQUEST, ACK, *wanted)
        self.address, self.router = socket.inet_ntoa(address), socket.inet_ntoa(terms[ROUTER])
        self.name_server = socket.inet_ntoa(terms[NAME_SERVER]) if NAME_SERVER in terms else None
        netmask = _address("255.255.255.0")
        _configure(self.name, (SIOCSIFADDR, _address(self.address)), (SIOCSIFNETMASK, netmask))

    def _ask(self, client, deadline, kind, expected, *more):
        transaction = os.urandom(4)
        message = struct.pack(">BBBB4sHH", 1, 1, 6, 0, transaction, 0, 0x8000) + bytes(16) + self.mac.ljust(16, b"\0")
        message += bytes(192) + COOKIE + bytes((KIND, 1, kind))
        for name, value in ((PARAMETERS, bytes((ROUTER, NAME_SERVER))), *more):
            message += bytes((name, len(value))) + value
        while time.monotonic() < deadline:
            client.sendto(message + b"\xff", ("255.255.255.255", SERVER_PORT))
            try:
                answer = client.recv(2000)
            except TimeoutError:
                continue
            terms = dict(options_of(answer[OPTIONS:]))
            if answer[4:8] == transaction and terms.get(KIND) == bytes((expected,)):
                return answer[16:20], terms
        raise TimeoutError("no DHCP server answers")

    def close(self):
        """Leave the air, and remove the interface."""
        self.leave()
        self._air.lan.loop.call(self._close)

    def _close(self):
        self._air.radios.remove(self)
        self._air.lan.loop.forget(self._fd)
        os.close(self._fd)

    # --- as a board's radio

    def command(self, *_command, **_values):
        """Do nothing: the phone does not scan for networks itself."""

    def send(self, kind, _bssid, payload):
        """Take a frame from the board."""
        if kind == FRAME:
            try:
                os.write(self._fd, payload)
            except OSError:
                pass  # the computer does not accept the frame, so it is lost, as on a radio

    def _read(self):
        try:
            frame = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        if self.bssid:
            self._air.route(self, FRAME, self.bssid, frame)
