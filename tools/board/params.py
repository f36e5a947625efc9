"""Parameters as people type them: `pin=2 value=1` or `2 1`. A value that is not valid JSON is text."""

import json
import re

from tools.board.errors import UsageError

_KEY = re.compile(r"[A-Za-z_]\w*=")
_JSON = json.JSONDecoder()


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def from_words(words):
    """Return a dict if every word is key=value, or a list if none is. Raises UsageError for a mixture."""
    keyed = [word for word in words if _KEY.match(word)]
    if not keyed:
        return [_value(word) for word in words]
    if len(keyed) < len(words):
        stray = next(word for word in words if word not in keyed)
        raise UsageError(f"{stray!r} is not key=value like the other parameters")
    return {key: _value(text) for key, _, text in (word.partition("=") for word in words)}


def split(line):
    """Return the words of a line. JSON after a "=" or at the start of a word keeps its spaces: `value={"a": 1}`."""
    words = []
    position = 0
    while position < len(line):
        if line[position].isspace():
            position += 1
            continue
        end = _end_of_word(line, position)
        words.append(line[position:end])
        position = end
    return words


def _end_of_word(line, start):
    key = _KEY.match(line, start)
    value = key.end() if key else start
    try:
        end = _JSON.raw_decode(line, value)[1]
    except ValueError:
        end = value
    space = re.compile(r"\s|$").search(line, end)
    return space.start()
