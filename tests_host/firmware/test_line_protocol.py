"""InfluxDB line protocol: firmware/telemetry/line_protocol.py, read back by a parser written from the reference."""

import random

import pytest
from influx import parse

from firmware.telemetry.line_protocol import encode


def parsed(measurement, tags, fields):
    return parse(encode(measurement, tags, fields).decode())


@pytest.mark.parametrize("text", ["plain", "a b", "a,b", "a=b", 'say "x"', "back\\slash", "grüße", "日本"])
def test_special_characters_survive_everywhere(text):
    assert parsed(text, {text: text}, {text: text}) == (text, {text: text}, {text: text})


def test_line_ends_cannot_smuggle_a_second_line():
    line = encode("m\nx", {"a": "1\r\nevil v=1"}, {"v": 1, "s": "a\nb"})
    assert line.count(b"\n") == 1
    assert parse(line.decode())[2]["s"] == "a b"


def test_a_backslash_escapes_nothing_that_follows_it():
    assert parsed("m", {"a": "x\\", "b": "y\\ ,z"}, {"v": 1})[1] == {"a": "x/", "b": "y/ ,z"}
    assert parsed("m", {}, {"s": "x\\", "t": "y"})[2] == {"s": "x\\", "t": "y"}


def test_tags_are_sorted_and_empty_ones_left_out():
    assert encode("m", {"b": "2", "a": "1", "c": ""}, {"v": 1}) == b"m,a=1,b=2 v=1i\n"


def test_types_of_fields():
    fields = {"i": -5, "f": 2.5, "t": True, "n": False, "s": "x", "big": 1e12, "small": -1.25e-7}
    assert parsed("m", {}, fields)[2] == fields


def test_booleans_are_no_integers():
    assert encode("m", {}, {"v": True}) == b"m v=true\n"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), 1 << 63, -(1 << 63) - 1, [1]])
def test_what_cannot_be_stored_is_left_out(value):
    assert encode("m", {}, {"v": 1, "x": value}) == b"m v=1i\n"
    assert encode("m", {}, {"x": value}) is None


def test_the_largest_integers():
    assert parsed("m", {}, {"a": (1 << 63) - 1, "b": -(1 << 63)})[2] == {"a": (1 << 63) - 1, "b": -(1 << 63)}


def test_any_text_gives_one_readable_line():
    chance = random.Random(20)
    for _ in range(2000):
        texts = ["x" + "".join(chance.choice('ab\\ ,="\n\r\tü') for _ in range(chance.randrange(8))) for _ in range(4)]
        measurement, tags, fields = parsed(texts[0], {texts[1]: texts[2]}, {"v": texts[3]})
        assert fields["v"] == texts[3].replace("\r", " ").replace("\n", " ")
