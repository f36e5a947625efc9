"""The kinds of values a configuration is made of: each checks what it is given and knows its default.

`fill(value, path)` returns the checked value, completed with defaults, or raises `ConfigError`, which names the
key, the value and what was expected. `show(value)` is the value with every secret replaced.
"""

from firmware.config import ConfigError
from firmware.network.interface import is_address

HIDDEN = "***"


class Kind:
    """A value with a default."""

    def __init__(self, default):
        self.default = default

    def expected(self):
        """What may be given, in words. Made when asked for: a chip's heap is small."""
        raise NotImplementedError

    def accepts(self, value):
        """True if `value` is one of this kind."""
        raise NotImplementedError

    def fill(self, value, path=""):
        """`value`, checked."""
        if not self.accepts(value):
            raise ConfigError(path, value, self.expected())
        return value

    def show(self, value):
        """`value` as it may be seen by anybody."""
        return value


class Flag(Kind):
    """true or false."""

    def expected(self):
        return "true or false"

    def accepts(self, value):
        return value is True or value is False


class Integer(Kind):
    """A whole number in a range."""

    def __init__(self, default, low, high):
        super().__init__(default)
        self._low = low
        self._high = high

    def expected(self):
        return f"a whole number from {self._low} to {self._high}"

    def accepts(self, value):
        return isinstance(value, int) and not isinstance(value, bool) and self._low <= value <= self._high


class Number(Kind):
    """A number in a range."""

    def __init__(self, default, low, high):
        super().__init__(default)
        self._low = low
        self._high = high

    def expected(self):
        return f"a number from {self._low} to {self._high}"

    def accepts(self, value):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and self._low <= value <= self._high


class Text(Kind):
    """Text of a length in bytes, as the radio and the protocols count it."""

    def __init__(self, default="", shortest=0, longest=64):
        super().__init__(default)
        self._shortest = shortest
        self._longest = longest

    def expected(self):
        return f"text of {self._shortest} to {self._longest} bytes"

    def accepts(self, value):
        return isinstance(value, str) and self._shortest <= len(value.encode()) <= self._longest


class Choice(Kind):
    """One of some texts."""

    def __init__(self, default, *choices):
        super().__init__(default)
        self._choices = choices

    def expected(self):
        return "one of " + ", ".join(repr(choice) for choice in self._choices)

    def accepts(self, value):
        return isinstance(value, str) and value in self._choices


class Secret(Text):
    """Text that is never shown: empty, or of a length in bytes."""

    def __init__(self, shortest=1, longest=64):
        super().__init__("", shortest, longest)

    def expected(self):
        return f"empty, or a secret of {self._shortest} to {self._longest} bytes"

    def accepts(self, value):
        return value == "" or (value != HIDDEN and super().accepts(value))

    def fill(self, value, path=""):
        if not self.accepts(value):
            raise ConfigError(path, HIDDEN, self.expected())
        return value

    def show(self, value):
        return HIDDEN if value else ""


class HostName(Text):
    """A name for one machine: letters, digits and hyphens, none at the ends; or empty."""

    def __init__(self, default=""):
        super().__init__(default, 0, 32)

    def expected(self):
        return "a host name: at most 32 letters, digits and inner hyphens"

    def accepts(self, value):
        if not super().accepts(value) or value.startswith("-") or value.endswith("-"):
            return False
        return all(("a" <= c.lower() <= "z") or ("0" <= c <= "9") or c == "-" for c in value)


class Address(Text):
    """An IPv4 address, or empty."""

    def __init__(self, default=""):
        super().__init__(default, 0, 15)

    def expected(self):
        return "an IPv4 address, as '192.168.1.20', or empty"

    def accepts(self, value):
        return value == "" or is_address(value)


class Collector(Text):
    """Where datagrams go: "host" or "host:port"."""

    def __init__(self):
        super().__init__("", 1, 80)

    def expected(self):
        return "a collector, as 'influx.local:8089'"

    def accepts(self, value):
        if not super().accepts(value):
            return False
        host, _, port = value.partition(":")
        return bool(host) and (not port or (port.isdigit() and 0 < int(port) < 65536))


class ListOf(Kind):
    """Up to `most` values of one kind."""

    def __init__(self, kind, most, default=()):
        super().__init__(default)
        self._kind = kind
        self._most = most

    def expected(self):
        return f"a list of at most {self._most}"

    def accepts(self, value):
        return isinstance(value, (list, tuple)) and len(value) <= self._most

    def fill(self, value, path=""):
        values = super().fill(value, path)
        return [self._kind.fill(item, f"{path}.{index}") for index, item in enumerate(values)]

    def show(self, value):
        return [self._kind.show(item) for item in value]


class Record(Kind):
    """Named values; what is not given has its default, what is not known is an error."""

    def __init__(self, **kinds):
        super().__init__(None)
        self._kinds = kinds

    def expected(self):
        return "an object with " + ", ".join(sorted(self._kinds))

    def accepts(self, value):
        return isinstance(value, dict)

    def fill(self, value, path=""):
        super().fill(value, path)
        start = path + "." if path else ""
        for key in value:
            if key not in self._kinds:
                known = ", ".join(sorted(self._kinds))
                raise ConfigError(f"{start}{key}", "this key", f"known here; known are {known}")
        return {
            key: kind.fill(value[key] if key in value else kind_default(kind), start + key)
            for key, kind in self._kinds.items()
        }

    def show(self, value):
        return {key: kind.show(value[key]) for key, kind in self._kinds.items() if key in value}


class Optional(Kind):
    """null, or a value of a kind."""

    def __init__(self, kind):
        super().__init__(None)
        self._kind = kind

    def expected(self):
        return self._kind.expected() + ", or null"

    def accepts(self, value):
        return value is None or self._kind.accepts(value)

    def show(self, value):
        return None if value is None else self._kind.show(value)


def kind_default(kind):
    """What a kind is filled from when nothing is given: a record completes itself."""
    return {} if isinstance(kind, Record) else kind.default
