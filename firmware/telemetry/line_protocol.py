"""InfluxDB line protocol: `measurement,tag=value field=1,other=2.5` and a line end.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/

All numbers are sent as floats: a field whose type changes is refused, with its whole line.
"""

from firmware import number_text

_LARGEST = float("1e300")  # infinite in single precision, so all finite numbers are smaller


def _escape(text, special):
    for character in special:
        text = text.replace(character, "\\" + character)
    return text


def _one_line(text):
    """Replace line ends, which the protocol cannot express."""
    return str(text).replace("\r", " ").replace("\n", " ")


def _name(text, special=",= "):
    """Escape a measurement, a key or a tag's value. A backslash cannot be escaped here, so one that would escape the
    next character becomes a slash."""
    text = _one_line(text)
    for character in ",= ":
        text = text.replace("\\" + character, "/" + character)
    if text.endswith("\\"):
        text = text[:-1] + "/"
    return _escape(text, special)


def _value(value):
    """Return the text of a field's value; None if InfluxDB cannot store it."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value) if -_LARGEST < value < _LARGEST else None  # NaN fails this comparison
    if isinstance(value, str):
        return '"' + _escape(_one_line(value), '\\"') + '"'
    return None


def encode_head(measurement, tags):
    """Return the constant part of a line: the measurement and its sorted tags without empty ones."""
    parts = [_name(measurement, ", ")]
    for key in sorted(tags):
        value = _name(tags[key])
        if value:
            parts.append(f"{_name(key)}={value}")
    return ",".join(parts).encode()


def encode_fields(fields, prefix=""):
    """Return [b"key=value"] in the order of the keys, without values that cannot be stored (None, NaN, a list)."""
    parts = []
    for key in sorted(fields):
        text = _value(fields[key])
        if text is not None:
            parts.append(f"{_name(prefix + key)}={text}".encode())
    return parts
