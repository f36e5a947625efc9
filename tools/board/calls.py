"""Calls for people: `help` takes a topic, and an error suggests what would be right."""

from tools.board.answers import about
from tools.board.errors import BoardError, ToolError
from tools.board.gate import LONGEST_MESSAGE, visible

HELP = [str]
_METHOD_NOT_FOUND, _INVALID_PARAMS = -32601, -32602
_MOST_NAMED = 12
_CHANGES = {"config.set": ["key", "value"], "config.reset": ["key"]}  # the methods that may change the token
_WORDS = {
    ("gpio.mode", "mode"): ["in", "out", "open_drain", "analog"],
    ("gpio.mode", "pull"): ["up", "down"],
    ("gpio.write", "value"): ["0", "1"],
}
_PINS = "gpio.pins"  # the error about a pin that does not exist names it
_WITH_PIN = ("gpio.mode", "gpio.read", "gpio.write", "pwm.set", "adc.read")


def call(client, method, params):
    """Return the result of a method. Raises ToolError."""
    topic = _topic(params) if method == "help" else None
    if topic:
        found = about(topic, client.call("help", shape=HELP))
        if not found:
            raise ToolError(f"{client} has no method about {topic!r}; help lists the methods")
        return found
    try:
        return client.call(method, _with_proof(client, method, params))
    except BoardError as error:
        hint = _hint(client, error, method, params)
        if not hint:
            raise
        raise BoardError(error.code, f"{error.args[0]}; {hint}"[:LONGEST_MESSAGE]) from None


def _with_proof(client, method, params):
    """Return the parameters. If they change the board's token, add the proof that its owner wants that."""
    names = _CHANGES.get(method)
    if not names or len(params or ()) > len(names):
        return params
    given = dict(zip(names, params)) if isinstance(params, list) else dict(params or {})
    token = _new_token(given.get("key") or "", given.get("value"))
    return params if token is None or "proof" in given else {**given, "proof": client.prove("token", token)}


def _new_token(key, value):
    """Return the token that config.set or config.reset would set; None if the token does not change."""
    if key == "control" and isinstance(value, dict):
        value = value.get("token")
    return (value if isinstance(value, str) else "") if key in ("", "control", "control.token") else None


def _topic(params):
    if isinstance(params, list) and len(params) == 1:
        return str(params[0])
    return None


def _hint(client, error, method, params):
    """Return what would be right, or "" if that is unknown."""
    try:
        if error.code == _METHOD_NOT_FOUND:
            return _of_the_same_kind(client, method)
        if error.code == _INVALID_PARAMS and method in _WITH_PIN and _PINS in error.args[0]:
            return "there are " + _ranges(client.call("gpio.pins", shape=list))
    except ToolError:
        pass
    return ""


def _of_the_same_kind(client, method):
    names = [line.replace(":", " ").split()[0] for line in client.call("help", shape=HELP) if line.split()]
    kind = method.partition(".")[0]
    same = [name for name in names if name.partition(".")[0] == kind]
    return "there are " + _named(same) if same else ""


def sensors(client):
    """Return the names of the board's sensors."""
    return [sensor["name"] for sensor in client.call("sensor.list", shape=[{"name": str}])]


def values(client, methods):
    """Return {(method, parameter): possible values} for completion, as far as a board with these methods shows them."""
    found = dict(_WORDS)
    if not {"sensor.list", "config.get"} <= set(methods):
        return found
    try:
        found["sensor.read", "name"] = sensors(client)
        if "gpio.pins" in methods:
            pins = [str(pin) for pin in client.call("gpio.pins", shape=list)]
            found.update({(method, "pin"): pins for method in _WITH_PIN})
        sections = client.call("config.get", shape=dict)
        keys = [f"{section}.{key}" for section, inner in sections.items() if isinstance(inner, dict) for key in inner]
        for method in ("config.get", "config.set", "config.reset"):
            found[method, "key"] = sorted([*keys, *sections] if method != "config.set" else keys)
        found["telemetry.set", "key"] = sorted(key[len("telemetry.") :] for key in keys if key.startswith("telemetry."))
    except ToolError:
        pass  # another firmware: no suggestions
    return {place: [visible(word, 80) for word in words] for place, words in found.items()}


def _named(names):
    names = list(names)
    more = ", …" if len(names) > _MOST_NAMED else ""
    return ", ".join(visible(name, 40) for name in names[:_MOST_NAMED]) + more


def _ranges(pins):
    """Return the pins' names, with runs of numbers as "0 to 22"."""
    runs = []
    for pin in pins:
        if runs and type(pin) is type(runs[-1][1]) is int and pin == runs[-1][1] + 1:
            runs[-1][1] = pin
        else:
            runs.append([pin, pin])
    return _named(str(first) if first == last else f"{first} to {last}" for first, last in runs)
