"""auth.challenge, auth.login, and the other actions that need the token. Each purpose has its own key.

The client requests a nonce and answers with HMAC-SHA256(key, signed text) in hexadecimal. The key is
HMAC-SHA256(token, purpose), where the purpose is "login", "update" or "token". The signed text is the board's id, the
nonce and what is requested, separated by spaces. A nonce is valid for one answer, on one connection, for a short time.
"""

import binascii
import hashlib
import os

from firmware import borrow, const
from firmware.control.jsonrpc import ACCESS_DENIED, RpcError
from firmware.control.session import CROWD_WAIT_S, crowded

_NONCE_BYTES = const(16)
_NONCE_LIFE_S = const(30)
_BLOCK_BYTES = const(64)  # of SHA-256


def hmac_sha256(key, message):
    """RFC 2104: H(key ^ opad, H(key ^ ipad, message)), 32 bytes. MicroPython has no hmac module."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key + bytes(_BLOCK_BYTES - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(message)
    outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return outer.digest()


def equal(left, right):
    """Return True if two byte strings are equal, in a time that does not depend on where they differ."""
    if len(left) != len(right):
        return False
    difference = 0
    for index, byte in enumerate(left):
        difference |= byte ^ right[index]
    return difference == 0


def proof(token, purpose, signed):
    """Return the answer to a challenge as hexadecimal text."""
    key = hmac_sha256(token.encode(), purpose.encode())
    return binascii.hexlify(hmac_sha256(key, signed.encode())).decode()


def offer(app):
    """Add the methods."""
    app.methods.add("auth.challenge", challenge)
    app.methods.add("auth.login", login, "response")


def challenge(session):
    """Return a new nonce. The previous one becomes invalid."""
    _check_delay(session)
    waits = crowded(session.server.visitors) and not session.authenticated
    session.nonce = binascii.hexlify(os.urandom(_NONCE_BYTES)).decode()
    session.nonce_at = session.now()
    session.wait_s = CROWD_WAIT_S if waits else 0
    return {
        "nonce": session.nonce,
        "board": session.server.app.board.unique_id(),
        "algorithm": "HMAC-SHA256",
        "wait_s": session.wait_s,
        "expires_s": _NONCE_LIFE_S,
    }


def _check_delay(session):
    left = session.visitor.free_at - session.now()
    if left > 0:
        _deny(f"too many failures: try again in {(left + 999) // 1000} s")


def _deny(message):
    raise RpcError(ACCESS_DENIED, message)


def login(session, answered):
    """Allow this connection to call the methods that change something."""
    prove(session, "login", "", answered)
    session.authenticated = True
    session.give_place()
    app = session.server.app
    app.log.info("login", f"{session.address} has logged in")
    if app.board.settings_on_trial:
        borrow("firmware.update.trial", "firmware.config.file", "firmware.jsontext").keep_settings(app)
    return True


def prove(session, purpose, asked, answered):
    """Raise RpcError unless `answered` proves that the client knows the token and requests `asked`."""
    _check_delay(session)
    server = session.server
    if not server.token:
        _deny("no control.token is configured on this board")
    now = session.now()
    nonce = session.nonce
    age = now - session.nonce_at
    if nonce and age < session.wait_s * 1000:
        _deny(f"wrong answers from many addresses: answer {session.wait_s} s after the challenge")
    session.nonce = None
    if not nonce or age > _NONCE_LIFE_S * 1000:
        _deny("no challenge is open: call auth.challenge first")
    signed = f"{server.app.board.unique_id()} {nonce}" + (f" {asked}" if asked else "")
    if not equal(proof(server.token, purpose, signed).encode(), str(answered).encode()):
        delay_s = session.visitor.failed(now)
        server.app.log.warning("control", f"{session.address}: wrong answer to a challenge ({purpose})")
        _deny(f"wrong token or signature: try again in {delay_s} s")
    session.visitor.failures = 0
