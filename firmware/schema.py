"""The kinds of values a configuration is made of: each checks what it is given and knows its default.

`fill(value, path)` returns the checked value, completed with defaults, or raises `ConfigError`, which names the
key, the value and what was expected. `show(value)` is the value with every secret replaced.
"""

from firmware.config import ConfigError
from firmware.network.interface import is_address

HIDDEN = "***"


class Kind:
    """A value with a default: `accepts(value)` tells whether it may be, `expected()` says in words what may be."""

    secret = False

    def __init__(self, default, accepts, expected):
        self.default = default
        self.accepts = accepts
        self.expected = expected

    def fill(self, value, path=""):
        """`value`, checked."""
        if not self.accepts(value):
            raise ConfigError(path, HIDDEN if self.secret else value, self.expected())
        return value

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


def Measurement(default):
    """The name that InfluxDB stores the lines under. It takes a line that begins with # for a comment."""
    return Kind(
        default,
        lambda value: _is_text(value, 1, 32) and value[0] != "#",
        lambda: "text of 1 to 32 bytes that does not begin with '#'",
    )


def Tag():
    """One more tag for each line: "key=value". InfluxDB refuses all lines with a wrong one."""
    return Kind("", _is_tag, lambda: "a tag, as 'room=kitchen', not " + _NO_TAGS)


_NO_TAGS = "device, time, _field, _measurement"  # the firmware's own, and InfluxDB's


def _is_tag(value):
    if not _is_text(value, 3, 64):
        return False
    key, _, content = value.partition("=")
    return bool(key and content) and key not in _NO_TAGS.split(", ")


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
    """Up to `most` values of one kind."""

    def __init__(self, kind, most, default=()):
        super().__init__(
            default,
            lambda value: isinstance(value, (list, tuple)) and len(value) <= most,
            lambda: f"a list of at most {most}",
        )
        self._kind = kind

    def fill(self, value, path=""):
        values = super().fill(value, path)
        return [self._kind.fill(item, f"{path}.{index}") for index, item in enumerate(values)]

    def show(self, value):
        return [self._kind.show(item) for item in value]


class Record(Kind):
    """Named values; what is not given has its default, what is not known is an error."""

    def __init__(self, **kinds):
        super().__init__({}, lambda value: isinstance(value, dict), lambda: "an object with " + self._known())
        self._kinds = kinds

    def _known(self):
        return ", ".join(sorted(self._kinds))

    def fill(self, value, path=""):
        super().fill(value, path)
        start = path + "." if path else ""
        for key in value:
            if key not in self._kinds:
                raise ConfigError(f"{start}{key}", "this key", f"known here; known are {self._known()}")
        return {key: kind.fill(value.get(key, kind.default), start + key) for key, kind in self._kinds.items()}

    def show(self, value):
        return {key: kind.show(value[key]) for key, kind in self._kinds.items() if key in value}
