"""The time from the network: SNTP (RFC 4330), one datagram there and one back, once up and then once a day."""

import os
import struct
import sys
import time

from firmware import const
from XAsyncSockets import XAsyncUDPDatagram, XTimer

_PORT = const(123)
_REQUEST = const(0x23)  # version 4, mode client
_MODE_SERVER = const(4)
_LEAP_UNKNOWN = const(3)  # the server's clock is not set
_SECONDS_1900_TO_1970 = const(2208988800)
_SECONDS_1970_TO_2000 = const(946684800)
_FIRST_RETRY_S = const(5)
_RETRY_AFTER_LOOKUP_S = const(60)  # by the system, that failed: it may have held up everything else for seconds
_NAME_S = 0.5  # until it is asked again whether the server's address is known by now; twice as long each time
_LONGEST_NAME_S = const(60)
_LONGEST_RETRY_S = const(3600)
_AGAIN_S = const(86400)


# The image's own date, "2026-11-27": no clock is right that is before it.
IMAGE_DATE = sys.version.rsplit(" on ", 1)[-1][:10] if " on " in sys.version else ""


def request(mark):
    """A request that its answer has to repeat `mark` (8 bytes) of: nobody else's answer is taken."""
    return bytes((_REQUEST,)) + bytes(39) + mark


def parse(datagram, mark):
    """Seconds since 1970 in an answer to the request with `mark`; None if it is none."""
    if len(datagram) < 48 or datagram[0] & 7 != _MODE_SERVER or bytes(datagram[24:32]) != mark:
        return None
    if datagram[0] >> 6 == _LEAP_UNKNOWN:
        return None
    stratum = datagram[1]
    seconds = struct.unpack(">I", bytes(datagram[40:44]))[0]
    if not 0 < stratum < 16 or not seconds:
        return None  # a server that has no time itself
    if seconds < 0x80000000:
        seconds += 1 << 32  # the era that begins in 2036
    seconds -= _SECONDS_1900_TO_1970
    return seconds if stamp(seconds) >= IMAGE_DATE else None


def _gmtime(seconds):
    if time.gmtime(0)[0] == 2000:
        seconds -= _SECONDS_1970_TO_2000
    return time.gmtime(seconds)


def moment(seconds):
    """(year, month, day, weekday, hour, minute, second, 0) of a second since 1970, as machine.RTC takes it."""
    year, month, day, hour, minute, second, weekday = _gmtime(seconds)[:7]
    return year, month, day, weekday, hour, minute, second, 0


def stamp(seconds):
    """The same as text: "2026-09-21 14:13:20"."""
    return "{}-{:02}-{:02} {:02}:{:02}:{:02}".format(*_gmtime(seconds)[:6])


class NetworkTime:
    """The service that sets the board's clock."""

    name = "time"

    def __init__(self):
        self._app = None
        self._timer = None
        self._socket = None
        self._mark = b""
        self._retry_s = _FIRST_RETRY_S
        self._name_s = _NAME_S
        self.set_at = None  # uptime

    def start(self, app):
        """Wait for the network."""
        self._app = app
        self._timer = XTimer(app.pool, self._ask)

    def stop(self):
        """End it."""
        self._timer.Cancel()
        self._close()

    def network_up(self, _connection):
        """Ask, unless the board's clock is right without, or the configuration names no server."""
        if self._app.config["network"]["ntp"] and not self._app.board.keeps_time:
            self._retry_s = _FIRST_RETRY_S
            self._name_s = _NAME_S
            self._timer.Restart(0)

    def network_down(self, _reason):
        """Ask no more until it is back."""
        self._timer.Cancel()
        self._close()

    def _close(self):
        if self._socket:
            self._socket.Close()
            self._socket = None

    def _ask(self, _):
        self._close()
        host, _, port = self._app.config["network"]["ntp"].partition(":")
        address = self._app.names.address(host)
        if not address:
            self._timer.Restart(self._name_s)
            self._name_s = min(2 * self._name_s, _LONGEST_NAME_S)
            return
        self._name_s = _NAME_S
        self._mark = os.urandom(8)
        self._socket = XAsyncUDPDatagram.Create(self._app.pool, ("0.0.0.0", 0), recvbufLen=128)
        self._socket.OnRecv = self._on_answer
        self._socket.OnFailsToSend = self._on_unsent
        self._socket.AsyncSendDatagram(request(self._mark), (address, int(port or _PORT)))
        self._wait_longer()

    def _wait_longer(self):
        self._timer.Restart(self._retry_s)
        self._retry_s = min(self._retry_s * 2, _LONGEST_RETRY_S)

    def _on_unsent(self, _socket, _datagram, _target):
        self._retry_s = max(self._retry_s, _RETRY_AFTER_LOOKUP_S)
        self._wait_longer()

    def _on_answer(self, _socket, _address, datagram):
        seconds = parse(datagram, self._mark)
        if seconds is None:
            return
        self._app.board.set_time(moment(seconds))
        self.set_at = self._app.clock.uptime()
        self._app.log.info("time", stamp(seconds) + " UTC")
        self._close()
        self._retry_s = _FIRST_RETRY_S
        self._timer.Restart(_AGAIN_S)
