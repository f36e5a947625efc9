"""InfluxDB line protocol: firmware/telemetry/line_protocol.py. A parser that was written from the reference reads it
back.
"""

import random

import pytest
from influx import encode, parse


def parsed(measurement, tags, fields):
    return parse(encode(measurement, tags, fields).decode())


@pytest.mark.parametrize("text", ["plain", "a b", "a,b", "a=b", 'say "x"', "back\\slash", "grüße", "日本"])
def test_special_characters_survive_everywhere(text):
    assert parsed(text, {text: text}, {text: text}) == (text, {text: text}, {text: text})


def test_line_ends_cannot_inject_a_second_line():
    line = encode("m\nx", {"a": "1\r\nevil v=1"}, {"v": 1, "s": "a\nb"})
    assert line.count(b"\n") == 1
    assert parse(line.decode())[2]["s"] == "a b"


def test_a_backslash_escapes_nothing_that_follows_it():
    assert parsed("m", {"a": "x\\", "b": "y\\ ,z"}, {"v": 1})[1] == {"a": "x/", "b": "y/ ,z"}
    assert parsed("m", {}, {"s": "x\\", "t": "y"})[2] == {"s": "x\\", "t": "y"}


def test_tags_are_sorted_and_empty_ones_left_out():
    assert encode("m", {"b": "2", "a": "1", "c": ""}, {"v": 1}) == b"m,a=1,b=2 v=1\n"


def test_types_of_fields():
    fields = {"i": -5, "f": 2.5, "t": True, "n": False, "s": "x", "big": 1e12, "small": -1.25e-7}
    assert parsed("m", {}, fields)[2] == fields


def test_booleans_are_not_integers():
    assert encode("m", {}, {"v": True}) == b"m v=true\n"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), 10**400, [1]])
def test_values_that_cannot_be_stored_are_left_out(value):
    assert encode("m", {}, {"v": 1, "x": value}) == b"m v=1\n"
    assert encode("m", {}, {"x": value}) == b"m \n"


@pytest.mark.parametrize("value", [100, 100.0, 99.89767, -5, 0, 1 << 63, -(1 << 70)])
def test_a_number_is_a_float_whatever_it_is(value):
    """InfluxDB refuses an integer in a field that was a float."""
    text = encode("m", {}, {"v": value}).decode()
    assert not text.endswith("i\n") and float(text[4:]) == value


@pytest.mark.parametrize("value, text", [
    (123456789.123, "123456789.123"), (8.03, "8.03"), (8.029999999999999, "8.03"), (0.1 + 0.2, "0.3"), (1e22, "1e+22"),
    (24562929664, "24562929664"), (21.0, "21"), (-1.25e-7, "-1.25e-07"),
])  # fmt: skip
def test_the_digits_of_a_number(value, text):
    assert encode("m", {}, {"v": value}).decode() == f"m v={text}\n"


def test_any_text_gives_one_readable_line():
    chance = random.Random(20)
    for _ in range(2000):
        texts = ["x" + "".join(chance.choice('ab\\ ,="\n\r\tü') for _ in range(chance.randrange(8))) for _ in range(4)]
        measurement, tags, fields = parsed(texts[0], {texts[1]: texts[2]}, {"v": texts[3]})
        assert fields["v"] == texts[3].replace("\r", " ").replace("\n", " ")
