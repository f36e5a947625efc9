"""Prepares TLS for the control server: the certificate and its key. Loaded when it begins to listen, then unloaded."""

import binascii
import os

from firmware import const
from XAsyncSockets import XAsyncTCPClient

_DEFAULT = const("certificate.pem")

# The bytes before the public half in a key (DER), and how many of them to skip: P-256, P-384, RSA.
_PUBLIC = ((b"\x03\x42\x00\x04", 0), (b"\x03\x62\x00\x04", 0), (b"\x02\x01\x00\x02", 3))
_ENOUGH = const(68)  # bytes, which are enough to recognise it


def context(path, settings):
    """Return the SSLContext, or None if the board is not meant to have a certificate: then the server does not use
    TLS. Raises ValueError or OSError if the certificate cannot be used. `path(name)` is the path of a file on the
    board, or None."""
    names = settings["certificate"], settings["key"]
    if not names[0]:
        return None
    missing = [name for name in names if not _exists(path(name))]
    if len(missing) == 2 and names[0] == _DEFAULT:
        return None
    if missing:
        raise ValueError(f"there is no file {missing[0]}")
    certificate, key = path(names[0]), path(names[1])
    made = XAsyncTCPClient.CreateSSLContext(key, certificate, server_side=True)
    if not _is_pair(_der(certificate, b"CERTIFICATE"), _der(key, b"PRIVATE KEY")):
        raise ValueError(f"{names[1]} is not the key of {names[0]}")
    return made


def _exists(path):
    try:
        return bool(path) and bool(os.stat(path))
    except OSError:
        return False


def _der(path, label):
    with open(path, "rb") as file:
        parts = file.read().split(b"-----")
    for index, part in enumerate(parts):
        if part.startswith(b"BEGIN ") and part.endswith(label):
            return binascii.a2b_base64(parts[index + 1])
    return parts[0]


def _is_pair(certificate, key):
    """Return False if the certificate does not contain the public half of the key. MicroPython's TLS does not check
    this."""
    for mark, skip in _PUBLIC:
        start = key.find(mark) + skip
        if start >= skip:
            return key[start : start + _ENOUGH] in certificate
    return True  # the key does not include its public half
