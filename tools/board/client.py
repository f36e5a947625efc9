"""A client of a board's control server: newline-delimited JSON-RPC on the library's pool, one call at a time."""

import hashlib
import hmac
import json
import re
import socket
import ssl
import time
from collections import deque

from tools.board.errors import BoardError, StrangeAnswer, Unreachable, UsageError
from tools.board.gate import LONGEST_MESSAGE, fits, read_json, visible
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XClosedReason

DEFAULT_PORT = 8095
ACCESS_DENIED = -32001
TOKEN_HINT = "give it with --token-file or BOARD_TOKEN"
_LOGIN = "auth.login"  # appears in the error if the board has a token
_LONGEST_ANSWER = 1024 * 1024  # bytes
_MOST_LINES = 256  # lines that may wait before reading stops
_MOST_TURNS = 64  # turns of the pool in one poll
_PREVIEW = 60  # characters

# Only a challenge of this form is answered. The client waits no longer than this for a challenge, because no real
# board requests more.
_CHALLENGE = {"nonce": re.compile("[0-9a-f]{32}"), "board": re.compile("[0-9a-f]{1,64}"), "wait_s": int}
_LONGEST_WAIT_S = 30

# Methods that are open to everyone. If a board asks for a login for one of them, it is not the right board.
_OPEN = frozenset(
    """ping help info uptime gc net.status gpio.read adc.read sensor.list sensor.read telemetry.get telemetry.subscribe
    telemetry.unsubscribe config.get log.tail update.status auth.challenge auth.login""".split()
)

_ANSWER = {"id": (int, None), "result": object}
_ERROR = {"id": (int, None), "error": {"code": int, "message": str}}
_NOTIFICATION = {"method": str}


def parse_host(text):
    """Return (host, port) from "host" or "host:port". Raises UsageError."""
    host, colon, port = text.partition(":")
    if not host or (colon and not (port.isdigit() and 0 < int(port) < 65536)):
        raise UsageError(
            f"{text!r} is not a board's name: write name or name:port, for example 192.168.1.20:{DEFAULT_PORT}"
        )
    return host, int(port) if colon else DEFAULT_PORT


def pinned(path):
    """Return an SSLContext that accepts only the certificate in the file `path`. Raises UsageError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate identifies the board, not its name
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise UsageError(f"{path} contains no certificate") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    return context


def accept_any_certificate():
    """Return an SSLContext that accepts every certificate. Use it only for data that is not secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ControlClient:
    """One board. It connects at the first call, reconnects if the connection has ended, and logs in
    with the token when the board asks for it."""

    def __init__(self, host, token=None, timeout_s=5.0, pin=None, token_hint=TOKEN_HINT, context=None):
        """`pin` is a file with the board's certificate. With it, or with an SSLContext, the connection uses TLS.
        `token_hint` is the advice in the error if a token is missing."""
        self.address = parse_host(host)
        self._pin = pin
        self._context = context or (pinned(pin) if pin else None)
        self.on_notification = None  # f(method, params)
        self._token = token
        self._token_hint = token_hint
        self._timeout_s = timeout_s
        self._pool = XAsyncSocketsPool()
        self._connection = None
        self._connected = False
        self._heard = False  # whether any data came on this connection
        self._receiving = False
        self._ended = None  # the reason, after the connection has ended
        self._lines = deque()
        self._last_id = 0

    def __str__(self):
        return "{}:{}".format(*self.address)

    def close(self):
        """End the connection."""
        self._pool.StopWaitEvents()

    @property
    def connected_once(self):
        """Whether the last connection was accepted, no matter how it ended."""
        return self._connected

    @property
    def connected(self):
        """Whether there is a connection."""
        return self._connection is not None and self._connected

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- calls

    def call(self, method, params=None, shape=object):
        """Return the result of a method, after a check of its shape (gate.fits). Raises BoardError or Unreachable."""
        result = self._authorized(method, params)
        if not fits(result, shape):
            raise self._unexpected(f"{method} with {json.dumps(result)}")
        return result

    def _unexpected(self, what):
        return StrangeAnswer(f"{self} is not a board with this firmware: it answers {visible(what, _PREVIEW)}")

    def _authorized(self, method, params):
        try:
            return self._call(method, params)
        except BoardError as error:
            if error.code != ACCESS_DENIED or method in _OPEN:
                raise
            denial = error.args[0]
            if _LOGIN not in denial:
                raise BoardError(error.code, f"{denial}: set control.token in its config.json") from None
            if not self._token:
                raise BoardError(error.code, f"{method} needs the board's token: {self._token_hint}") from None
        self.log_in()
        return self._call(method, params)

    def log_in(self, token=None):
        """Log in with the token, or with another one. Raises BoardError if it is not the board's token."""
        self._token = token or self._token
        self._call("auth.login", {"response": self._answer_to_challenge("login")})

    def prove(self, purpose, asked):
        """Return a fresh proof that the token's owner requests exactly this. Raises UsageError without a token."""
        if not self._token:
            raise UsageError(f"this needs the board's token: {self._token_hint}")
        self.log_in()
        return self._answer_to_challenge(purpose, asked)

    def _answer_to_challenge(self, purpose, asked=""):
        challenge = self._call("auth.challenge")
        if not fits(challenge, _CHALLENGE) or not 0 <= challenge["wait_s"] <= _LONGEST_WAIT_S:
            raise StrangeAnswer(f"{self} requests the login in an unknown form; the token was not used")
        time.sleep(challenge["wait_s"])
        signed = f"{challenge['board']} {challenge['nonce']}" + (f" {asked}" if asked else "")
        return _hmac(_hmac(self._token.encode(), purpose).digest(), signed).hexdigest()

    def hang_up(self):
        """End the connection; the next call makes a new one."""
        self._forget_connection()

    def _call(self, method, params=None):
        self.poll(0)
        if not self._connection:
            self._connect()
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params or {}}
        self._connection.AsyncSendData(json.dumps(request).encode() + b"\n")
        return self._answer(time.monotonic() + self._timeout_s)

    def _answer(self, deadline):
        while True:
            while self._lines and time.monotonic() < deadline:
                answer = self._take(self._lines.popleft())
                if answer is not None:
                    return _result(answer)
            self._receive()
            if not self._connection:
                raise Unreachable(f"{self} closed the connection before it answered ({self._ended})")
            if not self._wait(deadline):
                self._forget_connection()  # a late answer must not be mistaken for the next one
                raise Unreachable(f"{self} did not answer within {self._timeout_s:g} s")

    # --- lines from the board

    def poll(self, timeout_ms):
        """Serve the connection for a while, so that notifications arrive and its end is noticed."""
        for _ in range(_MOST_TURNS):  # the end may follow the last line; but some peers never stop sending
            if not self._pool.PollEvents(timeout_ms):
                break
            timeout_ms = 0
        waiting, self._lines = self._lines, deque()
        self._receive()
        for line in waiting:
            self._take(line)

    def _take(self, line):
        """Return the answer to the current request, or None for any other line."""
        try:
            message = read_json(line)
        except ValueError:
            message = None
        if fits(message, _NOTIFICATION):
            if self.on_notification:
                self.on_notification(visible(message["method"], _PREVIEW), message.get("params"))
            return None
        if not fits(message, (_ANSWER, _ERROR)):
            self._forget_connection()
            raise StrangeAnswer(f"{self} is not a control server: it sent {line[:_PREVIEW]!r}")
        is_answer = message["id"] == self._last_id or message["id"] is None and "error" in message
        return message if is_answer else None

    # --- the connection

    def _connect(self):
        """Connect to the first of the host's addresses that accepts."""
        addresses = self._look_up()
        for address in addresses:
            self._start(address)
            if self._connected and self._connection:  # TLS may already have ended it
                return
            self._forget_connection()
            if self._connected:
                break
        tried = f" at any of its {len(addresses)} addresses" if len(addresses) > 1 and not self._connected else ""
        raise Unreachable(f"{self} cannot be reached{tried}: {self._ended}")

    def _look_up(self):
        """Return the addresses in the system's order of preference, without duplicates."""
        try:
            found = socket.getaddrinfo(*self.address, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            unknown = f"there is no host named {self.address[0]!r}; 'discover' lists the boards in reach"
            raise Unreachable(unknown) from None
        return list(dict.fromkeys(info[4][:2] for info in found))

    def _start(self, address):
        """Connect, or put the reason why not into `_ended`."""
        self._lines.clear()
        self._ended = "there is no route to it"
        self._connected = self._heard = self._receiving = False
        timeout_s = self._timeout_s
        connection = XAsyncTCPClient.Create(self._pool, address, timeout_s, recvbufLen=_LONGEST_ANSWER)
        if connection is None:
            return
        self._connection = connection
        connection.OnConnected = self._on_connected
        connection.OnFailsToConnect = self._on_fails_to_connect
        connection.OnClosed = self._on_closed
        deadline = time.monotonic() + timeout_s + 1  # the library's own timeout comes first
        while self._connection and not self._connected:
            if not self._wait(deadline):
                return

    def _wait(self, deadline):
        """Run one turn of the pool. Return False when the time is over."""
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        self._pool.PollEvents(max(1, int(left_s * 1000)))
        return True

    def _on_connected(self, connection):
        self._connected = True
        if self._context:
            connection.StartSSLContext(self._context)
        self._receive()

    def _receive(self):
        """Receive the next line if there is room for it; otherwise the peer has to wait."""
        if self._connection and self._connected and not self._receiving and len(self._lines) < _MOST_LINES:
            self._receiving = True
            self._connection.AsyncRecvLine(self._on_line)

    def _on_fails_to_connect(self, connection):
        if connection is self._connection:
            error = connection.CloseError
            # The library wraps the system's error, whose message is better known.
            while error is not None and error.__cause__ is not None:
                error = error.__cause__
            reason = getattr(error, "strerror", None) or (error and str(error))
            self._ended = reason or f"no answer within {self._timeout_s:g} s"
            self._connection = None

    def _on_line(self, connection, line, _arg):
        if connection is self._connection:
            self._heard = True
            self._receiving = False
            self._lines.append(line)
            # Only few long lines may wait, so their bytes are limited, too.
            if len(line) < _LONGEST_ANSWER // _MOST_LINES:
                self._receive()

    def _on_closed(self, connection, reason):
        if connection is self._connection:
            self._ended = self._why_ended(connection, reason)
            self._connection = None

    def _why_ended(self, connection, reason):
        error = connection.CloseError
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not the one in {self._pin}: {error.verify_message}"
        if self._context and error:
            return f"{error}; if the board has no certificate, omit --cert"
        why = "the board closed it" if reason == XClosedReason.ClosedByPeer else str(error or "it was closed")
        return why if self._heard or self._context else why + "; if the board has a certificate, use --cert"

    def _forget_connection(self):
        connection, self._connection = self._connection, None
        if connection:
            connection.Close()


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256)


def _result(answer):
    if "error" in answer:
        raise BoardError(answer["error"]["code"], visible(answer["error"]["message"], LONGEST_MESSAGE))
    return answer["result"]
