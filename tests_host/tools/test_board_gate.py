"""The checks of data from outside: its shape, size and characters."""

import pytest

from tools.board.gate import Refused, decimal, fits, integer, read_json, visible
from tools.board.lines import parse
from tools.board.listener import Record


def test_control_characters_are_shown_as_escapes():
    assert visible("21 °C, Küche, 日本") == "21 °C, Küche, 日本"
    assert visible("\x1b[2J\x9b0m\x07\r\n") == "\\x1b[2J\\x9b0m\\x07\\r\\n"
    assert visible("a\u202eb\u2028\u200b\ud800") == "a\\u202eb\\u2028\\u200b\\ud800"
    assert visible("abcdef", 3) == "abc…"


@pytest.mark.parametrize("text", ["inf", "nan", "1e999", "-1e999", "9" * 400, "1_000", "0x10", "", "1e", "--1", "٣"])
def test_numbers_that_are_not_finite_are_refused(text):
    with pytest.raises(Refused):
        decimal(text)


@pytest.mark.parametrize("text", ["9223372036854775808i", "1" * 5000 + "i", "1_0i", "i", "1.0i", "٣i"])
def test_integers_of_more_than_64_bits_are_refused(text):
    with pytest.raises(Refused):
        integer(text)


def test_numbers_are_read():
    assert [decimal(text) for text in ("1", "-1.5", "+.5", "1.", "1e308")] == [1, -1.5, 0.5, 1, 1e308]
    assert [integer(text) for text in ("9223372036854775807i", "-9223372036854775808i")] == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e999", "9" * 5000, "[" * 900 + "]" * 900, "[" * 99999, "{"])
def test_invalid_or_too_large_json_is_refused(text):
    with pytest.raises(ValueError):
        read_json(text)


def test_shapes():
    assert fits({"a": 1, "more": []}, {"a": int}) and fits([], [str]) and fits(None, (str, None))
    assert not fits({"a": True}, {"a": int}) and not fits({}, {"a": int}) and not fits([1], [str])
    assert not fits("", None)


def test_a_tab_in_a_text_hides_no_board():
    record = Record("192.0.2.1", 'board,device=attic,room=a\tb note="x\ty",seq=1i\n', 0)
    assert (record.device, record.tags["room"], record.readings) == ("attic", "a\\tb", {"note": "x\\ty"})


@pytest.mark.parametrize(
    "line",
    ["m " + ",".join(f"a{number}=1" for number in range(300)), f"m {'a' * 200}=1", f"m,device={'x' * 200} a=1"],
    ids=["readings", "name", "device"],
)
def test_a_datagram_that_is_too_large_is_refused(line):
    assert parse(line)
    with pytest.raises(Refused):
        Record("192.0.2.1", line, 0)


def test_invalid_counters_are_ignored():
    assert Record("192.0.2.1", "m seq=t,uptime=-5i", 0).seq is None
