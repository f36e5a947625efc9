"""A strict parser of InfluxDB's line protocol. It was written from the reference, not from the firmware's encoder."""

import re

from firmware.telemetry.line_protocol import encode_fields, encode_head

_KEY = r"(?:[^\\ ,=\n]|\\.)+"
_VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^ ,"\n]+)'
_LINE = re.compile(rf"((?:[^\\ ,\n]|\\.)+)((?:,{_KEY}={_KEY})*) ({_KEY}={_VALUE}(?:,{_KEY}={_VALUE})*)\n")


def encode(measurement, tags, fields):
    """Return one line of the firmware's encoder."""
    return encode_head(measurement, tags) + b" " + b",".join(encode_fields(fields)) + b"\n"


def _plain(text):
    return re.sub(r"\\([ ,=])", r"\1", text)


def _field(text):
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text in ("true", "false"):
        return text == "true"
    if text.endswith("i"):
        return int(text[:-1])
    return float(text)


def parse(line):
    """Return (measurement, tags, fields) of one line with its end. Raises AssertionError if it is not a valid line."""
    match = _LINE.fullmatch(line)
    assert match, f"not a line of InfluxDB's protocol: {line!r}"
    tags = [pair for pair in re.findall(rf"({_KEY})=({_KEY})", match.group(2))]
    assert tags == sorted(tags), "tags are not sorted"
    fields = re.findall(rf"({_KEY})=({_VALUE})", match.group(3))
    return (
        _plain(match.group(1)),
        {_plain(key): _plain(value) for key, value in tags},
        {_plain(key): _field(value) for key, value in fields},
    )
