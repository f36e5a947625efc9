"""The parts that need no board: parameters, lines, charts."""

import io

import pytest
from influx import encode
from influx import parse as strict_parse
from rich.console import Console

from tools.board.errors import UsageError
from tools.board.fleet import Fleet
from tools.board.formats import duration, measure, number
from tools.board.lines import parse
from tools.board.listener import Record
from tools.board.params import from_words, split
from tools.board.table import render, sparkline


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
        with pytest.raises(UsageError, match="'2' is not key=value"):
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


def test_all_spellings_of_true_and_false_are_read():
    fields = {"a": True, "b": True, "c": True, "d": False, "e": False, "f": False}
    assert parse("m a=t,b=T,c=TRUE,d=f,e=F,f=false") == ("m", {}, fields)


def test_a_time_at_the_end_is_not_a_reading():
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


def test_the_table():
    fleet = Fleet()
    for seq, uptime, celsius in ((3, 200, 21), (5, 210, 21.5), (0, 1, 22), (1, 130, 20)):
        line = f'board,device=attic celsius={celsius},mode="auto",on=true,seq={seq}i,uptime={uptime}i'
        fleet.take(Record("192.0.2.1", line, 1000 + uptime))
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(render(fleet, 8094, ignored=2, now=1150))
    shown = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert "attic celsius 20 20 22 ▅▆█▁" in shown
    assert "192.0.2.1 mode auto" in shown and "up 2 min on True" in shown
    assert "lost 1 (20.0 %)" in shown and "20 s ago" in shown and "1 restarts" in shown
    assert shown[-1] == "UDP port 8094. Ctrl-C ends. 2 datagrams were not telemetry."


def test_boards_without_readings_take_no_rows_of_the_table():
    fleet = Fleet()
    fleet.take(Record("192.0.2.1", "board,device=attic celsius=21,seq=0i,uptime=9i", 1000))
    fleet.take(Record("192.0.2.2", "board,device=cellar control=8095i,uptime=60i", 1000))
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(render(fleet, 8094, now=1001))
    shown = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert "attic celsius 21 21 21 ▁" in shown and len([line for line in shown if "up " in line]) == 1
    assert shown[-1] == "UDP port 8094. Ctrl-C ends. No readings came from cellar (192.0.2.2)."
    console.print(render(fleet, 8094, now=1001, columns=["pascal"]))
    assert "No readings came from attic (192.0.2.1), cellar (192.0.2.2)." in console.export_text()


def test_lines_of_other_programs_are_not_counted():
    fleet = Fleet()
    for line in ("m a=1,seq=5i", "m a=2,seq=9i", "m uptime=1i", "m a=1"):
        fleet.take(Record("192.0.2.1", line, 0))
    (board,) = fleet
    assert (board.received, board.lost, board.restarts, board.readings["a"]) == (4, 0, 0, 1)


def heard(fleet, device, uptime, now, address="192.0.2.1"):
    fleet.take(Record(address, f"board,device={device} a=1,seq={uptime}i,uptime={uptime}i", now))
    return sorted(board.device for board in fleet)


def test_a_board_with_a_new_name_replaces_its_old_self():
    fleet = Fleet()
    assert heard(fleet, "old", 100, now=1000) == ["old"]
    assert heard(fleet, "new", 2, now=1010) == ["new", "old"]
    assert heard(fleet, "new", 7, now=1015) == ["new", "old"]
    assert heard(fleet, "new", 12, now=1020) == ["new"]


def test_boards_that_share_an_address_stay():
    fleet = Fleet()
    heard(fleet, "a", 100, now=1000)
    heard(fleet, "b", 2, now=1003)
    heard(fleet, "a", 105, now=1005)
    assert heard(fleet, "b", 32, now=1033) == ["a", "b"], "board a was heard after board b had started, so it stays"
    heard(fleet, "c", 3, now=1100, address="192.0.2.2")
    assert heard(fleet, "c", 33, now=1130, address="192.0.2.2") == ["a", "b", "c"]


def test_bytes_have_units():
    shown = {f"{value}": measure("heap_free", value) for value in (999, 1000, 1381234, 24412345678, 999950, 99960000)}
    assert shown == {
        "999": "999", "1000": "1.00 kB", "1381234": "1.38 MB", "24412345678": "24.4 GB", "999950": "1.00 MB",
        "99960000": "100 MB",
    }  # fmt: skip
    assert measure("soil_moisture", 1381234) == "1381234" and measure("disk_bytes", "none") == "none"


def test_numbers_and_durations():
    assert [number(value) for value in (21.53125, 12345678, True, "on")] == ["21.5312", "12345678", "True", "on"]
    assert [duration(seconds) for seconds in (59, 120, 7200, 172800)] == ["59 s", "2 min", "2 h", "2 d"]
