"""The parts that need no board: parameters, lines, charts."""

import pytest
from influx import parse as strict_parse

from firmware.line_protocol import encode
from tools.board.errors import UsageError
from tools.board.formats import duration, number
from tools.board.lines import parse
from tools.board.params import from_words, split
from tools.board.table import sparkline


@pytest.mark.parametrize(
    "text, params",
    [
        ("", []),
        ("2 1", [2, 1]),
        ("pin=2 value=true", {"pin": 2, "value": True}),
        ("name=attic x=1.5", {"name": "attic", "x": 1.5}),
        ('key=device.tags value=["a=1", "b c=2"]', {"key": "device.tags", "value": ["a=1", "b c=2"]}),
        ('value={"a": {"b": 1}}  key="two words"', {"value": {"a": {"b": 1}}, "key": "two words"}),
        ('["a b"] null', [["a b"], None]),
        ("host=influx.local:8089", {"host": "influx.local:8089"}),
        ("value=[1, 2", None),  # half of a list: "2" is a word of its own
        ("address=10.0.0.1", {"address": "10.0.0.1"}),
    ],
)
def test_parameters(text, params):
    if params is None:
        with pytest.raises(UsageError):
            from_words(split(text))
    else:
        assert from_words(split(text)) == params


@pytest.mark.parametrize(
    "tags, fields",
    [
        ({"device": "a"}, {"x": 1, "y": 2.5, "z": True, "text": 'say "a, b=c \\ d"'}),
        ({"device": "a b,c=d", "r=m": "k,h"}, {"f g": -1, "h,i=": 1e-9}),
    ],
)
def test_lines_of_the_firmware_are_read(tags, fields):
    line = encode("me asure,ment", tags, fields).decode()
    assert parse(line) == strict_parse(line) == ("me asure,ment", tags, fields)


def test_a_time_at_the_end_is_no_reading():
    assert parse("m,a=b c=1i 1700000000000000000") == ("m", {"a": "b"}, {"c": 1})


@pytest.mark.parametrize("line", ["", "m", "m a", "m a=", "m a=1i,", "m,a b=1", "m a=x", 'm a="x', "m a=1\nm a=1"])
def test_other_lines_are_refused(line):
    with pytest.raises(ValueError):
        parse(line)


def test_charts():
    assert sparkline([]) == ""
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([9, 9, 0, 1], width=2) == "▁█"
    assert sparkline([1.0, float("nan"), 2.0]) == "▁█"


def test_numbers_and_durations():
    assert [number(value) for value in (21.53125, 12345678, True, "on")] == ["21.5312", "12345678", "True", "on"]
    assert [duration(seconds) for seconds in (59, 120, 7200, 172800)] == ["59 s", "2 min", "2 h", "2 d"]
