"""The kinds of values a configuration is made of: each checks what it is given and knows its default.

`fill(value)` returns the checked value, completed with defaults, or raises `ConfigError`, which tells all that is
wrong: the key, the value and what was expected. A value is told only of a key that is known, has no secret and is no
structure: a secret may stand in any wrong place. `show(value)` is the value with every secret replaced.
"""

import sys

from firmware import borrow
from firmware.config import ConfigError
from firmware.network.interface import is_address

_THIS = sys.modules[__name__]
HIDDEN = "***"
_MOST = 10  # faults that are told
_LONGEST = 40  # characters of what is told of a key or a value


def _short(text):
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _kind_of(value):
    kinds = {str: "text", dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


class Kind:
    """A value of a type with a default. Numbers have a range, text a length in bytes, as the radio counts it.
    Of text that needs more, `check(value)` tells whether it may be, and `words` say what may be."""

    secret = False  # its value is shown to nobody
    plain = True  # it is one value, and no structure of values

    def __init__(self, type, default, low=0, high=0, check=None, words=None):
        self.type = type
        self.default = default
        self._low = low
        self._high = high
        self._check = check
        self._words = words

    def accepts(self, value):
        """Whether it may be."""
        if self.type is bool or isinstance(value, bool):
            return self.type is bool and isinstance(value, bool)
        if not isinstance(value, str):
            return isinstance(value, (int, self.type)) and self.type is not str and self._low <= value <= self._high
        if self.type is not str or self._check and not self._check(value):
            return False
        if self.secret and (not value or value == HIDDEN):
            return not value
        return self._low <= len(value.encode()) <= self._high

    def expected(self):
        """What may be, in words."""
        if self._words:
            return self._words
        if self.type is bool:
            return "true or false"
        limits = f"{self._low} to {self._high}"
        if self.type is str:
            return f"{'empty, or a secret' if self.secret else 'text'} of {limits} bytes"
        return f"a {'whole ' if self.type is int else ''}number from {limits}"

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
        if value is None and self.default is None:
            return value
        if not self.accepts(value):
            null = ", or null" if self.default is None else ""
            faults.append(f"{path or 'configuration'}: {self._told(value)} is not {self.expected()}{null}")
        return value

    def _told(self, value):
        """What may be said of a wrong value."""
        kind = _kind_of(value)
        if self.secret and kind == "text":
            return HIDDEN
        told = kind if self.secret or not self.plain or kind in ("an object", "a list") else _short(repr(value))
        return told + ", without quotes," if kind == "a number" and self.type is str else told

    def show(self, value):
        """`value` as it may be seen by anybody."""
        return HIDDEN if self.secret and value else value


def Flag(default):
    """true or false."""
    return Kind(bool, default)


def Integer(default, low, high):
    """A whole number in a range."""
    return Kind(int, default, low, high)


def Number(default, low, high):
    """A number in a range."""
    return Kind(float, default, low, high)


def Text(default="", shortest=0, longest=64):
    """Text of a length in bytes."""
    return Kind(str, default, shortest, longest)


def Choice(default, *choices):
    """One of some texts."""
    words = "one of " + ", ".join(repr(choice) for choice in choices)
    return Kind(str, default, 0, 99, lambda value: value in choices, words)


def Secret(shortest=1, longest=64):
    """Text that is never shown: empty, or of a length in bytes."""
    kind = Kind(str, "", shortest, longest)
    kind.secret = True
    return kind


def HostName():
    """A name for one machine: letters, digits and hyphens, none at the ends; or empty."""
    words = "a host name: at most 32 letters, digits and inner hyphens"
    return Kind(str, "", 0, 32, _is_host_name, words)


def _is_host_name(value):
    if value.startswith("-") or value.endswith("-"):
        return False
    return all(("a" <= c.lower() <= "z") or ("0" <= c <= "9") or c == "-" for c in value)


def WifiKey():
    """What a station joins with: empty, a password, or the network's key itself."""
    kind = Secret(8, 63)
    is_password = kind.accepts
    kind.accepts = lambda value: is_password(value) or _is_key(value)
    kind.expected = lambda: "empty, a password of 8 to 63 bytes, or a key of 64 hexadecimal digits"
    return kind


def _is_key(value):
    return isinstance(value, str) and len(value) == 64 and is_of(value.lower(), "0123456789abcdef")


def is_of(text, characters):
    return all(c in characters for c in text)


def Address(default=""):
    """An IPv4 address, or empty."""
    words = "an IPv4 address, as '192.168.1.20', or empty"
    return Kind(str, default, 0, 15, lambda value: value == "" or _is_ipv4(value), words)


def _is_ipv4(value):
    return is_of(value, ".0123456789") and is_address(value)


def Netmask():
    """Which part of an address is the network's."""
    return Kind(str, "255.255.255.0", 7, 15, _is_netmask, "a netmask, as '255.255.255.0'")


def _number(address):
    """An IPv4 address as one number."""
    return int.from_bytes(bytes(int(part) for part in address.split(".")), "big")


def _is_netmask(value):
    if not _is_ipv4(value):
        return False
    hosts = 0xFFFFFFFF - _number(value)
    return hosts & hosts + 1 == 0 and 3 <= hosts < 0xFFFFFFFF


def check_static(values, start):
    """The faults of a static address: it and its gateway have to be in one subnet."""
    return borrow("firmware.subnet").faults(values, start, _number) if values["address"] else []


def Measurement(default):
    """The name that InfluxDB stores the lines under. It takes a line that begins with # for a comment."""
    words = "text of 1 to 32 bytes that does not begin with '#'"
    return Kind(str, default, 1, 32, lambda value: value[:1] != "#", words)


def Tag():
    """One more tag for each line: "key=value". InfluxDB refuses all lines with a wrong one."""
    return Kind(str, "", 3, 64, _is_tag, "a tag, as 'room=kitchen', not " + _NO_TAGS)


_NO_TAGS = "device, time, _field, _measurement"  # the firmware's own, and InfluxDB's


def _is_tag(value):
    key, _, content = value.partition("=")
    return bool(key and content) and key not in _NO_TAGS.split(", ")


def Server(default, kind, may_be_empty=True):
    """A machine elsewhere, `kind` in words: "host" or "host:port"; empty is none."""
    words = f"{kind}: a name or an IPv4 address, and :port if it is another; IPv6 is not supported"
    return Kind(str, default, 0, 80, lambda value: may_be_empty and value == "" or _is_server(value), words)


def _is_server(value):
    host, colon, port = value.partition(":")
    is_port = 0 < len(port) < 6 and is_of(port, "0123456789") and 0 < int(port) < 65536
    return _is_host(host) and (is_port or not colon)


def _is_host(host):
    """True for an address, or a name whose last part is not a number."""
    labels = (host[:-1] if host.endswith(".") else host).split(".")
    if is_of(labels[-1], "0123456789"):
        return _is_ipv4(host)
    return all(0 < len(label) < 64 and is_of(label.lower(), _NAME) for label in labels)


_NAME = "abcdefghijklmnopqrstuvwxyz0123456789-_"


def Optional(kind):
    """null, or a value of a kind."""
    kind.default = None
    return kind


class ListOf(Kind):
    """`least` to `most` values of one kind."""

    plain = False

    def __init__(self, kind, most, default=(), least=0):
        super().__init__(list, default, least, most)
        self._kind = kind

    def accepts(self, value):
        return isinstance(value, (list, tuple)) and self._low <= len(value) <= self._high

    def expected(self):
        return f"a list of {self._low} to {self._high}"

    def collect(self, value, path, faults):
        known = len(faults)
        super().collect(value, path, faults)
        if len(faults) > known:
            return value
        return [self._kind.collect(item, f"{path}.{index}", faults) for index, item in enumerate(value)]

    def show(self, value):
        return [self._kind.show(item) for item in value]


class Record(Kind):
    """Named values; what is not given has its default, what is not known is an error.

    `fit(values, start)` looks at values that have to fit each other; `start` is what comes before their keys.
    """

    plain = False

    def __init__(self, fit=None, **kinds):
        super().__init__(dict, {})
        self._kinds = kinds
        self._fit = fit

    def accepts(self, value):
        return isinstance(value, dict)

    def expected(self):
        return "an object with " + self._known()

    def _known(self):
        return ", ".join(sorted(self._kinds))

    def collect(self, value, path, faults):
        if not isinstance(value, dict):
            return super().collect(value, path, faults)
        start = path + "." if path else ""
        for key in value:
            if key not in self._kinds:
                faults.append(f"{start}{_short(str(key))}: there is no such key; known here are {self._known()}")
        known = len(faults)
        kinds = self._kinds.items()
        values = {key: kind.collect(value.get(key, kind.default), start + key, faults) for key, kind in kinds}
        if self._fit and len(faults) == known:
            faults += self._fit(values, start)
        return values

    def show(self, value):
        return {key: kind.show(value[key]) for key, kind in self._kinds.items() if key in value}


class Apart(Kind):
    """A section that most boards do not use: its keys are in `VALUES` of a module of its own, loaded when needed."""

    plain = False
    only_used = False  # what is not given is {}, and its keys are not loaded

    def __init__(self, module):
        super().__init__(dict, {})
        self._module = module

    def _values(self):
        sys.modules["firmware.schema"] = _THIS  # it was borrowed
        return borrow(self._module, "firmware.schema").VALUES

    def collect(self, value, path, faults):
        return {} if self.only_used and value == {} else self._values().collect(value, path, faults)

    def show(self, value):
        return self._values().show(value)
