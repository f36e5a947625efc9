"""Access: firmware/control/auth.py."""

import hmac
import random

import pytest
from fakes import FakeClock

from firmware.control.auth import Gate, equal, hmac_sha256, new_nonce, response

# RFC 4231, section 4: key, data, HMAC-SHA-256. Case 5 truncates and is left out.
RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize("key, data, expected", RFC_4231)
def test_hmac_vectors(key, data, expected):
    assert hmac_sha256(key, data).hex() == expected


def test_hmac_as_the_standard_library_for_all_key_lengths():
    chance = random.Random(4)
    for length in range(0, 140):
        key, data = chance.randbytes(length), chance.randbytes(length)
        assert hmac_sha256(key, data) == hmac.digest(key, data, "sha256")


def test_equal():
    assert equal(b"abc", b"abc") and equal(b"", b"")
    assert not equal(b"abc", b"abd") and not equal(b"abc", b"abcd") and not equal(b"xbc", b"abc")


def test_equal_looks_at_every_byte_wherever_they_differ():
    class Counting(bytes):
        looked = 0

        def __getitem__(self, index):
            Counting.looked += 1
            return super().__getitem__(index)

    counts = []
    for right in (b"x" + b"a" * 63, b"a" * 63 + b"x", b"a" * 64):
        Counting.looked = 0
        equal(b"a" * 64, Counting(right))
        counts.append(Counting.looked)
    assert counts == [64, 64, 64]


def test_nonces_differ():
    assert len({new_nonce() for _ in range(100)}) == 100
    assert len(new_nonce()) == 32


def test_the_answer_depends_on_token_and_nonce():
    assert response("token", "a") == hmac.new(b"token", b"a", "sha256").hexdigest()
    assert len({response("token", "a"), response("token", "b"), response("other", "a")}) == 3


class TestGate:
    @pytest.fixture
    def clock(self):
        return FakeClock()

    @pytest.fixture
    def gate(self, clock):
        return Gate(clock)

    def test_the_delay_doubles_and_is_bounded(self, gate):
        assert [gate.failed("a") for _ in range(5)] == [1, 2, 4, 8, 16]
        for _ in range(40):
            last = gate.failed("a")
        assert last == 300

    def test_it_passes_with_time_and_counts_per_address(self, gate, clock):
        gate.failed("a")
        gate.failed("a")
        assert gate.delay_s("a") == 2 and gate.delay_s("b") == 0
        clock.now += 2000
        assert gate.delay_s("a") == 0
        assert gate.failed("a") == 4

    def test_success_forgives(self, gate):
        gate.failed("a")
        gate.passed("a")
        assert gate.delay_s("a") == 0 and gate.failed("a") == 1

    def test_who_fails_again_drives_nobody_out(self, gate):
        numbers = list(range(32))
        for order in (numbers, numbers[::-1]):
            for number in order:
                gate.failed(f"10.0.0.{number}")
        assert [gate.failed(f"10.0.0.{number}") for number in numbers] == [4] * 32

    def test_many_addresses_take_bounded_memory_and_the_worst_stays(self, gate):
        for _ in range(8):
            gate.failed("worst")
        for number in range(1000):
            gate.failed(f"10.0.{number // 256}.{number % 256}")
        assert len(gate._failures) <= 32
        assert gate.delay_s("worst") > 60
