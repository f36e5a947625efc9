"""The boards' network for users without special rights: passt (passt.top) turns frames into sockets.

Each board has its own passt, and a loopback address of this computer that ends like the board's own address:
the board 10.65.0.11 answers at 127.65.0.11. A board's UDP broadcasts come from there, too, to 127.0.0.1. A
board reaches this computer at the first address of its network.
"""

import ipaddress
import shutil
import socket
import subprocess
import sys
import tempfile

from .dhcp import ETHERTYPE_IP, datagram
from .network import NoRights

PROGRAM = "passt"
LOOPBACK = ipaddress.IPv4Network("127.65.0.0/24")
ETHERTYPE_ARP = b"\x08\x06"
LENGTH = 4


class Passt:
    """An uplink of a Lan (lan.py). `ports` are the boards' TCP ports for clients on this computer."""

    def __init__(self, ports):
        self._program = shutil.which(PROGRAM)
        if not self._program:
            raise NoRights("passt is missing: apt-get install passt (it runs without special rights)")
        self._ports = ports
        self._guests = {}  # port of the LAN: Guest
        self._lan = None

    def start(self, lan):
        self._lan = lan

    def send(self, frame, port):
        guest = self._guests.get(port)
        if not guest or not guest.is_for(frame):
            address = self._lan.dhcp.address(frame[6:12])
            guest = self._guests[port] = self._replace(guest, frame[6:12], address, port)
        if frame[12:14] == ETHERTYPE_ARP and self._lan.owns(frame[38:42]):
            return  # the frame asks for another board; passt would answer it, too
        if frame[0] & 1 and frame[12:14] == ETHERTYPE_IP:
            guest.broadcast(frame)
        else:
            guest.send(frame)

    def _replace(self, guest, mac, address, port):
        if guest:
            guest.close()
        return Guest(self._program, self._lan, mac, address, self._ports)

    def close(self):
        for guest in self._guests.values():
            guest.close()


class Guest:
    """One board's passt."""

    def __init__(self, program, lan, mac, address, ports):
        self._lan = lan
        self._mac = mac
        self._address = address
        self._rest = b""
        self._stream, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()
        local = loopback(address)
        command = [program, "--foreground", "--quiet", "--fd", str(theirs.fileno()), "--no-dhcp", "--ipv4-only"]
        command += ["--address", str(address), "--netmask", str(lan.network.netmask)]
        command += ["--gateway", lan.host_address, "--mac-addr", f"02:00:00:00:11:{address.packed[-1]:02x}"]
        if not has_default_route():
            command += ["--interface", "lo"]  # passt requires one
        for port in ports:
            command += ["--tcp-ports", f"{local}/{port}"]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self._errors, start_new_session=True,  # Ctrl-C must not reach it; we end it
        )  # fmt: skip
        theirs.close()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((local, 0))
        lan.loop.watch(self._stream, self._read)

    def is_for(self, frame):
        return frame[6:12] == self._mac and self._lan.dhcp.address(self._mac) == self._address

    def send(self, frame):
        try:
            self._stream.sendall(len(frame).to_bytes(LENGTH, "big") + frame)
        except OSError:
            pass  # passt has ended, so the board has no network

    def broadcast(self, frame):
        """Pass a broadcast datagram to the listeners on this computer."""
        port, content = datagram(frame)
        if port is None or frame[0] != 0xFF:
            return
        try:
            self._socket.sendto(content, ("127.0.0.1", port))
        except OSError:
            pass  # no listener

    def close(self):
        self._lan.loop.forget(self._stream)
        self._stream.close()
        self._socket.close()
        self._process.terminate()
        self._process.wait()
        self._errors.close()

    def _ended(self):
        """Handle the end of passt, which ends if it cannot work. Its output is the only explanation."""
        self._lan.loop.forget(self._stream)
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        print(f"{PROGRAM} has ended, so the board {self._address} cannot be reached: {said}", file=sys.stderr)

    def _read(self):
        try:
            data = self._stream.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._ended()
            return
        self._rest += data
        while len(self._rest) >= LENGTH:
            end = LENGTH + int.from_bytes(self._rest[:LENGTH], "big")
            if len(self._rest) < end:
                return
            self._lan.receive(self._rest[LENGTH:end], None)
            self._rest = self._rest[end:]


def has_default_route():
    """Return whether this computer has a default route."""
    with open("/proc/net/route") as routes:
        return any(line.split()[1] == "00000000" for line in list(routes)[1:])


def loopback(address):
    """Return the address at which this computer reaches a board."""
    return str(LOOPBACK[ipaddress.IPv4Address(address).packed[-1]])
