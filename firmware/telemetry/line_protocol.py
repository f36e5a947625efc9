"""InfluxDB line protocol: `measurement,tag=value field=1i,other=2.5` and a line end.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
"""

_INFINITE = (float("inf"), float("-inf"))
_INTEGER_LIMIT = 1 << 63


def _escape(text, special):
    for character in special:
        text = text.replace(character, "\\" + character)
    return text


def _one_line(text):
    """The protocol has no way to write a line end."""
    return str(text).replace("\r", " ").replace("\n", " ")


def _name(text, special=",= "):
    """A measurement, a key or a tag's value. A backslash cannot be escaped here: one that would escape what
    follows it is written as a slash."""
    text = _one_line(text)
    for character in ",= ":
        text = text.replace("\\" + character, "/" + character)
    if text.endswith("\\"):
        text = text[:-1] + "/"
    return _escape(text, special)


def _value(value):
    """The text of a field's value; None for what InfluxDB cannot store."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i" if -_INTEGER_LIMIT <= value < _INTEGER_LIMIT else None
    if isinstance(value, float):
        return None if value != value or value in _INFINITE else f"{value:.7g}"
    if isinstance(value, str):
        return '"' + _escape(_one_line(value), '\\"') + '"'
    return None


def encode_head(measurement, tags):
    """The part of a line that stays the same: the measurement and its tags, sorted, the empty ones left out."""
    parts = [_name(measurement, ", ")]
    for key in sorted(tags):
        value = _name(tags[key])
        if value:
            parts.append(f"{_name(key)}={value}")
    return ",".join(parts)


def encode_fields(fields):
    """`key=value,...` in order of the keys; what cannot be stored (None, NaN, a list) is left out."""
    parts = []
    for key in sorted(fields):
        text = _value(fields[key])
        if text is not None:
            parts.append(f"{_name(key)}={text}")
    return ",".join(parts)


def encode(measurement, tags, fields):
    """One line as bytes, with its line end; None where no field can be stored, which is no line."""
    fields = encode_fields(fields)
    return f"{encode_head(measurement, tags)} {fields}\n".encode() if fields else None
