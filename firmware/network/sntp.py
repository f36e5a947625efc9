"""Asks a server for the time by SNTP (RFC 4330), and sets the board's clock. Loaded until that is done."""

import os
import struct
import sys
import time

from firmware import const
from XAsyncSockets import XAsyncUDPDatagram, XTimer

_PORT = const(123)
_FIRST_RETRY_S = const(5)
_RETRY_AFTER_LOOKUP_S = const(60)  # after a look-up by the system, which may have blocked everything for seconds
_LONGEST_NAME_S = const(60)
_LONGEST_RETRY_S = const(3600)

_REQUEST = const(0x23)  # version 4, mode client
_MODE_SERVER = const(4)
_LEAP_UNKNOWN = const(3)  # the server's clock is not set
_SECONDS_1900_TO_1970 = const(2208988800)
_SECONDS_1970_TO_2000 = const(946684800)

# The image's date, such as "2026-11-27": a clock with an earlier date is wrong.
IMAGE_DATE = sys.version.rsplit(" on ", 1)[-1][:10] if " on " in sys.version else ""


class Query:
    """Asks the configured server until it answers. Then it sets the clock and calls `done()`."""

    _socket = None
    _retry_s = _FIRST_RETRY_S
    _name_s = 0.5  # pause before the server's address is requested again; it doubles each time

    def __init__(self, app, done):
        self._app = app
        self._done = done
        self._mark = b""
        self._host, _, self._port = app.config["network"]["ntp"].partition(":")
        self._timer = XTimer(app.pool, self._ask)
        self._ask()

    def close(self):
        """Stop asking."""
        self._timer.Cancel()
        if self._socket:
            self._socket.Close()
            self._socket = None

    def _ask(self, _=None):
        self.close()
        address = self._app.names.address(self._host)
        if not address:
            self._timer.Restart(self._name_s)
            self._name_s = min(2 * self._name_s, _LONGEST_NAME_S)
            return
        self._name_s = 0.5
        self._mark = os.urandom(8)
        self._socket = XAsyncUDPDatagram.Create(self._app.pool, ("0.0.0.0", 0), recvbufLen=128)
        self._socket.OnRecv = self._on_answer
        self._socket.OnFailsToSend = self._on_unsent
        self._socket.AsyncSendDatagram(request(self._mark), (address, int(self._port or _PORT)))
        self._wait_longer()

    def _wait_longer(self):
        self._timer.Restart(self._retry_s)
        self._retry_s = min(self._retry_s * 2, _LONGEST_RETRY_S)

    def _on_unsent(self, *_):
        self._retry_s = max(self._retry_s, _RETRY_AFTER_LOOKUP_S)
        self._wait_longer()

    def _on_answer(self, _socket, _address, datagram):
        seconds = parse(datagram, self._mark)
        if seconds is None:
            return
        self._app.board.set_time(moment(seconds))
        self._app.log.info("time", stamp(seconds) + " UTC")
        self._done()
        self._app.forget_name(self._host)


def request(mark):
    """Return a request with `mark` (8 bytes), which the answer has to repeat, so that no other answer is accepted."""
    return bytes((_REQUEST,)) + bytes(39) + mark


def parse(datagram, mark):
    """Return the seconds since 1970 from an answer to the request with `mark`; None for other datagrams."""
    if len(datagram) < 48 or datagram[0] & 7 != _MODE_SERVER or bytes(datagram[24:32]) != mark:
        return None
    if datagram[0] >> 6 == _LEAP_UNKNOWN:
        return None
    stratum = datagram[1]
    seconds = struct.unpack(">I", bytes(datagram[40:44]))[0]
    if not 0 < stratum < 16 or not seconds:
        return None  # the server does not know the time
    if seconds < 0x80000000:
        seconds += 1 << 32  # the era that begins in 2036
    seconds -= _SECONDS_1900_TO_1970
    return seconds if stamp(seconds) >= IMAGE_DATE else None


def _gmtime(seconds):
    if time.gmtime(0)[0] == 2000:
        seconds -= _SECONDS_1970_TO_2000
    return time.gmtime(seconds)


def moment(seconds):
    """Return seconds since 1970 as (year, month, day, weekday, hour, minute, second, 0), for machine.RTC."""
    year, month, day, hour, minute, second, weekday = _gmtime(seconds)[:7]
    return year, month, day, weekday, hour, minute, second, 0


def stamp(seconds):
    """Return seconds since 1970 as text: "2026-09-21 14:13:20"."""
    return "{}-{:02}-{:02} {:02}:{:02}:{:02}".format(*_gmtime(seconds)[:6])
