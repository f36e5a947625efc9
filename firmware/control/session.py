"""The clients of the control server: what they may call, and how often. Loaded with the first client, and then kept."""

from firmware import const
from firmware.control.jsonrpc import (
    ACCESS_DENIED,
    INTERNAL_ERROR,
    RpcError,
    answer,
    encode_error,
)
from firmware.log import describe
from XAsyncSockets import XTimer

# More error codes, in the range that JSON-RPC reserves for servers.
_TOO_MANY_REQUESTS = const(-32002)
_TOO_MANY_CLIENTS = const(-32003)
_LINE_TOO_LONG = const(-32004)
_IDLE_TOO_LONG = const(-32005)
_DEAR = const(3)  # after a stranger's request, its address must wait for this many times as long as the request took
_REFUSALS = const(8)  # refusals in a row, after which the connection ends
_ANSWERS_AHEAD = const(8)  # answers that the client has not received yet, after which no more of its requests are read
CROWD_WAIT_S = 10  # delay before an answer to a challenge, while too many addresses have given wrong ones
_ADDRESSES = const(32)  # addresses that are remembered
_FORGET_MS = const(3600000)  # time since an address's last connection
_BURST_MS = const(2000)  # requests for this time may come at once
_HOLD_MS = const(20000)  # time for which an address may hold places that others want
_MOST_HELD_MS = const(120000)  # the most that is counted
_FORGIVEN = const(32)  # ms without a place for which one ms of the time held is forgotten
_LONGEST_DELAY_MS = const(300000)


# --- the limits of one address over all its connections, past and present: places, requests and wrong answers


class Visitor:
    """One address."""

    def __init__(self, now, held):
        self.places = 0
        self.failures = 0  # wrong answers since the last right one
        self.free_at = 0  # uptime in ms from which it may answer again
        self.held = held  # ms, for all its places together
        self.seen = now
        self.credit = _BURST_MS  # ms that it may spend on requests

    def pass_time(self, now):
        """Add the time that its places were held until now, and allow it new requests."""
        passed = now - self.seen
        self.seen = now
        held = self.held + (self.places * passed if self.places else -passed // _FORGIVEN)
        self.held = min(max(held, 0), _MOST_HELD_MS)
        self.credit = min(self.credit + passed, _BURST_MS)

    def spend(self, now, cost):
        """Return True if it may make a request now. It may make one for each `cost` ms."""
        self.pass_time(now)
        if self.credit < cost:
            return False
        self.credit -= cost
        return True

    def failed(self, now):
        """Count a wrong answer. Each doubles the wait. Return the wait in seconds."""
        self.failures += 1
        delay = min(1000 << min(self.failures - 1, 9), _LONGEST_DELAY_MS)
        self.free_at = now + delay
        return delay // 1000


# --- the clients


class Caller:
    """A client that calls methods over TCP or HTTP: what it may call, and how often."""

    nonce = None  # the nonce of the open challenge: see access.py
    nonce_at = wait_s = 0
    authenticated = False
    unlimited = False  # its rate is not limited while it sends an update
    words = False  # plain words instead of JSON, for people

    def __init__(self, server, address, visitor):
        self.server = server
        self.address = address
        self.visitor = visitor
        self._app = server.app
        self._calls = 0  # calls in the current text

    @property
    def _settings(self):
        return self._app.config["control"]

    def now(self):
        """Return the uptime in milliseconds."""
        return self._app.clock.uptime_ms()

    def give_place(self):
        """Free its place for others."""

    def within_rate(self):
        """Return True if one more request is allowed now."""
        if self.unlimited:
            return True
        return self.visitor.spend(self.now(), 1000 / self._settings["requests_per_s"])

    def refuse_call(self, *_):
        """Raise RpcError. Used instead of `call` if there are too many requests."""
        raise RpcError(_TOO_MANY_REQUESTS, f"at most {self._settings['requests_per_s']} requests per second")

    def check_access(self, writes):
        """Raise RpcError if this client may not call a method. `writes`: the method changes something."""
        if not writes or self.authenticated:
            return
        if self.server.token:
            raise RpcError(ACCESS_DENIED, "this method needs auth.challenge and auth.login first")
        raise RpcError(ACCESS_DENIED, "only reading works: no control.token is configured on this board")

    def call(self, method, params):
        """Return the result of a method, or raise RpcError. Each request of a batch counts, and a slow one counts as
        several."""
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
        """Return the answer to `text`, made by `call` or `refuse_call`; None if there is nothing to answer."""
        self._calls = 0
        try:
            word = text.split(None, 1)[0] if self.words else ""
            if word[:1].isalpha():
                from firmware.control import plain

                return plain.reply(word, text[len(word) :], call)
            return answer(text, call)
        except Exception as error:  # no memory for the request or its answer
            self._app.log.warning("control", f"{self.address}: {describe(error)}")
            return encode_error(None, INTERNAL_ERROR, describe(error))


class Session(Caller):
    """One client over TCP."""

    words = True
    closed = leaving = _heard = _receiving = False
    _ahead = 0  # lines that are not answered yet, and answers that the client has not received
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
    def in_handshake(self):
        """True until the first line, while the TLS handshake may be in progress."""
        return self.server.tls and not self._heard

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
        self._app.soon.append((Session.close, self))  # after the answers to its last lines

    def _on_line_too_long(self, _client):
        self._heard = True
        if self._ahead < _ANSWERS_AHEAD:  # a client that reads no answers gets no errors either
            self._fail(_LINE_TOO_LONG, f"a line has at most {self._settings['line_bytes']} bytes")

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
        """Queue a line for the client. If it never reads its answers, the library's own limit closes the
        connection."""
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
        """Queue a notification, or drop it while the client reads slowly."""
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
        """End the connection. Queued data is still sent."""
        if not self.closed:
            self.leaving = True
            self.give_place()
            self._client.Close()

    @property
    def is_closing(self):
        """True after `close`, while data is still to be sent."""
        return self.leaving and self._client.SocketID is not None

    def drop(self):
        """End the connection at once, even with queued data. This uses the library's hook for a broken connection."""
        self._client.OnExceptionalCondition()

    def _take_place(self, places):
        self.visitor.pass_time(self.now())
        self.visitor.places += places

    def give_place(self):
        """Free its place for others."""
        if self._has_place:
            self._has_place = False
            self._take_place(-1)

    def _on_closed(self, client, _reason):
        self.closed = True
        error = client.CloseError
        # An error in the handshake, or a line that is not UTF-8, can be reported only in the log.
        if error and (not self._heard or isinstance(error, ValueError)):
            self._app.log.warning("control", f"{self.address}: {error}")
        self._idle.Cancel()
        self.give_place()
        if self in self.server.sessions:
            self.server.sessions.remove(self)

    # --- the limits

    def _idle_too_long(self, _):
        self.refuse(_IDLE_TOO_LONG, f"no request for {self._settings['idle_s']} s")


def visitor(server, address):
    """Return the Visitor at `address`."""
    if address in server.visitors:
        return server.visitors[address]
    most = server.app.config["control"]["clients"] + 2 + len(server.others)
    return find(server.visitors, address, server.sessions + server.others, most, server.app.clock.uptime_ms())


def admit(server, client):
    """Begin a session with a new client. If there are too many, tell one of them, and end it."""
    if client.SocketID is None:
        return  # it has disconnected
    most = server.app.config["control"]["clients"]
    staying = [session for session in server.sessions if not session.leaving]
    closing = [session for session in server.sessions if session.is_closing]
    if closing and len(staying) + len(closing) > most:  # the next one needs its buffer
        closing[0].drop()
    now = server.app.clock.uptime_ms()
    newcomer = visitor(server, client.CliAddr[0])
    goes = displaced(newcomer, staying, now) if len(staying) >= most else None
    if server.tls:
        client.StartSSLContext(server.tls, serverSide=True)
    session = Session(server, client, newcomer)
    server.sessions.append(session)
    if len(staying) >= most:
        (goes or session).refuse(_TOO_MANY_CLIENTS, f"at most {most} clients at a time")


def find(known, address, sessions, most, now):
    """Return the Visitor at `address` in `known`, which keeps 32 more than the `most` that can be connected.

    A newcomer that replaces another inherits the time that it held, so using many addresses brings no advantage.
    """
    if address not in known:
        connected = [session.visitor for session in sessions]
        gone = sorted([(known[one].free_at, known[one].held, one) for one in known if known[one] not in connected])
        held = 0
        for _, _, one in gone:
            if now - known[one].seen > _FORGET_MS:
                del known[one]
            elif len(known) >= most + _ADDRESSES:
                held = known.pop(one).held
        known[address] = Visitor(now, held)
    return known[address]


def crowded(known):
    """Return True if so many addresses gave wrong answers that the next may not be remembered."""
    return sum([one.failures > 0 for one in known.values()]) >= _ADDRESSES


def displaced(visitor, sessions, now):
    """Return the session that has to make room for a new one of `visitor`, or None. One that has logged in never has
    to.

    If an address holds at least two places more than the newcomer's, its oldest session is chosen. Otherwise it is a
    session that may still be in the TLS handshake, or whose address has held places for a long time. Its address must
    have held them at least as long as the newcomer's address.
    """
    found = most = None
    for session in sessions:
        if session.leaving or session.authenticated:
            continue
        other = session.visitor
        other.pass_time(now)
        is_due = (session.in_handshake or other.held >= _HOLD_MS) and other.held >= visitor.held
        if other.places > visitor.places + 1 or is_due:
            rank = (other.places, other.held)
            if not found or rank > most:
                found, most = session, rank
    return found
