"""`network` on the UNIX board: the computer's own network, read from /proc/net.

The computer activates its interfaces by itself. `Host` shows them like MicroPython's network interfaces. With the
environment variable BOARD_WIFI the board has simulated Wi-Fi instead (simulated_wifi.py).
"""

import os
import socket
import struct

_ROUTES = "/proc/net/route"
_ADDRESSES = "/proc/net/fib_trie"
_LOOPBACK = ("127.0.0.1", "255.0.0.0")
_ROUTE_IS_UP = 1

_hostname = "micropython"
_country = "XX"


def hostname(name=None):
    """Set the board's host name, or return it."""
    global _hostname
    if name is None:
        return _hostname
    _hostname = name


def country(code=None):
    """Set the two-letter country code, or return it."""
    global _country
    if code is None:
        return _country
    _country = code


def address(host, turn):
    """Return one of the addresses of the name `host`. With turn 0, return the name itself; the library looks it up."""
    if not turn:
        return host
    try:
        found = socket.getaddrinfo(host, 0, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return None
    packed = found[turn % len(found)][-1]
    return packed[0] if isinstance(packed, tuple) else ".".join(str(byte) for byte in packed[4:8])


def _dotted(number):
    return ".".join(str(byte) for byte in struct.pack("<I", number))


def _number(dotted):
    return struct.unpack("<I", bytes(int(part) for part in dotted.split(".")))[0]


def _lines(path):
    """Return the lines of a file; none if there is no such file."""
    try:
        with open(path) as file:
            return file.read().split("\n")
    except OSError:
        return []


def _routes():
    """Yield (interface, destination, gateway, mask) of each route in use, with numbers in network order."""
    for line in _lines(_ROUTES)[1:]:
        words = line.split()
        if len(words) > 7 and int(words[3], 16) & _ROUTE_IS_UP:
            yield words[0], int(words[1], 16), int(words[2], 16), int(words[7], 16)


def _local_addresses():
    """Return the computer's own IPv4 addresses, without those of the loopback interface."""
    leaf = ""
    for line in _lines(_ADDRESSES):
        line = line.strip()
        if line.startswith("|-- "):
            leaf = line[4:]
        elif line == "/32 host LOCAL" and not leaf.startswith("127."):
            yield leaf


class Host:
    """The interface with the default route, or else the first one with an address, or else the loopback interface."""

    def active(self, *_state):
        """Return True: the firmware does not switch the computer's interfaces on or off."""
        return True

    def isconnected(self):
        """Return True: there is at least the loopback interface."""
        return True

    def _find(self):
        """Return (interface, address, mask, gateway) as text."""
        routes = list(_routes())
        addresses = list(_local_addresses())
        default = [route for route in routes if route[1] == 0 and route[3] == 0]
        preferred = default[0][0] if default else None
        for interface, destination, gateway, mask in sorted(routes, key=lambda route: route[0] != preferred):
            if gateway or not mask:
                continue
            for address in addresses:
                if _number(address) & mask == destination:
                    way_out = default[0][2] if interface == preferred else 0
                    return interface, address, _dotted(mask), _dotted(way_out)
        return "lo", _LOOPBACK[0], _LOOPBACK[1], "0.0.0.0"

    def ipconfig(self, name):
        """Return the value of "addr4" (address and mask) or "gw4"."""
        _, address, mask, gateway = self._find()
        if name == "addr4":
            return address, mask
        if name == "gw4":
            return gateway
        raise ValueError("unknown config param")

    def config(self, name):
        """Return the value of "ifname": the interface's name on the computer."""
        if name == "ifname":
            return self._find()[0]
        raise ValueError("unknown config param")


if os.getenv("BOARD_WIFI"):
    from simulated_wifi import (  # noqa: F401 they belong to this module
        AP_IF,
        STA_IF,
        STAT_CONNECTING,
        STAT_GOT_IP,
        STAT_IDLE,
        STAT_NO_AP_FOUND,
        STAT_WRONG_PASSWORD,
        make,
    )

    WLAN = make(Host())
