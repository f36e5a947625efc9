"""Checks all input from outside, a board's answers and everyone's datagrams, before it is used.

It checks shape, size and characters, so that input can neither end the tool, nor fill its memory, nor control the
terminal.
"""

import json
import math
import re
import unicodedata

LONGEST_DATAGRAM = 8192  # bytes; the firmware's have at most 1,400
MOST_READINGS = 256  # readings in one datagram
LONGEST_NAME = 128
LONGEST_TEXT = 1024
LONGEST_MESSAGE = 500  # characters of an error's text
_LONGEST_NUMBER = 40  # digits
_DEEPEST = 32
_INT64 = 1 << 63
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode categories
_INTEGER = re.compile(r"[+-]?[0-9]+i")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class Refused(ValueError):
    """The input is refused; the message says why."""


# --- characters


def _escaped(character):
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    return character.encode("unicode_escape").decode()


def visible(text, longest=None):
    """Return `text` with escapes for characters that control a terminal, or hide or reverse text.
    Text that is longer than `longest` is cut off."""
    cut = longest is not None and len(text) > longest
    text = text[:longest] + "…" if cut else text
    return text if text.isprintable() else "".join(map(_escaped, text))


def visible_lines(text):
    """Do the same for a text that may have several lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


# --- numbers


def integer(text):
    """Return an integer of InfluxDB's line protocol, such as `5i`. Raises Refused."""
    if not _INTEGER.fullmatch(text) or len(text) > _LONGEST_NUMBER:
        raise Refused("no integer")
    value = int(text[:-1])
    if not -_INT64 <= value < _INT64:
        raise Refused("an integer of more than 64 bits")
    return value


def decimal(text):
    """Return a finite number. Raises Refused."""
    if not _DECIMAL.fullmatch(text):
        raise Refused("no number")
    value = float(text)
    if not math.isfinite(value):
        raise Refused("an infinite number")
    return value


# --- shapes


def _whole(text):
    if len(text) > _LONGEST_NUMBER:
        raise Refused("a number with too many digits")
    return int(text)


def _no_number(text):
    raise Refused(f"{text} is not a number")


def _is_too_deep(value):
    level = [value]
    for _ in range(_DEEPEST):
        inner = [list(one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [item for items in inner for item in items]
        if not level:
            return False
    return True


def read_json(text):
    """Return the value of a JSON text with finite numbers and little nesting. Raises Refused or another ValueError."""
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=decimal, parse_int=_whole)
    except RecursionError:
        raise Refused("nested too deeply") from None
    if _is_too_deep(value):
        raise Refused("nested too deeply")
    return value


def fits(value, shape):
    """Return whether `value` has this shape.

    A shape is a type; a pattern for a text; None; a tuple of alternatives; a list with the shape of its
    items; or a dict with the required keys and the shapes of their values.
    """
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(key in value and fits(value[key], shape[key]) for key in shape)
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    if shape is None:
        return value is None
    return isinstance(value, shape) and (shape is object or shape is bool or not isinstance(value, bool))
