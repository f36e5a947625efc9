"""All JSON of the firmware, to the letter (RFC 8259).

MicroPython's own reader takes what breaks off or lacks commas, and makes two characters that do not exist of a
surrogate pair; its writer says `nan` and `<object>`.
"""

import json
import re

from firmware import const

_DEEPEST = const(32)
_LONGEST_NUMBER = const(32)  # characters
_WORDS = {"true": True, "false": False, "null": None}
_ESCAPED = {'"': '"', "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_is_number = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$").match
_is_code = re.compile("u[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]").match


def sound(text):
    """`text` with a "?" for each character that UTF-8 does not have: MicroPython's text can hold any."""
    if len(text) == len(text.encode()):
        return text
    return "".join([one if _is_sound(one, ord(one)) else "?" for one in text])


def _is_sound(character, code):
    return code < 0x110000 and code >> 11 != 27 and chr(code) == character  # 27: a surrogate


def _require(right):
    if not right:
        raise ValueError("not JSON")


def _unescaped(text):
    pieces = text.split("\\")
    made = pieces.pop(0)
    high = 0
    while pieces:
        piece = pieces.pop(0)
        if _is_code(piece):
            code = int(piece[1:5], 16)
            if high:
                _require(code >> 10 == 55)
                code += 0x10000 + ((high - 0xD800) << 10) - 0xDC00
            high = code if code >> 10 == 54 and len(piece) == 5 else 0
            _require(high or code >> 11 != 27)
            made += "" if high else chr(code) + piece[5:]
            continue
        _require(not high)
        # Nothing between two backslashes: one that is meant.
        made += _ESCAPED[piece[0]] + piece[1:] if piece else "\\" + pieces.pop(0)
    _require(not high)
    return made


def _text(data, at):
    """The text from `at` on, and where it ends: at a quote behind an even number of backslashes."""
    end = at
    while True:
        end = back = data.find(b'"', end)
        _require(end >= 0)
        while data[back - 1] == 92:
            back -= 1
        if (end - back) % 2 == 0:
            break
        end += 1
    piece = data[at:end]
    _require(not piece or min(piece) >= 32)
    text = piece.decode()
    return _unescaped(text) if b"\\" in piece else text, end + 1


def _word_or_number(word):
    if word in _WORDS:
        return _WORDS[word]
    _require(len(word) <= _LONGEST_NUMBER and _is_number(word))
    if word.lstrip("-").isdigit():
        return int(word)
    number = float(word)
    _require(number - number == 0)  # 1e999 is infinite
    return number


def _read(data):
    holder = found = []  # what is being filled
    around = []
    key = None
    value_next = True
    marks = b""  # that may come instead
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
                value, at = _text(data, at)
            elif byte in b"[{":
                value = [] if byte == 91 else {}
            else:
                start = at - 1
                while at < len(data) and data[at] not in b" \t\r\n,]}":
                    at += 1
                value = _word_or_number(data[start:at].decode())
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
    """The value that a JSON text says. Raises ValueError."""
    _require(sound(text) == text)
    try:
        return _read(text.encode())
    except (KeyError, IndexError):  # an escape that there is not
        raise ValueError("not JSON") from None


def dumps(value):
    """`value` as JSON: a number without an end is null, and what JSON has no form for is text."""
    return sound(json.dumps(_plain(value)))


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, (str, bool, int)) else str(value)
