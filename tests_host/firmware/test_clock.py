"""The uptime: firmware/clock.py."""

from fakes import FakeClock


def test_uptime_continues_when_the_ticks_wrap():
    clock = FakeClock()
    for _ in range(100):
        clock.now += 86_400_000
        clock.uptime()
    assert clock.uptime() == 100 * 86400
    clock.now += 1500
    assert clock.uptime_ms() == 100 * 86_400_000 + 1500
