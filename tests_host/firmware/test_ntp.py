"""The time from the network: firmware/ntp.py."""

import struct
import time

import pytest

from firmware.ntp import moment, parse, request

MARK = b"12345678"


def server_answer(seconds_since_1900, mark=MARK, first=0x24, stratum=2):
    return bytes((first, stratum)) + bytes(22) + mark + bytes(8) + struct.pack(">II", seconds_since_1900, 0)


def test_a_request_is_48_bytes_of_version_4_from_a_client():
    assert len(request(MARK)) == 48 and request(MARK)[0] == 0x23 and request(MARK)[40:] == MARK


def test_the_answer_s_time():
    now = 1_790_000_000
    assert parse(server_answer(now + 2208988800), MARK) == now


def test_the_era_after_2036():
    assert parse(server_answer(5), MARK) == (1 << 32) - 2208988800 + 5


@pytest.mark.parametrize(
    "datagram",
    [
        server_answer(3_900_000_000, mark=b"87654321"),
        server_answer(3_900_000_000, first=0x23),
        server_answer(3_900_000_000, stratum=0),
        server_answer(3_900_000_000, stratum=16),
        server_answer(0),
        server_answer(3_900_000_000)[:47],
        b"",
    ],
)
def test_what_is_no_answer_to_the_request(datagram):
    assert parse(datagram, MARK) is None


def test_moment_is_what_the_clock_takes():
    assert moment(1_790_000_000) == (2026, 9, 21, 0, 14, 13, 20, 0)


def test_moment_on_a_port_that_counts_from_2000(monkeypatch):
    gmtime = time.gmtime
    monkeypatch.setattr("firmware.ntp.time.gmtime", lambda seconds: gmtime(seconds + 946684800))
    assert moment(1_790_000_000) == (2026, 9, 21, 0, 14, 13, 20, 0)
