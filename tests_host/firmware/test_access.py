"""The proof that a client knows the token: firmware/control/access.py."""

import hmac
import random

import image
import pytest

from firmware.control.access import equal, hmac_sha256, proof

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


CHALLENGE = {"board": "00aa11", "nonce": "0" * 32}


def test_the_proof_is_what_the_documentation_says_and_depends_on_everything():
    found = proof("token", "update", f"00aa11 {'0' * 32} files 1 ff")
    assert found == image.proof("token", "update", CHALLENGE, "files 1 ff")
    others = [
        image.proof("tokens", "update", CHALLENGE, "files 1 ff"),
        image.proof("token", "login", CHALLENGE, "files 1 ff"),
        image.proof("token", "update", {**CHALLENGE, "board": "00aa12"}, "files 1 ff"),
        image.proof("token", "update", {**CHALLENGE, "nonce": "1" * 32}, "files 1 ff"),
        image.proof("token", "update", CHALLENGE, "files 2 ff"),
        image.proof("token", "update", CHALLENGE),
    ]
    assert len({found, *others}) == 7
