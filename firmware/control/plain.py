"""Plain words instead of JSON, for people: `gpio.write pin=2 value=1` is answered with text."""

from firmware.control.jsonrpc import RpcError
from firmware.jsontext import dumps, loads, sound


def reply(method, rest, call):
    """Return the answer to `method` with the words `rest` as text."""
    try:
        return sound(_plain(call(method, _plain_params(sound(rest)))))
    except RpcError as error:
        return f"error: {error.message}"


def _plain_params(text):
    """Return `pin=2 value=1` as an object and `2 1` as an array. A value that is not JSON is text."""
    words = text.split()
    if words and all("=" in word for word in words):
        return {word.split("=", 1)[0]: _plain_value(word.split("=", 1)[1]) for word in words}
    return [_plain_value(word) for word in words]


def _plain_value(word):
    try:
        return loads(word)
    except ValueError:
        return word


def _plain(result):
    """Return a result for people: a line for each key or item."""
    if isinstance(result, str):
        return result
    if isinstance(result, dict):
        return "\n".join(f"{key}: {_plain_item(result[key])}" for key in sorted(result))
    if isinstance(result, list):
        return "\n".join(_plain_item(item) for item in result) or "none"
    return dumps(result)


def _plain_item(item):
    return item if isinstance(item, str) else dumps(item)
