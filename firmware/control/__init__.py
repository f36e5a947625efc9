"""The control server: JSON-RPC 2.0, one request or batch per line of TCP, and plain words for a person.

A line that begins with a letter is plain: `gpio.write pin=2 value=1` is answered with text. All others are JSON.
Every limit answers with an error that says which, and touches only the address that hit it. Nobody keeps a place
for ever that others want, unless logged in: see places.py. With a certificate on the board it is all TLS.
"""

from firmware import borrow, const
from firmware.control.jsonrpc import (
    ACCESS_DENIED,
    IDLE_TOO_LONG,
    INTERNAL_ERROR,
    LINE_TOO_LONG,
    TOO_MANY_CLIENTS,
    TOO_MANY_REQUESTS,
    RpcError,
    answer,
    encode_error,
)
from firmware.control.places import find, loser
from firmware.log import describe
from XAsyncSockets import XAsyncTCPServer, XBufferSlots, XTimer

_REFUSALS = const(8)  # in a row, that are answered; then the connection ends
_ANSWERS_AHEAD = const(8)  # not yet taken by the client: no more is read from it before they are
_DEAR = const(3)  # times as long as the request of a stranger has taken, its address may ask for nothing
_DEFAULT_PORT = const(8095)
_RETRY_S = const(5)  # until a port that was in use is tried again


class Caller:
    """A client that calls methods, by TCP or by HTTP: what it may call, and how often."""

    nonce = None  # that an answer is expected to: see access.py
    nonce_at = wait_s = 0
    authenticated = False
    unlimited = False  # in its rate: it brings an update
    words = False  # instead of JSON, for a person

    def __init__(self, server, address, visitor):
        self.server = server
        self.address = address
        self.visitor = visitor
        self._app = server.app
        self._calls = 0  # for the text at hand

    @property
    def _settings(self):
        return self._app.config["control"]

    def now(self):
        """The uptime in milliseconds."""
        return self._app.clock.uptime_ms()

    def give_place(self):
        """Its place is no longer one that others may want."""

    def within_rate(self):
        """True if one more request is allowed now."""
        if self.unlimited:
            return True
        return self.visitor.spend(self.now(), 1000 / self._settings["requests_per_s"])

    def refuse_call(self, *_):
        """In place of `call`: too many requests."""
        raise RpcError(TOO_MANY_REQUESTS, f"at most {self._settings['requests_per_s']} requests per second")

    def check_access(self, writes):
        """Raise RpcError where this client may not call a method, one that `writes` or one that does not."""
        if not writes or self.authenticated:
            return
        if self.server.token:
            raise RpcError(ACCESS_DENIED, "this method needs auth.challenge and auth.login first")
        raise RpcError(ACCESS_DENIED, "only reading works: no control.token is configured on this board")

    def call(self, method, params):
        """The result of a method, or RpcError. Each request of a batch counts, and a long one as several."""
        self._calls += 1
        if self._calls > 1 and not self.within_rate():
            self.refuse_call(method, params)
        start = self.now()
        try:
            return self._app.methods.call(self, method, params)
        finally:
            if not self.authenticated:
                self.visitor.credit -= _DEAR * (self.now() - start)

    def reply(self, text, call):
        """The text that answers `text`, by `call` or `refuse_call`; None where there is nothing to answer."""
        self._calls = 0
        try:
            word = text.split(None, 1)[0] if self.words else ""
            if word[:1].isalpha():
                from firmware.control import plain

                return plain.reply(word, text[len(word) :], call)
            return answer(text, call)
        except Exception as error:  # no memory for the answer, or for what was asked
            self._app.log.warning("control", f"{self.address}: {describe(error)}")
            return encode_error(None, INTERNAL_ERROR, describe(error))


class Session(Caller):
    """One client by TCP."""

    words = True
    closed = leaving = _heard = _receiving = False
    _ahead = 0  # lines without their answer, and answers that the client has not taken
    _refusals = 0

    def __init__(self, server, client, visitor):
        super().__init__(server, client.CliAddr[0], visitor)
        self._client = client
        self._idle = XTimer(self._app.pool, self._idle_too_long)
        self._has_place = True
        self._take_place(1)
        client.OnClosed = self._on_closed
        client.OnLineTooLong = self._on_line_too_long
        client.OnPeerFinished = self._on_peer_finished
        self._is_alive()
        self._receive()

    @property
    def greeting(self):
        """True while TLS may still be in its handshake: until the first line."""
        return self.server.secure and not self._heard

    # --- the connection

    def _receive(self):
        if not self.closed and not self._receiving and self._ahead < _ANSWERS_AHEAD:
            self._receiving = True
            self._client.AsyncRecvLine(self._on_line)

    def _on_line(self, _client, line, _arg):
        self._receiving = False
        self._heard = True
        self._is_alive()
        self._ahead += 1
        self._app.soon.append((self._answer, line.strip()))
        self._receive()

    def _on_peer_finished(self, _client):
        self._app.soon.append((Session.close, self))  # behind the answers to its last lines

    def _on_line_too_long(self, _client):
        self._heard = True
        if self._ahead < _ANSWERS_AHEAD:  # nobody is told who takes no answers
            self._fail(LINE_TOO_LONG, f"a line has at most {self._settings['line_bytes']} bytes")

    def _answer(self, text):
        self._ahead -= 1
        if not text or self.leaving:
            self._receive()
            return
        if self.within_rate():
            self._refusals = 0
            self._send(self.reply(text, self.call))
        else:
            self._refusals += 1
            self._send(self.reply(text, self.refuse_call))
            if self._refusals >= _REFUSALS:
                self.close()
        self._receive()

    def _is_alive(self):
        self._idle.Restart(self._settings["idle_s"])

    def _send(self, text):
        """Queue a line for the client. One that never reads its answers is closed by the library's own limit."""
        if text is None or self.closed:
            return
        self._ahead += 1
        try:
            self._client.AsyncSendData((text + "\n").encode(), self._on_sent)
        except Exception as error:
            self._app.log.warning("control", f"{self.address}: {describe(error)}")
            self.close()

    def _on_sent(self, _client, _arg):
        self._ahead -= 1
        self._receive()

    def notify(self, text):
        """Queue a notification, or leave it out while the client is slow in reading."""
        if self._ahead < _ANSWERS_AHEAD:
            self._is_alive()
            self._send(text)

    def _fail(self, code, message):
        self._send(encode_error(None, code, message))

    def refuse(self, code, message):
        """Say why, and end the connection."""
        self._fail(code, message)
        self.close()

    def close(self):
        """End the connection; what was queued still goes out."""
        if not self.closed:
            self.leaving = True
            self.give_place()
            self._client.Close()

    @property
    def lingers(self):
        """True while it is over, but still has something to send."""
        return self.leaving and self._client.SocketID is not None

    def drop(self):
        """End the connection at once, whatever is queued: by the library's hook for one that is broken."""
        self._client.OnExceptionalCondition()

    def _take_place(self, places):
        self.visitor.pass_time(self.now())
        self.visitor.places += places

    def give_place(self):
        """Its place is no longer one that others may want."""
        if self._has_place:
            self._has_place = False
            self._take_place(-1)

    def _on_closed(self, client, _reason):
        self.closed = True
        error = client.CloseError
        # In the handshake, or a line that is no UTF-8: the only one whom it can be told is the log.
        if error and (not self._heard or isinstance(error, ValueError)):
            self._app.log.warning("control", f"{self.address}: {error}")
        self._idle.Cancel()
        self.give_place()
        self.server.forget(self)

    # --- the limits

    def _idle_too_long(self, _):
        self.refuse(IDLE_TOO_LONG, f"no request for {self._settings['idle_s']} s")


class ControlServer:
    """The service that listens, and holds the sessions."""

    name = "control"

    def __init__(self):
        self.app = None
        self._retry = None
        self._listener = None
        self._port = None  # in safe mode, where the configured one cannot be used
        self._tls = None  # its SSLContext
        self._sessions = []
        self.others = []  # Callers that have no connection here
        self.visitors = {}  # address: Visitor
        self.token = ""

    def start(self, app):
        """Offer the methods for access; listening begins when the network is up."""
        self.app = app
        self.token = app.config["control"]["token"]  # until the next boot, whatever is configured meanwhile
        self._retry = XTimer(app.pool, self._listen)
        app.methods.offer("auth.challenge auth.login", self._load_access)

    def _load_access(self):
        from firmware.control.access import challenge, login

        self.app.methods.add("auth.challenge", challenge)
        self.app.methods.add("auth.login", login, "response")

    def stop(self):
        """Close everything."""
        self._retry.Cancel()
        self.network_down("stopped")

    def network_up(self, _connection):
        """Listen on all addresses of the network that is there now."""
        self._listen()

    def network_down(self, _reason):
        """The connections are dead, whether the system knows it or not."""
        self._retry.Cancel()
        if self._listener:
            self._listener.Close()
            self._listener = None
        for session in list(self._sessions):
            session.close()

    def _listen(self, _=None):
        settings = self.app.config["control"]
        # Two more than `clients`: one for a newcomer, and one for a client that is told that all places are taken.
        # They may all connect while the board is busy. An RP2 resets a connection that finds the backlog full
        # (extmod/modlwip.c).
        places = settings["clients"] + 2
        port = self._port or settings["port"]
        slots = XBufferSlots(places, settings["line_bytes"], keepAlloc=False)
        try:
            self._tls = borrow("firmware.control.tls").context(self.app.board.path, settings)
            self._listener = XAsyncTCPServer.Create(
                self.app.pool, ("0.0.0.0", port), srvBacklog=places, recvBufSlots=slots
            )
        except Exception as error:
            self.app.log.error("control", f"port {port}: {describe(error)}")
            if self.app.safe_reason:
                self._port = None if self._port else _DEFAULT_PORT
            self._retry.Restart(_RETRY_S)
            return
        self._listener.OnClientAccepted = self._on_client

    @property
    def secure(self):
        """True where it speaks TLS."""
        return self._tls is not None

    @property
    def port(self):
        """The port in use, or None."""
        return self._listener.SrvAddr[1] if self._listener else None

    @property
    def clients(self):
        """How many are connected."""
        return len(self._sessions)

    def visitor(self, address):
        """The Visitor at `address`."""
        if address in self.visitors:
            return self.visitors[address]
        most = self.app.config["control"]["clients"] + 2 + len(self.others)
        return find(self.visitors, address, self._sessions + self.others, most, self.app.clock.uptime_ms())

    def _on_client(self, _, client):
        most = self.app.config["control"]["clients"]
        staying = [session for session in self._sessions if not session.leaving]
        lingering = [session for session in self._sessions if session.lingers]
        if lingering and len(staying) + len(lingering) > most:  # its buffer is for the next one
            lingering[0].drop()
        now = self.app.clock.uptime_ms()
        visitor = self.visitor(client.CliAddr[0])
        goes = loser(visitor, staying, now) if len(staying) >= most else None
        if self._tls:
            client.StartSSLContext(self._tls, serverSide=True)
        session = Session(self, client, visitor)
        self._sessions.append(session)
        if len(staying) >= most:
            (goes or session).refuse(TOO_MANY_CLIENTS, f"at most {most} clients at a time")

    def forget(self, session):
        """A session that is closed."""
        if session in self._sessions:
            self._sessions.remove(session)
