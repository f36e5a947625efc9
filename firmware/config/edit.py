"""The rarely used methods of `Config`: to read the file, to show and change single settings, and to save them."""

from firmware import borrow
from firmware.config import ConfigError
from firmware.jsontext import dumps, loads


def load(config):
    """Use the file, or the last good copy if it is bad; never raises."""
    borrow("firmware.config.file", "firmware.jsontext").load(config, config.board, config.log)


def get(config, key=""):
    """Return the value of "section.key" (all values for "") with secrets hidden. Raises ConfigError."""
    schema = borrow("firmware.config.defaults", "firmware.config.schema").SCHEMA
    value = schema.show(schema.fill(config.given))
    for part in key.split(".") if key else ():
        try:
            value = value[int(part) if isinstance(value, list) else part]
        except (KeyError, ValueError, IndexError, TypeError):
            raise ConfigError(f"{key[:40]}: there is no such key") from None
    return value


def set(config, key, value, check=None):
    """Change "section.key" in memory. Raises ConfigError for a bad value, or what check(new values) raises; then
    nothing changes."""
    config.use(changed(config.given, key, value), config.source, check)
    config.unsaved = True


def reset(config, key="", check=None):
    """Reset "section" or "section.key", or everything, to the defaults in memory. Raises like `set`."""
    if key:
        get(config, key)
    config.use(without(config.given, key) if key else {}, config.source, check)
    config.unsaved = True


def save(config):
    """Write the settings to the board's filesystem. Return True if they are on trial from the next boot on. Raises
    OSError, and ConfigError for settings that would lock the owner out."""
    module = borrow("firmware.config.lockout", "firmware.update.trial", "firmware.config.file", "firmware.jsontext")
    on_trial = module.save(config, config.given, config.board, config.log)
    config.faults = []
    config.unsaved = False
    return on_trial


def changed(given, key, value):
    """Return a copy of `given` in which "section.key" is `value`. In a list, the index after the last one adds an
    item."""
    given = loads(dumps(given))
    place, last = _place(given, key, 1)
    if isinstance(place, list) and last == len(place):
        place.append(None)
    place[last] = value
    return given


def without(given, key):
    """Return a copy of `given` without "section.key", or without that item of a list."""
    given = loads(dumps(given))
    place, last = _place(given, key, 0)
    if isinstance(place, list) or last in place:
        place.pop(last)
    return given


def _place(values, key, more):
    """Return the place of "section.key" in `values`: the object or list that contains it, and its key or index there.
    With `more` = 1 the index may be the one after the last."""
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
