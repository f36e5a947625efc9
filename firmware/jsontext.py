"""Reads and writes the firmware's JSON strictly by RFC 8259.

MicroPython's own reader accepts truncated text and missing commas, and decodes a surrogate pair as two invalid
characters. Its writer writes `nan` and `<object>`.
"""

import json
import re

from firmware import const, number_text

_DEEPEST = const(32)
_LONGEST_NUMBER = const(24)  # characters; matching takes C stack for each of them
_is_scalar = re.compile(r"(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?)$").match
_is_escape = re.compile(rb'["\\/bfnrt]|u' + rb"[0-9A-Fa-f]" * 4).match

# These search in bytes, because MicroPython never frees a string of one character, such as `for one in text` and chr()
# make, and a stranger may send a million different ones. They are compiled when used, to save heap. The first matches
# invalid UTF-8: overlong forms, surrogates, and characters beyond U+10FFFF.
_UNSOUND = const(
    b"[\xc0\xc1].|\xe0[\x80-\x9f].|\xed[\xa0-\xbf].|\xf0[\x80-\x8f]..|\xf4[\x90-\xbf]..|[\xf5-\xf7]..."
)
_PAIR = const(b"\xed[\xa0-\xaf].\xed[\xb0-\xbf].")


def sound(text):
    """Return `text` with "?" for characters that UTF-8 cannot encode. A MicroPython string may contain them."""
    data = text.encode()
    return text if len(data) == len(text) else re.sub(_UNSOUND, b"?", data).decode()


def _require(right):
    if not right:
        raise ValueError("not JSON")


def _joined(match):
    """Return the character of a surrogate pair."""
    pair = match.group(0)
    top = (pair[1] & 15) + 1 << 4 | pair[2] >> 2 & 15
    return bytes((0xF0 | top >> 6, 0x80 | top & 63, 0x80 | (pair[2] & 3) << 4 | pair[4] & 15, pair[5]))


def _text(data, start):
    """Return the text after the quote at `start`, and the position of its end."""
    at = start + 1
    while True:
        end = data.find(b'"', at)
        _require(end >= 0)
        escape = data.find(b"\\", at, end)
        if escape < 0:
            break
        _require(_is_escape(data[escape + 1 : escape + 6]))
        at = escape + 2
    piece = data[start : end + 1]
    _require(min(piece) >= 32)
    text = json.loads(piece)
    if b"\\u" in piece:
        text = re.sub(_PAIR, _joined, text.encode()).decode()
        _require(sound(text) == text)
    return text, end + 1


def _scalar(word):
    _require(len(word) <= _LONGEST_NUMBER and _is_scalar(word))
    value = json.loads(word)
    _require(value is None or value - value == 0)  # 1e999 is infinite
    return value


def _read(data):
    holder = found = []  # the open lists and objects
    around = []
    key = None
    value_next = True
    marks = b""  # other tokens that may follow here
    at = 0
    while at < len(data):
        byte = data[at]
        at += 1
        if byte in b" \t\r\n":
            continue
        if byte in marks:
            value_next = byte in b",:"
            marks = b""
            if value_next:
                continue
            holder = around.pop()
        else:
            _require(value_next)
            if byte == 34:
                value, at = _text(data, at - 1)
            elif byte in b"[{":
                value = [] if byte == 91 else {}
            else:
                start = at - 1
                while at < len(data) and data[at] not in b" \t\r\n,]}":
                    at += 1
                value = _scalar(data[start:at].decode())
            if type(holder) is list:
                holder.append(value)
            elif key is None:
                _require(byte == 34)
                key = value
                marks = b":"
                value_next = False
                continue
            else:
                holder[key] = value
                key = None
            value_next = byte in b"[{"
            if value_next:
                around.append(holder)
                _require(len(around) <= _DEEPEST)
                holder = value
                marks = b"]" if byte == 91 else b"}"
                continue
        if around:
            marks = b",]" if type(holder) is list else b",}"
    _require(found and not value_next and not around)
    return found[0]


def loads(text):
    """Return the value of a JSON text. Raises ValueError."""
    _require(sound(text) == text)
    return _read(text.encode())


def dumps(value):
    """Return `value` as JSON. Infinite numbers become null, and values that JSON cannot express become text."""
    return sound(json.dumps(_plain(value)))


class _Number(float):
    """A number with its significant digits. MicroPython writes the result of `__repr__`, CPython the float's own
    digits."""

    text = ""

    def __repr__(self):
        return self.text


def _number(value):
    text = number_text(value)
    number = _Number(text)
    number.text = text
    return number


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return _number(value) if value - value == 0 else None
    return value if value is None or isinstance(value, (str, bool, int)) else str(value)
