"""The kinds of values in a configuration. Each checks a given value and knows its default.

`fill(value)` returns the checked value, completed with defaults, or raises `ConfigError` with all faults: the key, the
value and what was expected. A fault shows the value only if the key is known, is no secret and takes a single value,
because a secret may have been entered in the wrong place. `show(value)` is the value with every secret replaced.
"""

import sys

from firmware import borrow, const
from firmware.config import ConfigError
from firmware.network import is_address

_THIS = sys.modules[__name__]
_HIDDEN = const("***")
_NO_TAGS = const("device, time, _field, _measurement")  # the firmware's own, and names that InfluxDB reserves
_NAME = const("abcdefghijklmnopqrstuvwxyz0123456789-_")
_MOST = const(10)  # faults that are reported
_LONGEST = const(40)  # characters of a key or a value in a report


def _short(text):
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _kind_of(value):
    kinds = {str: "text", dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


class Kind:
    """A value of a type with a default. Numbers have a range, and text has a length in bytes, as the radio counts it.
    `check(value)` tests further conditions, and `words` describe them."""

    secret = False  # its value is never shown
    plain = True  # it is a single value, not a list or an object

    def __init__(self, type, default, low=0, high=0, check=None, words=None):
        self.type = type
        self.default = default
        self._low = low
        self._high = high
        self._check = check
        self._words = words

    def accepts(self, value):
        """Return True if the value is allowed."""
        if self.type is bool or isinstance(value, bool):
            return self.type is bool and isinstance(value, bool)
        if not isinstance(value, str):
            return isinstance(value, (int, self.type)) and self.type is not str and self._low <= value <= self._high
        if self.type is not str or self._check and not self._check(value):
            return False
        if self.secret and (not value or value == _HIDDEN):
            return not value
        return self._low <= len(value.encode()) <= self._high

    def expected(self):
        """Return a text that describes the allowed values."""
        if self._words:
            return self._words
        if self.type is bool:
            return "true or false"
        limits = f"{self._low} to {self._high}"
        if self.type is str:
            return f"a secret of {limits} bytes, or empty" if self.secret else f"text of {limits} bytes"
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
        """Return `value`. Faults are added to the list `faults`."""
        if value is None and self.default is None:
            return value
        if not self.accepts(value):
            null = ", or null" if self.default is None else ""
            faults.append(f"{path or 'configuration'}: {self._told(value)} is not {self.expected()}{null}")
        return value

    def _told(self, value):
        """Return the part of a wrong value that a report may show."""
        kind = _kind_of(value)
        if self.secret and kind == "text":
            return "the value"
        told = kind if self.secret or not self.plain or kind in ("an object", "a list") else _short(repr(value))
        return told + ", without quotes," if kind == "a number" and self.type is str else told

    def show(self, value):
        """Return `value` with secrets replaced."""
        return _HIDDEN if self.secret and value else value


def Flag(default):
    """Return a kind: true or false."""
    return Kind(bool, default)


def Integer(default, low, high):
    """Return a kind: a whole number in a range."""
    return Kind(int, default, low, high)


def Number(default, low, high):
    """Return a kind: a number in a range."""
    return Kind(float, default, low, high)


def Text(default="", shortest=0, longest=64):
    """Return a kind: text with a length in bytes."""
    return Kind(str, default, shortest, longest)


def Choice(default, *choices):
    """Return a kind: one of several texts."""
    words = "one of " + ", ".join(repr(choice) for choice in choices)
    return Kind(str, default, 0, 99, lambda value: value in choices, words)


def Secret(shortest=1, longest=64):
    """Return a kind: text that is never shown, empty or with a length in bytes."""
    kind = Kind(str, "", shortest, longest)
    kind.secret = True
    return kind


def HostName():
    """Return a kind: a host name of letters, digits and inner hyphens, or empty."""
    words = "a host name: at most 32 letters, digits and inner hyphens"
    return Kind(str, "", 0, 32, _is_host_name, words)


def _is_host_name(value):
    if value.startswith("-") or value.endswith("-"):
        return False
    return "_" not in value and is_of(value.lower(), _NAME)


def WifiKey():
    """Return a kind: the secret of a Wi-Fi network, which is empty, a password, or the key itself."""
    kind = Secret(8, 63)
    is_password = kind.accepts
    kind.accepts = lambda value: is_password(value) or _is_key(value)
    kind.expected = lambda: "a password of 8 to 63 bytes, a key of 64 hexadecimal digits, or empty"
    return kind


def _is_key(value):
    return isinstance(value, str) and len(value) == 64 and is_of(value.lower(), "0123456789abcdef")


def is_of(text, special):
    special = special.encode()
    return all(one in special for one in text.encode())  # bytes: MicroPython never frees a string of one character


def Address(default=""):
    """Return a kind: an IPv4 address, or empty."""
    words = "an IPv4 address like '192.168.1.20', or empty"
    return Kind(str, default, 0, 15, lambda value: value == "" or _is_ipv4(value), words)


def _is_ipv4(value):
    return is_of(value, ".0123456789") and is_address(value)


def Netmask():
    """Return a kind: a netmask."""
    return Kind(str, "255.255.255.0", 7, 15, _is_netmask, "a netmask like '255.255.255.0'")


def _number(address):
    """Return an IPv4 address as a number."""
    return int.from_bytes(bytes(int(part) for part in address.split(".")), "big")


def _is_netmask(value):
    if not _is_ipv4(value):
        return False
    hosts = 0xFFFFFFFF - _number(value)
    return hosts & hosts + 1 == 0 and 3 <= hosts < 0xFFFFFFFF


def check_static(values, start):
    """Return the faults of a static address. It has to be in the same subnet as its gateway."""
    return borrow("firmware.config.subnet").faults(values, start, _number) if values["address"] else []


def Measurement(default):
    """Return a kind: the name under which InfluxDB stores the lines. A line that begins with # would be a comment."""
    words = "text of 1 to 32 bytes that does not begin with '#'"
    return Kind(str, default, 1, 32, lambda value: value[:1] != "#", words)


def Tag():
    """Return a kind: a tag for each line, "key=value". InfluxDB refuses a line with a wrong tag."""
    return Kind(str, "", 3, 64, _is_tag, "a tag like 'room=kitchen', not " + _NO_TAGS)


def _is_tag(value):
    key, _, content = value.partition("=")
    return bool(key and content) and key not in _NO_TAGS.split(", ")


def Server(default, kind, shortest=0):
    """Return a kind: another machine, "host" or "host:port". `kind` describes it. It may be empty, unless `shortest`
    is 1."""
    words = f"{kind}: a name or an IPv4 address, with :port if needed; no IPv6"
    return Kind(str, default, shortest, 80, lambda value: value == "" or _is_server(value), words)


def _is_server(value):
    host, colon, port = value.partition(":")
    is_port = 0 < len(port) < 6 and is_of(port, "0123456789") and 0 < int(port) < 65536
    return _is_host(host) and (is_port or not colon)


def _is_host(host):
    """Return True for an address, or a name whose last part is not a number."""
    labels = (host[:-1] if host.endswith(".") else host).split(".")
    if is_of(labels[-1], "0123456789"):
        return _is_ipv4(host)
    return all(0 < len(label) < 64 and is_of(label.lower(), _NAME) for label in labels)


def Optional(kind):
    """null, or a value of a kind."""
    kind.default = None
    return kind


class ListOf(Kind):
    """A list of `least` to `most` values of one kind."""

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
        filled = []  # loops here and below, because a comprehension is one more call, and a chip's stack is small
        for index, item in enumerate(value):
            filled.append(self._kind.collect(item, f"{path}.{index}", faults))
        return filled

    def show(self, value):
        return [self._kind.show(item) for item in value]


class Record(Kind):
    """Named values. Missing keys get their defaults, and unknown keys are errors.

    `fit(values, start)` checks values that depend on each other; `start` is the text before their keys.
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
        values = {}
        for key, kind in self._kinds.items():
            values[key] = kind.collect(value.get(key, kind.default), start + key, faults)
        if self._fit and len(faults) == known:
            faults += self._fit(values, start)
        return values

    def show(self, value):
        return {key: kind.show(value[key]) for key, kind in self._kinds.items() if key in value}


class Apart(Kind):
    """A section that most boards do not use. Its keys are in `VALUES` of a separate module, loaded when needed."""

    plain = False
    used = False  # a missing section is {}, and its keys are not loaded

    def __init__(self, module):
        super().__init__(dict, {})
        self._module = module

    def _values(self):
        was_loaded = "firmware.config.schema" in sys.modules
        sys.modules["firmware.config.schema"] = _THIS  # the module may be unloaded
        values = borrow(self._module).VALUES
        if not was_loaded:
            del sys.modules["firmware.config.schema"]
        return values

    def collect(self, value, path, faults):
        return {} if self.used and value == {} else self._values().collect(value, path, faults)

    def show(self, value):
        return self._values().show(value)
