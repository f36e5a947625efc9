"""The watch over the gateway finds a dead link that the radio reports as up: firmware/network/watch.py."""

import socket

import pytest
from fakes import Bench
from image import until

from firmware.network.bringup import Connection
from firmware.network.watch import LinkWatch


class FakeLink:
    name = "wifi 'home'"


class FakeBringup:
    def __init__(self):
        self.can_restart = True
        self.restarts = []

    def restart(self, reason):
        self.restarts.append(reason)


class Gateway:
    """A gateway that can be silent."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(20)

    def question(self):
        return self.socket.recvfrom(100)

    def answer(self, question, start=None):
        data, address = question
        self.socket.sendto((start or data[:2]) + b"\x81\x85" + data[4:], address)


@pytest.fixture
def gateway():
    gateway = Gateway()
    yield gateway
    gateway.socket.close()


@pytest.fixture
def bench(tmp_path, gateway):
    bench = Bench(tmp_path)
    bench.bringup = FakeBringup()
    bench.watch = LinkWatch()
    bench.watch.port = gateway.socket.getsockname()[1]
    bench.watch.start(bench)
    bench.connection = Connection(FakeLink(), ("127.0.0.1", "255.0.0.0", "127.0.0.1"))
    yield bench
    bench.watch.stop()
    bench.pool.StopWaitEvents()


def next_question(bench, gateway):
    """Let half a minute pass, and return the board's next probe."""
    bench.advance(30)
    bench.pool.PollEvents(0)
    return gateway.question()


def give_answer(bench, gateway, question):
    gateway.answer(question)
    until(bench.pool.PollEvents)


def test_the_probe_is_a_dns_query(bench, gateway):
    bench.watch.network_up(bench.connection)
    data, _ = next_question(bench, gateway)
    assert LinkWatch.port == 53
    assert len(data) == 17 and data[2:] == bytes.fromhex("0100 0001 0000 0000 0000 00 0002 0001")


def test_a_silent_gateway_restarts_the_link(bench, gateway):
    bench.watch.network_up(bench.connection)
    for _ in range(5):
        give_answer(bench, gateway, next_question(bench, gateway))
    assert not bench.bringup.restarts
    for _ in range(2):
        next_question(bench, gateway)
    bench.advance(20)
    assert not bench.bringup.restarts
    bench.advance(30)
    assert bench.bringup.restarts == ["the gateway 127.0.0.1 no longer answers"]


def test_a_single_answer_is_enough(bench, gateway):
    bench.watch.network_up(bench.connection)
    for _ in range(4):
        give_answer(bench, gateway, next_question(bench, gateway))
        next_question(bench, gateway)
        give_answer(bench, gateway, next_question(bench, gateway))
    assert not bench.bringup.restarts


def test_a_gateway_that_never_answered_restarts_nothing(bench, gateway):
    bench.watch.network_up(bench.connection)
    bench.advance(600)
    assert not bench.bringup.restarts and not bench.waiting and not bench.pool.GetAllAsyncSockets()
    assert bench.texts() == ["the gateway 127.0.0.1 answers no questions: the link is not watched"]


def test_on_another_network_the_watch_starts_again(bench, gateway):
    bench.watch.network_up(bench.connection)
    give_answer(bench, gateway, next_question(bench, gateway))
    for _ in range(2):
        next_question(bench, gateway)
    bench.watch.network_down("lost")
    assert not bench.pool.GetAllAsyncSockets()
    bench.watch.network_up(bench.connection)
    bench.advance(75)
    assert bench.waiting, "three unanswered questions are needed, not one"
    bench.advance(600)
    assert not bench.bringup.restarts and not bench.waiting


def test_stop_ends_it(bench):
    bench.watch.network_up(bench.connection)
    bench.watch.stop()
    assert not bench.waiting and not bench.pool.GetAllAsyncSockets()


@pytest.mark.parametrize("why", ["off", "cannot restart", "no gateway"])
def test_no_probe_is_sent_if_it_would_not_help(bench, why):
    if why == "off":
        bench.config.set("network.probe_s", 0)
    elif why == "cannot restart":
        bench.bringup.can_restart = False
    else:
        bench.connection.gateway = "0.0.0.0"
    bench.watch.network_up(bench.connection)
    assert not bench.waiting
