"""Access by challenge and response: the token is never sent, and a recorded answer opens nothing.

The client asks for a nonce and answers with HMAC-SHA256(token, nonce), in hexadecimal. A nonce is good for one
answer, on one connection, for a short time.
"""

import binascii
import hashlib
import os

from firmware import const

NONCE_BYTES = 16
NONCE_LIFE_S = 30
_BLOCK_BYTES = const(64)  # of SHA-256
_FIRST_DELAY_S = const(1)
_LONGEST_DELAY_S = const(300)
_ADDRESSES = const(32)  # remembered; the one that failed longest ago makes room


def hmac_sha256(key, message):
    """RFC 2104: H(key ^ opad, H(key ^ ipad, message)), 32 bytes. MicroPython has no hmac module."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key + bytes(_BLOCK_BYTES - len(key))
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
    inner.update(message)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
    outer.update(inner.digest())
    return outer.digest()


def equal(left, right):
    """True if two byte strings are the same, in a time that does not tell where they differ."""
    if len(left) != len(right):
        return False
    difference = 0
    for index, byte in enumerate(left):
        difference |= byte ^ right[index]
    return difference == 0


def new_nonce():
    """Hexadecimal text that nobody can foresee."""
    return binascii.hexlify(os.urandom(NONCE_BYTES)).decode()


def response(token, nonce):
    """What answers `nonce`, as hexadecimal text."""
    return binascii.hexlify(hmac_sha256(token.encode(), nonce.encode())).decode()


class Gate:
    """Counts failures per address, and makes each of them wait twice as long as the last."""

    def __init__(self, clock):
        self._clock = clock
        self._failures = {}  # address: [count, uptime from which it may try again]

    def delay_s(self, address):
        """Seconds that `address` has to wait; 0 if it may try now."""
        entry = self._failures.get(address)
        return max(entry[1] - self._clock.uptime(), 0) if entry else 0

    def failed(self, address):
        """Note a failure; returns the seconds to wait."""
        count = self._failures.get(address, (0,))[0] + 1
        delay_s = min(_FIRST_DELAY_S * 2 ** min(count - 1, 16), _LONGEST_DELAY_S)
        if address not in self._failures and len(self._failures) >= _ADDRESSES:
            oldest = min(self._failures, key=lambda known: self._failures[known][1])
            del self._failures[oldest]
        self._failures[address] = (count, self._clock.uptime() + delay_s)
        return delay_s

    def passed(self, address):
        """Forget the failures of `address`."""
        self._failures.pop(address, None)
