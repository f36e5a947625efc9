"""The time from the network: firmware/ntp.py."""

import socket
import struct
import time
from types import SimpleNamespace

import pytest
from fakes import Bench

from firmware.ntp import NetworkTime, moment, parse, request
from XAsyncSockets import XAsyncSocketsPool

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


LOOKUP_S = 7  # what lwIP waits for a name server that is silent


def test_a_silent_name_server_does_not_hold_up_the_board_again_and_again(tmp_path, monkeypatch):
    """Where only the system looks names up, each stops everything for seconds: there has to be time between them."""
    bench = Bench(tmp_path)
    lookups = []
    getaddrinfo = socket.getaddrinfo

    def look_up(host, *rest):
        if host != "pool.ntp.org":
            return getaddrinfo(host, *rest)
        lookups.append(bench.clock.uptime())
        bench.clock.now += LOOKUP_S * 1000
        raise socket.gaierror(-2, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    pool = XAsyncSocketsPool()
    service = NetworkTime()
    names = SimpleNamespace(address=lambda host: host)
    service.start(SimpleNamespace(pool=pool, timers=bench.timers, config=bench.config, board=bench.board, names=names))
    service.network_up(None)
    for _ in range(1200):
        bench.advance(0.5)
        pool.PollEvents(0)
    service.stop()
    pool.StopWaitEvents()
    pauses = [later - earlier - LOOKUP_S for earlier, later in zip(lookups, lookups[1:])]
    assert len(lookups) >= 3 and min(pauses) >= 55, pauses
    assert pauses == sorted(pauses)
