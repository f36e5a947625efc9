"""Formats a board's answers, for people and for programs."""

import json

from tools.board.gate import visible, visible_lines

_LOG_ENTRY = {"uptime", "level", "source", "text"}


def as_json(result):
    """Return one line of JSON with sorted keys."""
    return json.dumps(result, allow_nan=False, sort_keys=True)


def readable(result):
    """Return text for people, with one line per key or item."""
    return "\n".join(_lines(result))


def _lines(value):
    if isinstance(value, str):
        return visible_lines(value).split("\n")
    if isinstance(value, dict) and value:
        return _lines_of_dict(value)
    if isinstance(value, list) and value:
        return [line for item in value for line in _lines_of_item(item)]
    return ["null" if value is None else _short(value)]


def _lines_of_dict(value):
    lines = []
    width = max(len(visible(key)) for key, item in value.items() if not _is_nested(item)) if _has_flat(value) else 0
    for key in sorted(value):
        if _is_nested(value[key]):
            lines += [f"{visible(key)}:", *("  " + line for line in _lines(value[key]))]
        else:
            lines.append(f"{visible(key):{width}}  {_short(value[key])}")
    return lines


def _has_flat(value):
    return any(not _is_nested(item) for item in value.values())


def _is_nested(value):
    """Return whether the value needs lines of its own. A list of words does not."""
    if isinstance(value, list):
        return any(isinstance(item, (dict, list)) for item in value)
    return isinstance(value, dict) and bool(value)


def _lines_of_item(item):
    if isinstance(item, dict) and set(item) == _LOG_ENTRY:
        level = "" if item["level"] == "info" else f"{_short(item['level'])}: "
        return [f"[{_short(item['uptime']):>6}] {_short(item['source'])}: {level}{_short(item['text'])}"]
    if isinstance(item, dict):
        known = [key for key in sorted(item, key=_name_first) if item[key] is not None]
        return [", ".join(f"{visible(key)}: {_short(item[key])}" for key in known)]
    return _lines(item)


def _name_first(key):
    return key != "name", key


def _short(value):
    if isinstance(value, str):
        return visible(value) or '""'
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(map(visible, value)) or "none"
    if isinstance(value, dict) and value and not any(isinstance(item, (dict, list)) for item in value.values()):
        return "; ".join(f"{visible(key)} {_short(value[key])}" for key in sorted(value))
    if isinstance(value, float):
        return f"{value:.7g}"
    if value is None:
        return "-"
    return visible(json.dumps(value, ensure_ascii=False, sort_keys=True))


def about(topic, lines):
    """Return the lines of the board's help about the method `topic`, or about methods whose name begins with it."""
    return [line for line in lines if line.startswith(topic)] or [line for line in lines if topic in line]
