"""The datagrams of SNTP (RFC 4330), and what a clock makes of them. Loaded for each of them, and gone again."""

import struct
import sys
import time

from firmware import const

_REQUEST = const(0x23)  # version 4, mode client
_MODE_SERVER = const(4)
_LEAP_UNKNOWN = const(3)  # the server's clock is not set
_SECONDS_1900_TO_1970 = const(2208988800)
_SECONDS_1970_TO_2000 = const(946684800)

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
