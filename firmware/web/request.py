"""A connection over HTTP/1.1, and its current request. It handles one at a time, each with limits and a deadline."""

from firmware import const
from firmware.log import describe

_HEADERS = const(32)
_LATE_S = const(10)  # for the head of a request, for its body, for a piece of the answer, and until the next request
_SLOW_S = const(3)  # after this time an incomplete request gives its place to a new client
_HANDLER_S = const(30)  # time for a handler that answers later
_LINGER_S = const(1)  # time for a client to read why it was refused, before the connection ends
_PIECE = const(800)  # bytes: a segment of an RP2 (TCP_MSS), because unsent data waits in lwIP's small heap
_AHEAD = const(4)  # events that the client has not received yet; further ones are left out

# The headers that are kept.
_KEPT = (
    "host content-length content-type connection transfer-encoding expect origin sec-fetch-site if-none-match "
    "x-board x-session"
).split(" ")

# States of a connection.
_IDLE = const(0)  # between requests
_READING = const(1)
_SERVING = const(2)
_SENDING = const(3)
_STREAMING = const(4)
_REFUSED = const(5)


class HttpError(Exception):
    """An answer that is an error. It has a status, a text that says what is wrong, and further headers."""

    def __init__(self, status, text, headers=()):
        super().__init__(text)
        self.status = status
        self.headers = headers


def crowding(connections, address):
    """Return the oldest connection of an address that has at least two more than `address`, or None."""
    count = {}
    for one in connections:
        count[one.address] = count.get(one.address, 0) + 1
    for one in connections:
        if count[one.address] > count.get(address, 0) + 1:
            return one
    return None


class Request:
    """The current request: method, path, query (text), headers (only some are kept, by their names in lower case),
    body (bytes), address (of the client)."""

    method = path = query = None
    headers = {}  # type: dict
    body = b""
    _state = _IDLE
    _left_s = _LATE_S  # time until the deadline; None: no deadline
    _keep = False
    _count = 0  # headers
    _rest = b""  # the part of the body that is still to be sent
    _at = 0
    _ahead = 0  # events
    leaving = False
    caller = None  # the caller of /rpc, if it has no session

    def __init__(self, app, server, client):
        self._app = app
        self._server = server
        self._client = client
        self.address = client.CliAddr[0]
        self._take_line = self._on_line  # kept, so that the library gets the same object each time
        client.OnClosed = self._on_closed
        client.OnLineTooLong = self._on_line_too_long
        client.OnPeerFinished = self._on_peer_finished
        client.AsyncRecvLine(self._take_line)

    @property
    def is_idle(self):
        """True while no answer is due, or if a request is incomplete for a long time."""
        return self._state == _IDLE or self._state == _READING and self._left_s < _LATE_S - _SLOW_S

    @property
    def closed(self):
        """True when the connection has ended."""
        return self._client.SocketID is None

    @property
    def is_foreign(self):
        """True if a page of another site makes a browser send this."""
        site = self.headers.get("sec-fetch-site")
        if site:
            return site not in ("same-origin", "none")
        origin = self.headers.get("origin")
        return bool(origin) and origin != "http://" + self.headers["host"]

    # --- reading

    def _on_line(self, client, line, _arg):
        state = self._state
        if state == _READING:
            name, colon, value = line.partition(":")
            name = name.lower()
            headers = self.headers
            self._count += 1
            if name in _KEPT and name not in headers:
                headers[name] = value.strip()
            elif not line:
                self._on_head(client)
                return
            elif not colon or name in headers or not name or " " in name or "\t" in name:
                self.refuse(400, "an invalid or repeated header")
                return
            if self._count > _HEADERS:
                self.refuse(431, f"at most {_HEADERS} headers")
                return
        elif state != _IDLE or line and not self._on_first(line):
            return
        client.AsyncRecvLine(self._take_line)

    def _on_first(self, line):
        self._state = _READING
        self._left_s = _LATE_S
        self.headers = {}
        self._count = 0
        parts = line.split(" ")
        if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not parts[1].startswith("/"):
            self.refuse(400, "not a request line of HTTP/1.1")
            return False
        self._keep = parts[2] == "HTTP/1.1"
        self.method = parts[0]
        self.path, _, self.query = parts[1].partition("?")
        return True

    def _on_line_too_long(self, _client):
        if self._state == _IDLE:
            self.refuse(414, "the request line is too long")
        elif self._state == _READING:
            self.refuse(431, "a header is too long")

    def _on_head(self, client):
        headers = self.headers
        length = headers.get("content-length", "0")
        most = self._server.longest_body
        if not headers.get("host"):
            self.refuse(400, "the header Host is missing")
        elif "transfer-encoding" in headers or self.method == "POST" and "content-length" not in headers:
            self.refuse(411, "the header Content-Length is missing; there is no Transfer-Encoding here")
        elif not length.encode().isdigit():
            self.refuse(400, "Content-Length is not a number")
        elif len(length) > 9 or int(length) > most:
            self.refuse(413, f"a body has at most {most} bytes")
        else:
            if "close" in headers.get("connection", "").lower():
                self._keep = False
            self._read_body(client, int(length))

    def _read_body(self, client, length):
        if not length:
            self.body = b""
            self._serve_soon()
            return
        self._left_s = _LATE_S
        try:
            if "expect" in self.headers:
                client.AsyncSendData(b"HTTP/1.1 100 Continue\r\n\r\n")
            client.AsyncRecvData(length, self._on_body)
        except Exception as error:  # no memory
            self.refuse(503, describe(error))

    def _on_body(self, _client, data, _arg):
        if self._state == _READING:
            self.body = bytes(data)
            self._serve_soon()

    def _serve_soon(self):
        self._state = _SERVING
        self._left_s = _HANDLER_S
        self._app.soon.append((self._serve, None))

    def _serve(self, _):
        try:
            handler = self._server.find(self)
            handler(self)
        except HttpError as error:
            self._say(error.status, str(error), error.headers)
        except Exception as error:
            self._app.log.warning("http", f"{self.method} {self.path[:40]}", error)
            self._say(500, describe(error))

    # --- answering

    def _say(self, status, text, headers=()):
        self.answer(status, "text/plain; charset=utf-8", text + "\n", headers)

    def refuse(self, status, text, headers=()):
        """Answer with an error, and end the connection, because further data on it cannot be understood."""
        self._keep = False
        self.leaving = True
        self._state = _SERVING
        self._say(status, text, headers)

    def answer(self, status, content_type, body, headers=()):
        """Answer, now or later. `body` is bytes or text, `headers` are lines. Return True if there was no answer
        before.
        """
        if self._state != _SERVING:
            return False
        if isinstance(body, str):
            body = body.encode()
        head = f"HTTP/1.1 {status} \r\n"
        if content_type:
            head = f"{head}Content-Type: {content_type}\r\n"
        if status not in (204, 304):
            head = f"{head}Content-Length: {len(body)}\r\n"
        self._send(head, headers, b"" if self.method == "HEAD" else body)
        return True

    def _send(self, head, headers, body):
        for line in headers:
            head += line + "\r\n"
        head = (head + ("\r\n" if self._keep else "Connection: close\r\n\r\n")).encode()
        self._state = _SENDING
        self._at = 0
        if len(head) + len(body) <= _PIECE:
            head += body
            body = b""
        self._rest = memoryview(body)
        self._send_part(head)

    def _send_part(self, data):
        self._left_s = _LATE_S
        try:
            self._client.AsyncSendData(data, self._send_next)
        except Exception as error:
            self._app.log.warning("http", f"{self.address}: {describe(error)}")
            self.drop()

    def _send_next(self, _client, _arg):
        """Send the next piece, because the system has taken the last one."""
        if self._at < len(self._rest):
            start = self._at
            self._at = start + _PIECE
            self._send_part(self._rest[start : self._at])
            return
        self._rest = b""
        if self._state == _STREAMING:
            self._left_s = None
        elif self._keep:
            self._state = _IDLE
            self.method = None
            self._left_s = _LATE_S
            self._client.AsyncRecvLine(self._take_line)
        elif self.leaving:
            self._state = _REFUSED
            self._left_s = _LINGER_S
        else:
            self.close()

    # --- streaming

    def stream(self, content_type, data):
        """Begin an endless answer with `data`; `push` sends more."""
        self._keep = False
        self._send(f"HTTP/1.1 200 \r\nContent-Type: {content_type}\r\n", ("Cache-Control: no-store",), data)
        self._state = _STREAMING

    def push(self, data):
        """Send more of a stream, or drop it while the client reads slowly."""
        if self.closed or self._ahead >= _AHEAD or self._at < len(self._rest):  # the beginning is not sent yet
            return
        if not self._ahead:
            self._left_s = _HANDLER_S
        self._ahead += 1
        try:
            self._client.AsyncSendData(data, self._on_pushed)
        except Exception as error:
            self._app.log.warning("http", f"{self.address}: {describe(error)}")
            self.drop()

    def _on_pushed(self, _client, _arg):
        self._ahead -= 1
        self._left_s = _HANDLER_S if self._ahead else None

    # --- the end

    def pass_second(self):
        """End requests and connections that take too long. This is called every second."""
        if self._left_s is None:
            return
        self._left_s -= 1
        if self._left_s >= 0:
            return
        if self._state == _READING:
            self.refuse(408, f"the request took more than {_LATE_S} s")
        elif self._state == _SERVING:
            self.refuse(503, f"no answer within {_HANDLER_S} s")
        elif self._state in (_IDLE, _REFUSED):
            self.close()
        else:  # the client receives nothing
            self.drop()

    def _on_peer_finished(self, _client):
        if self._state in (_SERVING, _SENDING):
            self._keep = self.leaving = False
        else:
            self.close()

    def close(self):
        """End the connection. Queued data is still sent."""
        self.leaving = True
        self._client.Close()

    def drop(self):
        """End the connection at once, even with queued data. This uses the library's hook for a broken connection."""
        self.leaving = True
        if not self.closed:  # otherwise it would read from the next connection with the same descriptor
            self._client.OnExceptionalCondition()

    def _on_closed(self, _client, _reason):
        self.leaving = True
        self._rest = b""
        self._server.forget(self)
