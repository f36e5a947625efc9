"""The clock is set from the network: firmware/network/ntp.py."""

import re
import select
import socket
import struct
import subprocess
import time
from types import SimpleNamespace

import pytest
from fakes import Bench
from image import IMAGE, until

from firmware.network.ntp import NetworkTime
from firmware.network.sntp import IMAGE_DATE, moment, parse, request

MARK = b"12345678"


def server_answer(seconds_since_1900, mark=MARK, first=0x24, stratum=2):
    return bytes((first, stratum)) + bytes(22) + mark + bytes(8) + struct.pack(">II", seconds_since_1900, 0)


def test_a_request_is_48_bytes_of_version_4_from_a_client():
    assert len(request(MARK)) == 48 and request(MARK)[0] == 0x23 and request(MARK)[40:] == MARK


def test_the_time_in_an_answer():
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
        server_answer(3_900_000_000, first=0xE4),  # leap indicator 3: the server's clock is not set
        server_answer(3_900_000_000)[:47],
        b"",
    ],
)
def test_invalid_answers_are_ignored(datagram):
    assert parse(datagram, MARK) is None


def test_a_time_before_the_images_date_is_ignored(monkeypatch):
    now = 1_790_000_000
    answer = server_answer(now + 2208988800)
    for date, found in (("2026-09-21", now), ("2026-09-22", None), ("", now)):
        monkeypatch.setitem(parse.__globals__, "IMAGE_DATE", date)  # the module may have been imported again
        assert parse(answer, MARK) == found


def test_the_image_s_date_is_the_interpreter_s():
    """This holds on MicroPython. CPython has no such date."""
    program = "from firmware.network.sntp import IMAGE_DATE; print(IMAGE_DATE)"
    done = subprocess.run([IMAGE, "-c", program], capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d\n", done.stdout), done.stdout + done.stderr
    assert IMAGE_DATE == ""


def test_moment_has_the_form_that_the_clock_takes():
    assert moment(1_790_000_000) == (2026, 9, 21, 0, 14, 13, 20, 0)


def test_moment_on_a_port_that_counts_from_2000(monkeypatch):
    gmtime = time.gmtime
    monkeypatch.setattr("firmware.network.sntp.time.gmtime", lambda seconds: gmtime(seconds + 946684800))
    assert moment(1_790_000_000) == (2026, 9, 21, 0, 14, 13, 20, 0)


class Server(Bench):
    """The service, and a time server on this computer. `set` has the times to which the board's clock was set."""

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.set = []
        self.board.set_time = self.set.append
        self.names = SimpleNamespace(address=lambda host: host)
        self.forget_name = lambda host: None
        self.config.set("network.ntp", "127.0.0.1:{}".format(self.socket.getsockname()[1]))
        self.service = NetworkTime()
        self.service.start(self)

    def asked(self, seconds):
        """Let `seconds` pass, and return [(uptime, request, sender)]."""
        found = []
        for _ in range(seconds):
            self.advance(1, 1000)
            self.pool.PollEvents(0)
            while select.select([self.socket], [], [], 0)[0]:
                found.append((self.clock.uptime(), *self.socket.recvfrom(100)))
        return found

    def answer(self, asked, **options):
        _, datagram, sender = asked
        self.socket.sendto(server_answer(1_790_000_000 + 2208988800, **{"mark": datagram[40:48], **options}), sender)
        until(self.pool.PollEvents)

    def close(self):
        self.service.stop()
        self.pool.StopWaitEvents()
        self.socket.close()


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    yield server
    server.close()


def test_the_boards_clock_is_set_every_day(server):
    assert not server.asked(10)
    server.service.network_up(None)
    for _ in range(2):
        (asked,) = server.asked(3)
        server.answer(asked)
        assert server.set.pop() == (2026, 9, 21, 0, 14, 13, 20, 0) and not server.set
        assert server.texts()[-1] == "2026-09-21 14:13:20 UTC"
        assert not server.pool.GetAllAsyncSockets() and not server.asked(100)
        server.advance(86400 - 103, 100_000)
    assert [asked[0] - server.clock.uptime() for asked in server.asked(20)] == [-17, -12, -2]


def test_the_pauses_between_requests_to_a_silent_server_grow(server):
    server.service.network_up(None)
    times = [asked[0] for asked in server.asked(3 * 3600)]
    pauses = [later - earlier for earlier, later in zip(times, times[1:])]
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]
    assert len(server.pool.GetAllAsyncSockets()) == 1
    server.service.network_down("lost")
    assert not server.pool.GetAllAsyncSockets() and not server.asked(4000)
    server.service.network_up(None)
    assert [asked[0] - server.clock.uptime() for asked in server.asked(7)] == [-6, -1]
    server.service.stop()
    assert not server.pool.GetAllAsyncSockets() and not server.waiting


def test_an_answer_from_another_address_is_ignored(server):
    server.service.network_up(None)
    first, second = server.asked(7)
    server.answer(second, mark=first[1][40:48])
    assert not server.set
    server.answer(second)
    assert server.set


def test_the_service_waits_for_the_servers_address(server):
    known = []
    server.names.address = lambda host: known[0] if known else None
    server.service.network_up(None)
    assert not server.asked(5)
    known.append("127.0.0.1")
    assert len(server.asked(4)) == 1


def test_an_unknown_name_is_not_checked_twice_a_second(server):
    looks = []
    server.names.address = looks.append
    server.service.network_up(None)
    server.asked(3600)
    assert len(looks) < 70


@pytest.mark.parametrize("why", ["none is configured", "the clock is right"])
def test_without_a_time_server_no_request_is_sent(server, why):
    if why == "none is configured":
        server.config.set("network.ntp", "")
    else:
        server.board.keeps_time = True
    server.service.network_up(None)
    assert not server.waiting


LOOKUP_S = 7  # lwIP waits this long for a silent name server


def test_a_silent_name_server_does_not_block_the_board_repeatedly(tmp_path, monkeypatch):
    """If only the system looks names up, each look-up blocks everything for seconds, so there have to be pauses."""
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
    pool = bench.pool
    service = NetworkTime()
    names = SimpleNamespace(address=lambda host: host)
    service.start(SimpleNamespace(pool=pool, config=bench.config, board=bench.board, names=names))
    service.network_up(None)
    for _ in range(1200):
        bench.advance(0.5)
        pool.PollEvents(0)
    service.stop()
    pool.StopWaitEvents()
    pauses = [later - earlier - LOOKUP_S for earlier, later in zip(lookups, lookups[1:])]
    assert len(lookups) >= 3 and min(pauses) >= 55, pauses
    assert pauses == sorted(pauses)
