"""Changes to a configuration: its values with one key added, changed or removed."""

from firmware.config import ConfigError
from firmware.jsontext import dumps, loads


def changed(given, key, value):
    """A copy of `given` in which "section.key" is `value`. In a list, the number after the last one adds an item."""
    given = loads(dumps(given))
    place, last = _place(given, key, 1)
    if isinstance(place, list) and last == len(place):
        place.append(None)
    place[last] = value
    return given


def without(given, key):
    """A copy of `given` without "section.key", or without that item of a list."""
    given = loads(dumps(given))
    place, last = _place(given, key, 0)
    if isinstance(place, list) or last in place:
        place.pop(last)
    return given


def _place(values, key, more):
    """The place of "section.key" in `values`: the object or list that holds it, and its key or index in it. With
    `more` = 1 the index may be the one after the last."""
    parts = key.split(".")
    for part, inner in zip(parts, parts[1:]):
        if isinstance(values, dict):
            values = values.setdefault(part, [] if inner.isdigit() else {})
        else:
            values = values[_index(values, part, key, 0)]
    return values, parts[-1] if isinstance(values, dict) else _index(values, parts[-1], key, more)


def _index(values, part, key, more):
    if not isinstance(values, list):
        raise ConfigError(f"{key[:40]}: there is no such key")
    if not part.isdigit() or int(part) >= len(values) + more:
        raise ConfigError(f"{key}: there is no item {part!r}: the list has {len(values)}")
    return int(part)
