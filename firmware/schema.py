"""The kinds of values a configuration is made of: each checks what it is given and knows its default.

`fill(value, path)` returns the checked value, completed with defaults, or raises `ConfigError`, which names the
key, the value and what was expected. `show(value)` is the value with every secret replaced.
"""

from firmware import borrow
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


def WifiKey():
    """What a station joins with: empty, a password, or the network's key itself."""
    kind = Secret(8, 63)
    is_password = kind.accepts
    kind.accepts = lambda value: is_password(value) or _is_text(value, 64, 64) and _is_of(value.lower(), _HEX)
    kind.expected = lambda: "empty, a password of 8 to 63 bytes, or a key of 64 hexadecimal digits"
    return kind


_HEX = "0123456789abcdef"


def _is_of(text, characters):
    return all(c in characters for c in text)


def Address(default=""):
    """An IPv4 address, or empty."""
    return Kind(
        default,
        lambda value: value == "" or _is_ipv4(value),
        lambda: "an IPv4 address, as '192.168.1.20', or empty",
    )


def _is_ipv4(value):
    return isinstance(value, str) and _is_of(value, ".0123456789") and is_address(value)


def Netmask():
    """Which part of an address is the network's."""
    return Kind("255.255.255.0", _is_netmask, lambda: "a netmask, as '255.255.255.0'")


def _number(address):
    """An IPv4 address as one number."""
    return int.from_bytes(bytes(int(part) for part in address.split(".")), "big")


def _is_netmask(value):
    if not _is_ipv4(value):
        return False
    hosts = 0xFFFFFFFF - _number(value)
    return hosts & hosts + 1 == 0 and 3 <= hosts < 0xFFFFFFFF


def check_static(values, start):
    """A static address and its gateway have to be in one subnet. Raises ConfigError."""
    if values["address"]:
        borrow("firmware.subnet").check(values, start, _number)


def Server(default, kind):
    """A machine elsewhere, `kind` in words: "host" or "host:port". Where there is a default, it may be empty: none."""
    return Kind(
        default,
        lambda value: bool(default and value == "") or _is_server(value),
        lambda: f"{kind}: a name or an IPv4 address, and :port if it is another; IPv6 is not supported",
    )


def _is_server(value):
    if not _is_text(value, 1, 80):
        return False
    host, colon, port = value.partition(":")
    is_port = 0 < len(port) < 6 and _is_of(port, "0123456789") and 0 < int(port) < 65536
    return _is_host(host) and (is_port or not colon)


def _is_host(host):
    """True for an address, or a name whose last part is not a number."""
    labels = (host[:-1] if host.endswith(".") else host).split(".")
    if _is_of(labels[-1], "0123456789"):
        return _is_ipv4(host)
    return all(0 < len(label) < 64 and _is_of(label.lower(), _NAME) for label in labels)


_NAME = "abcdefghijklmnopqrstuvwxyz0123456789-_"


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
    """Named values; what is not given has its default, what is not known is an error.

    `check(values, start)` looks at values that have to fit each other; `start` is what comes before their keys.
    """

    def __init__(self, check=None, **kinds):
        super().__init__({}, lambda value: isinstance(value, dict), lambda: "an object with " + self._known())
        self._kinds = kinds
        self._check = check

    def _known(self):
        return ", ".join(sorted(self._kinds))

    def fill(self, value, path=""):
        super().fill(value, path)
        start = path + "." if path else ""
        for key in value:
            if key not in self._kinds:
                raise ConfigError(f"{start}{key}", "this key", f"known here; known are {self._known()}")
        values = {key: kind.fill(value.get(key, kind.default), start + key) for key, kind in self._kinds.items()}
        if self._check:
            self._check(values, start)
        return values

    def show(self, value):
        return {key: kind.show(value[key]) for key, kind in self._kinds.items() if key in value}
