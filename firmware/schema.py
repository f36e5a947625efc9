"""The kinds of values a configuration is made of: each checks what it is given and knows its default.

`fill(value)` returns the checked value, completed with defaults, or raises `ConfigError`, which tells all that is
wrong: the key, the value and what was expected. A value is told only of a key that is known, has no secret and is no
structure: a secret may stand in any wrong place. `show(value)` is the value with every secret replaced.
"""

from firmware.config import ConfigError
from firmware.network.interface import is_address

HIDDEN = "***"
_MOST = 10  # faults that are told
_LONGEST = 40  # characters of what is told of a key or a value


def _short(text):
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _kind_of(value):
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "null" if value is None else "true or false" if isinstance(value, bool) else "a number"


class Kind:
    """A value with a default: `accepts(value)` tells whether it may be, `expected()` says in words what may be."""

    secret = False  # its value is shown to nobody
    plain = True  # it is one value, and no structure of values

    def __init__(self, default, accepts, expected):
        self.default = default
        self.accepts = accepts
        self.expected = expected

    def fill(self, value):
        """`value`, checked."""
        faults = []
        value = self.collect(value, "", faults)
        more = len(faults) - _MOST
        if more > 0:
            faults[_MOST:] = [f"and {more} more"]
        if faults:
            raise ConfigError(*faults)
        return value

    def collect(self, value, path, faults):
        """`value`; what is wrong with it goes to the list `faults`."""
        if not self.accepts(value):
            faults.append(f"{path or 'configuration'}: {self._told(value)} is not {self.expected()}")
        return value

    def _told(self, value):
        """What may be said of a wrong value."""
        kind = _kind_of(value)
        if self.secret and kind == "text":
            return HIDDEN
        if kind == "a number" and isinstance(self.default, str):
            return f"{kind}, without quotes," if self.secret else f"{_short(repr(value))}, {kind}, without quotes,"
        open_to_all = self.plain and not self.secret and kind not in ("an object", "a list")
        return _short(repr(value)) if open_to_all else kind

    def show(self, value):
        """`value` as it may be seen by anybody."""
        return HIDDEN if self.secret and value else value


def Flag(default):
    """true or false."""
    return Kind(default, lambda value: value is True or value is False, lambda: "true or false")


def _is_number(value, types, low, high):
    return isinstance(value, types) and not isinstance(value, bool) and low <= value <= high


def Integer(default, low, high):
    """A whole number in a range."""
    return Kind(
        default, lambda value: _is_number(value, int, low, high), lambda: f"a whole number from {low} to {high}"
    )


def Number(default, low, high):
    """A number in a range."""
    return Kind(
        default, lambda value: _is_number(value, (int, float), low, high), lambda: f"a number from {low} to {high}"
    )


def _is_text(value, shortest, longest):
    """True for text of a length in bytes, as the radio and the protocols count it."""
    return isinstance(value, str) and shortest <= len(value.encode()) <= longest


def Text(default="", shortest=0, longest=64):
    """Text of a length in bytes."""
    return Kind(
        default, lambda value: _is_text(value, shortest, longest), lambda: f"text of {shortest} to {longest} bytes"
    )


def Choice(default, *choices):
    """One of some texts."""
    return Kind(
        default,
        lambda value: isinstance(value, str) and value in choices,
        lambda: "one of " + ", ".join(repr(choice) for choice in choices),
    )


def Secret(shortest=1, longest=64):
    """Text that is never shown: empty, or of a length in bytes."""
    kind = Kind(
        "",
        lambda value: value == "" or value != HIDDEN and _is_text(value, shortest, longest),
        lambda: f"empty, or a secret of {shortest} to {longest} bytes",
    )
    kind.secret = True
    return kind


def HostName():
    """A name for one machine: letters, digits and hyphens, none at the ends; or empty."""
    return Kind("", _is_host_name, lambda: "a host name: at most 32 letters, digits and inner hyphens")


def _is_host_name(value):
    if not _is_text(value, 0, 32) or value.startswith("-") or value.endswith("-"):
        return False
    return all(("a" <= c.lower() <= "z") or ("0" <= c <= "9") or c == "-" for c in value)


def Address(default=""):
    """An IPv4 address, or empty."""
    return Kind(
        default,
        lambda value: value == "" or is_address(value),
        lambda: "an IPv4 address, as '192.168.1.20', or empty",
    )


def Collector():
    """Where datagrams go: "host" or "host:port"."""
    return Kind("", _is_collector, lambda: "a collector, as 'influx.local:8089'")


def _is_collector(value):
    if not _is_text(value, 1, 80):
        return False
    host, _, port = value.partition(":")
    return bool(host) and (not port or (port.isdigit() and 0 < int(port) < 65536))


def Optional(kind):
    """null, or a value of a kind."""
    return Kind(None, lambda value: value is None or kind.accepts(value), lambda: kind.expected() + ", or null")


class ListOf(Kind):
    """`least` to `most` values of one kind."""

    plain = False

    def __init__(self, kind, most, default=(), least=0):
        super().__init__(
            default,
            lambda value: isinstance(value, (list, tuple)) and least <= len(value) <= most,
            lambda: f"a list of {least} to {most}" if least else f"a list of at most {most}",
        )
        self._kind = kind

    def collect(self, value, path, faults):
        known = len(faults)
        super().collect(value, path, faults)
        if len(faults) > known:
            return value
        return [self._kind.collect(item, f"{path}.{index}", faults) for index, item in enumerate(value)]

    def show(self, value):
        return [self._kind.show(item) for item in value]


class Record(Kind):
    """Named values; what is not given has its default, what is not known is an error."""

    plain = False

    def __init__(self, **kinds):
        super().__init__({}, lambda value: isinstance(value, dict), lambda: "an object with " + self._known())
        self._kinds = kinds

    def _known(self):
        return ", ".join(sorted(self._kinds))

    def collect(self, value, path, faults):
        known = len(faults)
        super().collect(value, path, faults)
        if len(faults) > known:
            return value
        start = path + "." if path else ""
        for key in value:
            if key not in self._kinds:
                faults.append(f"{start}{_short(str(key))}: there is no such key; known here are {self._known()}")
        kinds = self._kinds.items()
        return {key: kind.collect(value.get(key, kind.default), start + key, faults) for key, kind in kinds}

    def show(self, value):
        return {key: kind.show(value[key]) for key, kind in self._kinds.items() if key in value}
