"""The log and its lines on the console: firmware/log.py."""

from fakes import FakeClock

from firmware.log import Log, describe


def test_the_last_lines_are_kept_and_no_more():
    log = Log(FakeClock(), size=3, console=False)
    for number in range(10):
        log.info("test", number)
    assert [entry["text"] for entry in log.tail(100)] == ["7", "8", "9"]
    assert [entry["text"] for entry in log.tail(2)] == ["8", "9"]


def test_repeated_lines_are_counted():
    clock = FakeClock()
    log = Log(clock, console=False)
    for _ in range(3):
        log.warning("names", "no answer")
        log.warning("sensors", "no answer")
        log.error("names", "no answer")
        clock.now += 1000
    tail = log.tail()
    assert [(entry["source"], entry["level"], entry["times"]) for entry in tail] == [
        ("names", "warning", 3), ("sensors", "warning", 3), ("names", "error", 3)
    ]  # fmt: skip
    assert all(entry["uptime"] == 2 for entry in tail)
    log.info("boot", "once")
    assert "times" not in log.tail()[-1]


def test_lines_caused_by_strangers_replace_only_each_other():
    log = Log(FakeClock(), console=False)
    for number in range(5):
        for source in ("boot", "update", "login", "config"):
            log.info(source, f"for the owner {number}")
    for number in range(500):
        log.warning("control", f"198.51.100.{number}: wrong answer to a challenge")
        log.warning("names", f"host{number}: no answer")
        log.warning("sensors", f"soil: error {number}")
    texts = [entry["text"] for entry in log.tail(100)]
    assert len(texts) == 50 and sum("for the owner" in text for text in texts) == 20
    assert texts[-1] == "soil: error 499" and "host499: no answer" in texts


def test_the_console_shows_time_source_and_level(capsys):
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


def test_an_error_is_reported_with_its_kind_and_traceback(capsys):
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


def test_terminal_controls_are_replaced_everywhere(capsys):
    log = Log(FakeClock())
    stored, told = [], []
    log.also = stored.append
    log.listeners.append(told.append)
    log.warning("http", "GET /\x1b[2J\r\n[     0] boot: hidden\0\x7f\x9b2J 21 °C, größer, 雪")
    text = "GET /?[2J??[     0] boot: hidden???2J 21 °C, größer, 雪"
    line = f"[     0] http: warning: {text}"
    assert capsys.readouterr().out == line + "\n" and stored == [line]
    assert [entry["text"] for entry in [*told, *log.tail()]] == [text, text]


def test_an_exception_without_a_message():
    assert describe(OSError()) == "OSError" and describe(ValueError("why")) == "ValueError: why"
