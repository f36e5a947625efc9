"""Looking up host names without waiting (firmware/network/names.py), with a name server in this test."""

import random
import socket
import struct

import network as unix_network
import pytest
from fakes import Bench
from image import PATIENCE_S, until

from firmware.network import dns, names
from firmware.network.bringup import Connection

HOST = "time.example.org"
MARK = b"\x12\x34"
POINTER = b"\xc0\x0c"  # a pointer to the question's name
ALIAS = b"\x01a\xc0\x11"  # a.example.org
LIFE_S = 300


def record(address=None, kind=1, family=1, name=POINTER, data=None, life_s=LIFE_S):
    data = socket.inet_aton(address) if address else data
    return name + struct.pack(">HHIH", kind, family, life_s, len(data)) + data


def answer(asked, *records, flags=0x8180):
    return asked[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + asked[12:] + b"".join(records)


ASKED = dns.question(MARK, HOST)


def test_a_query_has_the_form_of_the_specification():
    assert ASKED == MARK + bytes.fromhex("0100 0001 0000 0000 0000") + b"\x04time\x07example\x03org\0\0\x01\0\x01"
    assert dns.question(MARK, HOST + ".") == ASKED


@pytest.mark.parametrize("datagram, found", [
    (answer(ASKED, record("192.0.2.7")), (["192.0.2.7"], LIFE_S)),
    (answer(ASKED, record(data=ALIAS, kind=5), record("192.0.2.8", name=ALIAS)), (["192.0.2.8"], LIFE_S)),
    (answer(ASKED, record("192.0.2.9", family=0x8001)), (["192.0.2.9"], LIFE_S)),
    (answer(ASKED, record("192.0.2.7"), record("192.0.2.8")), (["192.0.2.7", "192.0.2.8"], LIFE_S)),
    (answer(ASKED, record(data=bytes(16), kind=28)), ([], 0)),
    (answer(ASKED, flags=0x8183), ([], 0)),
    (answer(ASKED, record("192.0.2.7"))[:-1], ([], 0)),
    (b"\x43\x21" + answer(ASKED, record("192.0.2.7"))[2:], None),
    (ASKED, None),
    (b"", None),
])  # fmt: skip
def test_answers_are_read(datagram, found):
    assert dns.parse(datagram, MARK) == found


def test_invalid_answers_give_no_address_and_raise_nothing():
    source = random.Random(1)
    whole = answer(ASKED, record("192.0.2.7"), record("192.0.2.8"))
    for _ in range(3000):
        datagram = bytearray(whole[: source.randrange(len(whole) + 1)])
        for _ in range(source.randrange(4)):
            if datagram:
                datagram[source.randrange(len(datagram))] = source.randrange(256)
        found = dns.parse(bytes(datagram), MARK)
        assert found is None or all(address.count(".") == 3 for address in found[0])


class Network:
    """A `network` module that reports its name server."""

    def __init__(self, server):
        self.server = server

    def ipconfig(self, name):
        assert name == "dns"
        return self.server


class Resolver(Bench):
    """The resolver of the board, and a name server on this computer."""

    def __init__(self, folder, monkeypatch):
        super().__init__(folder)
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 0))
        self.server.settimeout(PATIENCE_S)
        monkeypatch.setattr(names, "_PORT", self.server.getsockname()[1])
        self.network = Network("127.0.0.1")
        self.names = names.Names(self.network, self.pool, self.clock, self.log)

    def serve(self, *records, flags=0x8180, sender=None):
        """Answer the query that has arrived, and let the board receive the answer."""
        asked, address = self.server.recvfrom(1000)
        (sender or self.server).sendto(answer(asked, *records, flags=flags), address)
        until(self.pool.PollEvents)
        return asked

    def questions(self):
        """Return the number of queries that have arrived meanwhile."""
        self.server.setblocking(False)
        count = 0
        try:
            while self.server.recv(1000):
                count += 1
        except BlockingIOError:
            self.server.settimeout(PATIENCE_S)
            return count

    def close(self):
        self.names.network_down("over")
        self.pool.StopWaitEvents()
        self.server.close()


class Link:
    name = "wifi 'home'"


def connection(gateway="192.168.4.254"):
    return Connection(Link, ("192.168.4.1", "255.255.255.0", gateway))


@pytest.fixture
def resolver(tmp_path, monkeypatch):
    resolver = Resolver(tmp_path, monkeypatch)
    yield resolver
    resolver.close()


def test_looking_up_a_name_from_the_log_does_not_lengthen_the_pauses(resolver):
    """The log does this if it is sent to a syslog server that is given by name."""
    resolver.names.log.listeners.append(lambda _: resolver.names.address("1.2.3.4.5"))
    resolver.names.address("1.2.3.4.5")
    assert resolver.names._known["1.2.3.4.5"]._pause_s == 120


def test_an_address_is_known_once_the_server_has_answered(resolver):
    assert resolver.names.address(HOST) is None
    resolver.serve(record("192.0.2.7"))
    assert resolver.names.address(HOST) == "192.0.2.7"
    assert not resolver.pool.GetAllAsyncSockets() and not resolver.waiting


def test_the_addresses_of_a_name_are_used_in_turn(resolver):
    resolver.names.address(HOST, 4)
    resolver.serve(record("192.0.2.7"), record(data=ALIAS, kind=5), record("192.0.2.8"), record("192.0.2.9"))
    assert [resolver.names.address(HOST, turn)[-1] for turn in range(5)] == list("78978")


def test_a_numeric_address_needs_no_look_up(resolver):
    assert resolver.names.address("192.0.2.1") == "192.0.2.1"
    assert not resolver.questions()


def test_there_is_only_one_query_for_a_name_at_a_time(resolver):
    for _ in range(5):
        assert resolver.names.address(HOST) is None
    assert resolver.questions() == 1


def test_without_a_network_no_query_is_sent(resolver):
    resolver.names.address(HOST)
    resolver.names.network_down("lost")
    assert not resolver.pool.GetAllAsyncSockets() and not resolver.waiting


def test_a_silent_server_gets_three_queries_and_then_none_for_a_minute(resolver):
    assert resolver.names.address(HOST) is None
    resolver.advance(8)
    assert resolver.questions() == 3
    assert resolver.names.address(HOST) is None and not resolver.questions()
    assert [text for text in resolver.texts() if HOST in text] == [f"{HOST}: 127.0.0.1 does not answer"]
    resolver.advance(60)
    assert resolver.names.address(HOST) is None and resolver.questions() == 1


def ask_for(resolver, seconds):
    """Return the number of queries while the name is needed every second."""
    count = 0
    for _ in range(seconds):
        resolver.names.address(HOST)
        resolver.advance(1, 1000)
        count += resolver.questions()
    return count


def test_a_silent_server_gets_fewer_and_fewer_queries_and_one_log_line(resolver):
    assert 3 * 3 <= ask_for(resolver, 500) <= 3 * 5
    assert ask_for(resolver, 4 * 3600) <= 3 * 17
    assert len([text for text in resolver.texts() if HOST in text]) == 1


def test_after_an_answer_the_next_silence_is_reported_again(resolver, monkeypatch):
    monkeypatch.setattr(names, "_LONGEST_LIFE_S", 60)
    ask_for(resolver, 500)
    while not resolver.names.address(HOST):
        if resolver.questions():
            resolver.names._known[HOST]._ask()
            resolver.serve(record("192.0.2.7"))
        resolver.advance(1, 1000)
    ask_for(resolver, 200)
    assert [entry["times"] for entry in resolver.log.tail(100) if HOST in entry["text"]] == [2]


def test_in_the_boards_own_network_only_multicast_queries_are_sent(resolver, monkeypatch):
    resolver.names.network_up(connection(gateway="192.168.4.1"))
    assert ask_for(resolver, 200) == 0 and not resolver.texts()
    assert not resolver.pool.GetAllAsyncSockets() and not resolver.waiting
    monkeypatch.setattr(names, "_MULTICAST", resolver.server.getsockname())
    resolver.names.address("influx.local")
    assert resolver.questions() == 1
    resolver.names.network_up(connection())
    assert ask_for(resolver, 1)


def test_an_unknown_name_is_remembered_as_unknown(resolver):
    resolver.names.address(HOST)
    resolver.serve(flags=0x8183)
    assert resolver.names.address(HOST) is None and not resolver.questions()
    assert f"{HOST}: unknown" in resolver.texts()


def test_an_address_is_looked_up_again_when_it_expires_and_used_until_then(resolver):
    resolver.names.address(HOST)
    resolver.serve(record("192.0.2.7"))
    resolver.advance(LIFE_S - 1, 1000)
    assert resolver.names.address(HOST) == "192.0.2.7" and not resolver.questions()
    resolver.advance(2)
    assert resolver.names.address(HOST) == "192.0.2.7"
    resolver.serve(record("192.0.2.8"))
    assert resolver.names.address(HOST) == "192.0.2.8"


def test_in_another_network_names_are_looked_up_again(resolver):
    resolver.names.address(HOST)
    resolver.serve(record("192.0.2.7"))
    resolver.names.network_down("lost")
    resolver.names.network_up(connection())
    assert resolver.names.address(HOST) is None
    assert resolver.questions() == 1


def test_an_answer_from_another_sender_is_ignored(resolver):
    resolver.names.address(HOST)
    asked, address = resolver.server.recvfrom(1000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(answer(asked, record("192.0.2.66")), address)
        until(resolver.pool.PollEvents)
    assert resolver.names.address(HOST) is None


def test_a_name_requested_without_a_network_is_looked_up_when_there_is_one(resolver):
    resolver.network.server = "0.0.0.0"
    assert resolver.names.address(HOST) is None
    resolver.network.server = "127.0.0.1"
    resolver.names.network_up(connection())
    assert resolver.names.address(HOST) is None and resolver.questions() == 1


@pytest.mark.parametrize("server", ["0.0.0.0", "", "::"])
def test_without_a_name_server_the_reason_is_given(resolver, server):
    resolver.network.server = server
    assert resolver.names.address(HOST) is None
    assert f"{HOST}: there is no name server" in resolver.texts()


@pytest.mark.parametrize("name", ["10.0.0.256", "10.0.0", "1", "10.0.0.256."])
def test_invalid_numeric_addresses_are_not_looked_up(resolver, name):
    assert resolver.names.address(name) is None and not resolver.questions()
    assert resolver.texts() == [f"{name}: neither a name nor an IPv4 address"]


@pytest.mark.parametrize("name", ["influx.local", "Influx.LOCAL", "influx.local."])
def test_local_names_are_looked_up_by_multicast(resolver, monkeypatch, name):
    monkeypatch.setattr(names, "_MULTICAST", resolver.server.getsockname())
    resolver.network.server = "0.0.0.0"
    assert resolver.names.address(name) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as neighbour:
        neighbour.bind(("127.0.0.2", 0))
        asked = resolver.serve(record("192.0.2.7", family=0x8001), flags=0x8400, sender=neighbour)
    assert b"\x06influx\x05local\0" in asked.lower()
    assert resolver.names.address(name) == "192.0.2.7"


def test_the_system_looks_names_up_if_nothing_else_can(resolver):
    resolver.names.network = unix_network
    assert resolver.names.address(HOST) == HOST
    assert resolver.names.address("localhost", 1) == "127.0.0.1"
    assert resolver.names.address("no.such.name.invalid", 1) is None


def test_the_number_of_remembered_names_is_limited(resolver):
    for number in range(100):
        resolver.names.address(f"host{number}.example.org")
        assert len(resolver.pool.GetAllAsyncSockets()) <= 16
