"""The announcement with which boards are found, and when it is needed: firmware/network/announce.py."""

import re
from types import SimpleNamespace

import pytest
from fakes import Bench
from image import until

from firmware.network.announce import Announcer
from firmware.network.bringup import Connection
from firmware.services import own


class Link:
    name = "host"


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    bench.device = "attic"
    bench.safe_reason = None
    bench.methods = SimpleNamespace(offer=lambda *_: None)
    placed = {"control": SimpleNamespace(port=4711)}
    bench.services = SimpleNamespace(get=placed.get, replace=placed.__setitem__)
    yield bench
    bench.pool.StopWaitEvents()


def is_announced(bench):
    return "announce" in [getattr(service, "name", None) for service in own.find(bench)]


def test_a_board_with_visible_telemetry_is_not_announced(bench):
    assert not is_announced(bench)


@pytest.mark.parametrize(
    "key, value",
    [
        ("telemetry.enabled", False),
        ("telemetry.broadcast", False),
        ("telemetry.port", 8089),
        ("telemetry.interval_s", 60),
        ("control.port", 8096),
    ],
)
def test_a_board_that_cannot_be_found_otherwise_is_announced(bench, key, value):
    bench.config.set(key, value)
    assert is_announced(bench)
    bench.config.set("network.announce", 0)
    assert not is_announced(bench)


def test_a_board_in_safe_mode_is_announced(bench):
    bench.safe_reason = "requested"
    assert is_announced(bench)


def test_a_setting_changed_at_run_time_starts_the_announcement(bench):
    own.announce(bench)
    assert not bench.services.get("announce")
    bench.config.set("telemetry.enabled", False)
    own.announce(bench)
    announcer = bench.services.get("announce")
    assert announcer
    own.announce(bench)
    assert bench.services.get("announce") is announcer


def test_it_is_announced_every_5_seconds_while_there_is_a_network(bench, collector):
    bench.config.set("network.announce", collector.getsockname()[1])
    announcer = Announcer()
    announcer.start(bench)
    bench.advance(60)
    announcer.network_up(Connection(Link, ("127.0.0.1", "255.255.255.255", "0.0.0.0")))
    announcer._target = collector.getsockname()
    bench.advance(0.1)
    until(lambda: bench.pool.PollEvents(0) or True)
    assert re.fullmatch(rb"board,device=attic control=4711i,uptime=60i\n", collector.recv(2000))
    bench.advance(5)
    assert collector.recv(2000).startswith(b"board,device=attic control=4711i,uptime=65i")
    announcer.network_down("lost")
    assert not bench.pool.GetAllAsyncSockets() and not bench.waiting
    announcer.stop()
