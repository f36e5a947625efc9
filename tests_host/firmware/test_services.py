"""Services on a clock that the test sets: firmware/services/. test_user_files.py tests services in files."""

from types import SimpleNamespace

import pytest
from fakes import Bench

from firmware.services import ServiceSet


class Ticking:
    name = "ticking"
    tick_s = 2

    def __init__(self):
        self.ticks = []
        self.bad = ()

    def tick(self):
        self.ticks.append(len(self.ticks) + 1)
        if self.ticks[-1] in self.bad:
            raise ValueError("tock")


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def run(bench):
    def run(*own):
        services = ServiceSet(bench)
        services.load(own, with_user_files=False)
        services.start()
        return services

    return run


def test_ticks_are_regular_until_the_end(bench, run):
    service = Ticking()
    services = run(service)
    bench.advance(9)
    assert service.ticks == [1, 2, 3, 4]
    services.stop()
    bench.advance(9)
    assert len(service.ticks) == 4 and not bench.waiting


def test_a_tick_that_takes_long_is_reported_with_its_time(bench, run):
    class Slow(Ticking):
        takes_ms = 150

        def tick(self):
            bench.clock.now += self.takes_ms

    service = Slow()
    run(service)
    bench.advance(20)
    assert not bench.texts()
    service.takes_ms = 300
    bench.advance(20)
    assert bench.texts() == ["tick took 300 ms; nothing else could run meanwhile"]
    service.takes_ms = 700
    bench.advance(20)
    entry = bench.log.tail()[-1]
    assert (entry["source"], entry["level"]) == ("ticking", "warning") and "tick took 700 ms" in entry["text"]


@pytest.mark.parametrize("bad, ticks", [(set(range(1, 100)), 10), (set(range(1, 100)) - {9}, 19)])
def test_ten_failures_in_a_row_end_the_ticks(bench, run, bad, ticks):
    service = Ticking()
    service.bad = bad
    services = run(service)
    bench.advance(200)
    assert len(service.ticks) == ticks
    assert bench.texts()[-1] == "10 ticks in a row failed: no more of them"
    assert services.describe() == {"ticking": "tick: ValueError: tock"}


def test_a_service_that_could_not_start_is_only_stopped(bench, run):
    told = []

    def start(app):
        raise OSError(5)

    broken = SimpleNamespace(
        name="broken",
        start=start,
        tick=lambda: told.append("tick"),
        network_up=lambda connection: told.append("up"),
        network_down=lambda reason: told.append("down"),
        stop=lambda: told.append("stop broken"),
    )
    whole = SimpleNamespace(
        name="whole",
        network_up=lambda connection: told.append(connection),
        network_down=told.append,
        stop=lambda: told.append("stop whole"),
    )
    services = run(broken, whole)
    services.network_up("the network")
    services.network_down("lost")
    bench.advance(5)
    services.stop()
    assert told == ["the network", "lost", "stop whole", "stop broken"]
    assert services.get("whole") is whole and services.get("other") is None
