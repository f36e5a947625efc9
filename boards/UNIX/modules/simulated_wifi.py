"""Wi-Fi that the UNIX board only simulates, so that the set-up by phone can be tried and tested without a radio.

BOARD_WIFI='{"home": "correct horse", "cafe": ""}' names the networks in reach and their passwords. The board's own
access point is the loopback interface: a client at 127.0.0.1 is in it. A board that has joined a network
is in the computer's.
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
_STRONGEST = -42  # dBm, of the first; each further one is weaker
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
        """It is always on."""
        return True

    def config(self, **_options):
        """What is configured makes no difference."""

    def scan(self):
        """The networks in reach, as other ports tell them."""
        found = []
        for index, (ssid, password) in enumerate(sorted(_NETWORKS.items())):
            security = _WPA2 if password else 0
            found.append((ssid.encode(), bytes(6), 1, _STRONGEST - index * _STEP, security, False))
        return found

    def connect(self, ssid, key=None, **_options):
        """Join, or fail with one of the constants."""
        if ssid not in _NETWORKS:
            self._state = STAT_NO_AP_FOUND
        elif (key or "") != _NETWORKS[ssid]:
            self._state = STAT_WRONG_PASSWORD
        else:
            self._state = STAT_GOT_IP

    def disconnect(self):
        """Leave."""
        self._state = STAT_IDLE

    def isconnected(self):
        """True in a network."""
        return self._state == STAT_GOT_IP

    def status(self, what=None):
        """The state, or "rssi"."""
        return _STRONGEST if what == "rssi" else self._state

    def ipconfig(self, name=None, **_settings):
        """The computer's addresses."""
        return self._host.ipconfig(name) if name else None


class _AccessPoint:
    """The board's own network. Nobody stays in it, so that the board goes on to try others."""

    def __init__(self):
        self._options = {}

    def active(self, *_state):
        """The loopback interface is always there."""
        return True

    def config(self, **options):
        """Keep the settings."""
        self._options = options

    def status(self, _what):
        """No stations."""
        return []

    def ipconfig(self, name):
        """The addresses of the loopback interface."""
        return "127.0.0.1" if name == "gw4" else ("127.0.0.1", "255.0.0.0")


def make(host):
    """The function `WLAN` of a module `network`; `host` is the computer's network."""
    interfaces = (_Station(host), _AccessPoint())
    return lambda interface: interfaces[interface]
