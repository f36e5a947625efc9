"""Time and timers: firmware/clock.py."""

import pytest
from fakes import FakeClock

from firmware.clock import Timers, ticks_add, ticks_diff, ticks_ms


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def errors():
    return []


@pytest.fixture
def timers(clock, errors):
    return Timers(clock, errors.append)


def test_uptime_goes_on_over_the_wrap_of_the_ticks(clock):
    for _ in range(100):
        clock.now += 86_400_000
        clock.uptime()
    assert clock.uptime() == 100 * 86400
    clock.now += 1500
    assert clock.uptime_ms() == 100 * 86_400_000 + 1500


def test_ticks_compare_over_the_wrap():
    start = (1 << 30) - 10
    assert ticks_diff(ticks_add(start, 30), start) == 30
    assert ticks_diff(start, ticks_add(start, 30)) == -30


def test_the_ticks_of_cpython_are_milliseconds_that_wrap(monkeypatch):
    monkeypatch.setattr("firmware.clock._monotonic", lambda: ((1 << 30) + 5000.5) / 1000)
    assert ticks_ms() == 5000


def test_timers_fire_in_order_of_time_and_once(clock, timers):
    fired = []
    for delay in (300, 100, 200):
        timers.timer(lambda delay=delay: fired.append(delay)).start(delay)
    clock.now += 250
    timers.run_due()
    assert fired == [100, 200]
    clock.now += 10_000  # over the wrap
    timers.run_due()
    timers.run_due()
    assert fired == [100, 200, 300]


def test_a_timer_started_by_its_own_callback_leaves_the_loop_to_others(clock, timers):
    calls = []
    timer = timers.timer(lambda: (calls.append(1), timer.start(0)))
    timer.start(0)
    clock.now += 5
    timers.run_due()
    assert len(calls) == 1
    assert timer.running


def test_stop_and_restart(clock, timers):
    calls = []
    timer = timers.timer(lambda: calls.append(clock.now))
    timer.start(100)
    timer.stop()
    timer.stop()
    clock.now += 200
    timers.run_due()
    assert not calls
    timer.start(100)
    timer.start(300)
    clock.now += 200
    timers.run_due()
    assert not calls and timers.wait_ms(1000) == 100


def test_a_callback_that_raises_harms_no_other(clock, timers, errors):
    fired = []
    timers.timer(lambda: 1 / 0).start(1)
    timers.timer(lambda: fired.append(1)).start(2)
    clock.now += 10
    timers.run_due()
    assert fired and isinstance(errors[0], ZeroDivisionError)


def test_wait_is_bounded(clock, timers):
    assert timers.wait_ms(1000) == 1000
    timers.timer(lambda: None).start(400)
    assert timers.wait_ms(1000) == 400
    assert timers.wait_ms(100) == 100
    clock.now += 500
    assert timers.wait_ms(1000) == 0
