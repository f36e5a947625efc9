"""Reads InfluxDB's line protocol: the counterpart of firmware/telemetry/line_protocol.py."""

import re

from tools.board import gate

_KEY = r"(?:[^\\ ,=\n]|\\.)+"
_VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^ ,"\n]+)'
_TAG = re.compile(rf",({_KEY})=({_KEY})")
_FIELD = re.compile(rf"({_KEY})=({_VALUE})")
# A time at the end is allowed. Our boards never send one, but others may.
_LINE = re.compile(
    rf"(?P<measurement>(?:[^\\ ,\n]|\\.)+)(?P<tags>(?:,{_KEY}={_KEY})*)"
    rf" (?P<fields>{_KEY}={_VALUE}(?:,{_KEY}={_VALUE})*)(?: -?\d+)?\n?"
)
_BOOLEANS = {"t": True, "true": True, "f": False, "false": False}


def _plain(text):
    return re.sub(r"\\([ ,=])", r"\1", text)


def _value(text):
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if text.endswith("i"):
        return gate.integer(text)
    value = gate.decimal(text)
    return int(text) if text.lstrip("-").isdecimal() else value  # as written by the board


def parse(line):
    """Return (measurement, tags, fields). Raises ValueError if the line is invalid."""
    match = _LINE.fullmatch(line)
    if not match:
        raise ValueError(f"not InfluxDB's line protocol: {line[:60]!r}")
    tags = {_plain(key): _plain(value) for key, value in _TAG.findall(match["tags"])}
    fields = {_plain(key): _value(value) for key, value in _FIELD.findall(match["fields"])}
    return _plain(match["measurement"]), tags, fields
