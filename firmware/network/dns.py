"""The datagrams of the domain name system (RFC 1035). Loaded only during a look-up."""

from firmware import const

_ONE_QUESTION = const(b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")  # recursion desired
_A_IN = const(b"\x00\x01\x00\x01")
_HEADER = const(12)
_IS_ANSWER = const(0x80)
_POINTER = const(0xC0)


def question(mark, host):
    """Return a datagram that asks for an address of `host`. The answer must begin with `mark`, 2 bytes."""
    name = b""
    for label in host.rstrip(".").encode().split(b"."):
        name += bytes((len(label),)) + label
    return mark + _ONE_QUESTION + name + b"\x00" + _A_IN


def parse(datagram, mark):
    """Return (addresses, seconds they are valid) from the answer to the question with `mark`; None for other
    datagrams."""
    if len(datagram) < _HEADER or datagram[:2] != mark or not datagram[2] & _IS_ANSWER:
        return None
    found = []
    life_s = 0
    try:
        at = _HEADER
        for _ in range(_number(datagram, 4, 2)):
            at = _skip_name(datagram, at) + 4
        for _ in range(_number(datagram, 6, 2)):
            at = _skip_name(datagram, at)
            length = _number(datagram, at + 8, 2)
            if datagram[at : at + 2] + bytes((datagram[at + 2] & 0x7F, datagram[at + 3])) == _A_IN and length == 4:
                found.append(".".join(str(datagram[at + 10 + index]) for index in range(4)))
                life_s = _number(datagram, at + 4, 4)
            at += 10 + length
    except IndexError:  # it is truncated
        pass
    return found, life_s


def _number(datagram, at, size):
    return int.from_bytes(datagram[at : at + size], "big")


def _skip_name(datagram, at):
    """Return the end of the name at `at`: after a zero, or after a pointer to the rest."""
    while 0 < datagram[at] < _POINTER:
        at += 1 + datagram[at]
    return at + (2 if datagram[at] else 1)
