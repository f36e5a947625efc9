"""The log on another machine: Debian's rsyslogd parses every line correctly. firmware/services/syslog.py"""

import os
import re
import shutil
import socket
import subprocess
from types import SimpleNamespace

import pytest
from fakes import Bench
from free_ports import free_port
from image import PATIENCE_S, until

from firmware.services.syslog import Syslog

RSYSLOGD = shutil.which("rsyslogd", path=os.environ["PATH"] + ":/usr/sbin")
CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="2k")
module(load="imudp")
template(name="parts" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%hostname%|%app-name%|%procid%|%msgid%|%structured-data%|%msg%\\n")
ruleset(name="boards") {{ action(type="omfile" file="{folder}/log" template="parts") }}
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="boards")
"""  # noqa: E501


class Server:
    """An rsyslogd with its own folder and port."""

    def __init__(self, folder):
        self.port = free_port()
        self._log = folder / "log"
        configuration = folder / "rsyslog.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=self.port))
        command = [RSYSLOGD, "-n", "-i", str(folder / "pid"), "-f", str(configuration)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.send(b"<13>1 - test test - - - ready") or self.lines())

    def send(self, datagram):
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram, ("127.0.0.1", self.port))

    def lines(self):
        text = self._log.read_text() if self._log.exists() else ""
        return [line.split("|", 7) for line in text.splitlines()]

    def stop(self):
        self._process.kill()
        self._process.wait(PATIENCE_S)


@pytest.fixture
def server(tmp_path_factory):
    if not RSYSLOGD:
        pytest.skip("no rsyslogd")
    server = Server(tmp_path_factory.mktemp("rsyslog"))
    yield server
    server.stop()


def test_rsyslog_parses_every_line(board, server):
    board.configure(device={"name": "attic"}, log={"syslog": f"127.0.0.1:{server.port}"})
    board.start()
    with board.client() as client:
        client.login("not the token")
        expected = [line for line in client.result("log.tail", count=100)]

    def found():
        return [line for line in server.lines() if line[2] == "attic"]

    until(lambda: len(found()) >= len(expected))
    severities = {"info": "info", "warning": "warning", "error": "err"}
    for line, entry in zip(found(), expected):
        assert line[:6] == ["local0", severities[entry["level"]], "attic", "firmware", "-", entry["source"]]
        assert line[7].strip() == entry["text"]
    assert "warning" in {line[1] for line in found()}
    facts = [re.fullmatch(r'\[meta sequenceId="(\d+)" sysUpTime="(\d+)"\]', line[6]).groups() for line in found()]
    assert [int(number) for number, _ in facts] == list(range(1, len(facts) + 1))
    assert [int(uptime) for _, uptime in facts[: len(expected)]] == [100 * entry["uptime"] for entry in expected]


@pytest.fixture
def receiver():
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        yield receiver


@pytest.fixture
def service(tmp_path, receiver):
    bench = Bench(tmp_path)
    bench.config.set("log.syslog", f"syslog.invalid:{receiver.getsockname()[1]}")
    bench.device = "attic"
    bench.known = "127.0.0.1"
    bench.names = SimpleNamespace(address=lambda host: bench.known if host == "syslog.invalid" else None)
    service = Syslog()
    service.bench = bench
    service.start(bench)
    yield service
    service.stop()
    bench.pool.StopWaitEvents()


def received(receiver, bench):
    """Return the texts of all lines that have arrived."""
    texts = []
    while True:
        bench.pool.PollEvents()
        try:
            texts.append(receiver.recv(2000).decode().split("] ", 1)[1])
        except TimeoutError:
            return texts


def test_lines_from_before_the_network_are_sent_when_it_comes_up(service, receiver):
    bench = service.bench
    bench.log.info("boot", "first")
    service.tick()
    service.network_up(None)
    bench.known = None
    service.tick()  # the name is still being looked up
    bench.log.info("boot", "second")
    assert received(receiver, bench) == []
    bench.known = "127.0.0.1"
    service.tick()
    bench.log.error("boot", "third")
    service.tick()
    assert received(receiver, bench) == ["first", "second", "third"]


def test_lines_logged_without_a_network_are_sent_later(service, receiver):
    bench = service.bench
    service.network_up(None)
    service.tick()
    bench.log.info("boot", "before")
    bench.advance(5)
    bench.log.info("network", "down: link lost")
    service.network_down("link lost")
    bench.advance(5)
    bench.log.info("network", "up again")
    service.network_up(None)
    service.tick()
    assert received(receiver, bench) == ["before", "down: link lost", "down: link lost", "up again"]


def test_after_a_long_time_without_a_network_the_last_lines_are_sent(service, receiver):
    bench = service.bench
    for number in range(40):
        bench.log.info("boot", number)
    service.network_up(None)
    service.tick()
    assert received(receiver, bench) == [str(number) for number in range(28, 40)]


def test_a_source_is_written_in_the_allowed_characters(service, receiver):
    service.network_up(None)
    service.tick()
    service.bench.log.info("my sensör" + "x" * 40, "größer\n] \"x\"")
    service.bench.pool.PollEvents()
    line = receiver.recv(2000).decode()
    assert line == (
        '<134>1 - attic firmware - my_sens_r' + "x" * 23 + ' [meta sequenceId="1" sysUpTime="0"] größer?] "x"'
    )


def test_a_line_that_cannot_be_sent_does_no_harm(service, receiver):
    service.network_up(None)
    service.tick()
    service.bench.names.address = lambda host: 1 / 0
    service.bench.log.info("boot", "first")
    service.bench.names.address = lambda host: "127.0.0.1"
    service.tick()
    assert received(receiver, service.bench) == ["first"]
