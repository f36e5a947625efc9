"""What is kept of the log, and what the console shows of it: firmware/log.py."""

from fakes import FakeClock

from firmware.log import Log, describe


def test_the_last_lines_are_kept_and_no_more():
    log = Log(FakeClock(), size=3, console=False)
    for number in range(10):
        log.info("test", number)
    assert [entry["text"] for entry in log.tail(100)] == ["7", "8", "9"]
    assert [entry["text"] for entry in log.tail(2)] == ["8", "9"]


def test_the_console_shows_when_who_and_how_bad(capsys):
    clock = FakeClock()
    log = Log(clock)
    clock.now += 12_000
    log.info("boot", "here")
    log.warning("boot", "odd")
    log.error("boot", "bad")
    assert capsys.readouterr().out == (
        "[    12] boot: here\n[    12] boot: warning: odd\n[    12] boot: error: bad\n"
    )
    assert [entry["level"] for entry in log.tail()] == ["info", "warning", "error"]


def test_an_error_is_told_with_its_kind_and_traceback(capsys):
    log = Log(FakeClock())
    try:
        raise KeyError("key")
    except KeyError as error:
        log.error("service", "start", error)
    assert log.tail()[0]["text"] == "start: KeyError: 'key'"
    assert "Traceback" in capsys.readouterr().err


def test_a_long_text_is_cut():
    log = Log(FakeClock(), console=False)
    log.info("test", "x" * 1000)
    assert log.tail()[0]["text"] == "x" * 160


def test_an_exception_without_words():
    assert describe(OSError()) == "OSError" and describe(ValueError("why")) == "ValueError: why"
