"""Simulated Wi-Fi of the UNIX board, so that the set-up by phone can be tried and tested without a radio.

BOARD_WIFI='{"home": "correct horse", "cafe": ""}' lists the networks in reach and their passwords. The board's own
access point is the loopback interface: clients from 127.0.0.1 are in its network. After the board has joined a network,
it is in the computer's network.
"""

import os
import sys

from firmware.jsontext import loads

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202

_EXAMPLE = '{"home": "correct horse", "cafe": ""}'
_STRONGEST = -42  # dBm of the first network; each further one is weaker
_STEP = 7
_WPA2 = 3


def _networks(text):
    """The networks in reach, {name: password}. The firmware ends with an error if the text holds something else."""
    try:
        found = loads(text)
        if isinstance(found, dict) and all(isinstance(password, str) for password in found.values()):
            return found
    except ValueError:
        pass
    print(
        f"BOARD_WIFI: {text!r} is not a JSON object of networks and passwords, for example {_EXAMPLE}", file=sys.stderr
    )
    raise SystemExit(2)


_NETWORKS = _networks(os.getenv("BOARD_WIFI") or "{}")


class _Station:
    """A station; joining takes no time."""

    def __init__(self, host):
        self._host = host
        self._state = STAT_IDLE

    def active(self, *_state):
        """Return True: the station is always on."""
        return True

    def config(self, **_options):
        """Ignore the settings."""

    def scan(self):
        """Return the networks in reach, in the form of other ports."""
        found = []
        for index, (ssid, password) in enumerate(sorted(_NETWORKS.items())):
            security = _WPA2 if password else 0
            found.append((ssid.encode(), bytes(6), 1, _STRONGEST - index * _STEP, security, False))
        return found

    def connect(self, ssid, key=None, **_options):
        """Join a network. If that fails, `status` returns one of the constants."""
        if ssid not in _NETWORKS:
            self._state = STAT_NO_AP_FOUND
        elif (key or "") != _NETWORKS[ssid]:
            self._state = STAT_WRONG_PASSWORD
        else:
            self._state = STAT_GOT_IP

    def disconnect(self):
        """Leave the network."""
        self._state = STAT_IDLE

    def isconnected(self):
        """Return whether the board is in a network."""
        return self._state == STAT_GOT_IP

    def status(self, what=None):
        """Return the state, or the signal strength for "rssi"."""
        return _STRONGEST if what == "rssi" else self._state

    def ipconfig(self, name=None, **_settings):
        """Return the computer's addresses."""
        return self._host.ipconfig(name) if name else None


class _AccessPoint:
    """The board's own network. It reports no stations, so the board goes on trying other networks."""

    def __init__(self):
        self._options = {}

    def active(self, *_state):
        """Return True: the loopback interface is always there."""
        return True

    def config(self, **options):
        """Keep the settings."""
        self._options = options

    def status(self, _what):
        """Return no stations."""
        return []

    def ipconfig(self, name):
        """Return the addresses of the loopback interface."""
        return "127.0.0.1" if name == "gw4" else ("127.0.0.1", "255.0.0.0")


def make(host):
    """Return the function `WLAN` of the module `network`; `host` is the computer's network."""
    interfaces = (_Station(host), _AccessPoint())
    return lambda interface: interfaces[interface]
