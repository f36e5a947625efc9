"""Changes to a configuration: its values with one key added, changed or removed."""

from firmware.config import ConfigError
from firmware.jsontext import dumps, loads


def changed(given, key, value):
    """A copy of `given` in which "section.key" is `value`."""
    given = loads(dumps(given))
    place, last = _place(given, key)
    place[last] = value
    return given


def without(given, key):
    """A copy of `given` without "section.key"."""
    given = loads(dumps(given))
    place, last = _place(given, key)
    if not isinstance(place, dict):
        raise ConfigError(f"{key}: an item of a list has no default")
    place.pop(last, None)
    return given


def _place(values, key):
    """The place of "section.key" in `values`: the object or list that holds it, and its key or index in it."""
    parts = key.split(".")
    for part in parts[:-1]:
        if isinstance(values, dict):
            values = values.setdefault(part, {})
        else:
            values = values[_index(values, part, key)]
    return values, parts[-1] if isinstance(values, dict) else _index(values, parts[-1], key)


def _index(values, part, key):
    if not isinstance(values, list):
        raise ConfigError(f"{key[:40]}: there is no such key")
    if not part.isdigit() or int(part) >= len(values):
        raise ConfigError(f"{key}: there is no item {part!r}: the list has {len(values)}")
    return int(part)
