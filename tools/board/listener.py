"""Receives what boards broadcast, on the library's pool."""

import errno
import re
import time
from collections import deque

from tools.board.errors import Unreachable
from tools.board.lines import parse
from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram, XAsyncUDPDatagramException

DEFAULT_PORT = 8094
_LARGEST_DATAGRAM = 65507
_QUANTUM_MS = 250  # how long one turn waits at most
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")  # what could command a terminal; no line has any


class Record:
    """One datagram: who sent it, when it came, and what is in it. Raises ValueError where it is no telemetry."""

    def __init__(self, address, text, arrived):
        self.address = address
        self.arrived = arrived  # seconds since 1970
        if _CONTROL.search(text.rstrip("\r\n")):
            raise ValueError("control characters")
        self.measurement, self.tags, fields = parse(text)
        self.device = self.tags.get("device", address)
        self.seq = fields.pop("seq", None)
        self.uptime = fields.pop("uptime", None)
        self.readings = fields


class Listener:
    """A UDP port. Raises Unreachable where it cannot be had."""

    def __init__(self, port=DEFAULT_PORT):
        self.ignored = 0  # datagrams that are no telemetry
        self._records = deque()
        self._pool = XAsyncSocketsPool()
        try:
            # broadcast: other listeners on this computer share the port
            self._socket = XAsyncUDPDatagram.Create(self._pool, ("0.0.0.0", port), _LARGEST_DATAGRAM, broadcast=True)
        except XAsyncUDPDatagramException as error:
            number = getattr(error.__cause__, "errno", None)
            reason = "another program has it" if number == errno.EADDRINUSE else error.__cause__
            raise Unreachable(f"UDP port {port} cannot be used: {reason}") from None
        self._socket.OnRecv = self._on_recv

    @property
    def port(self):
        """The port in use."""
        return self._socket.LocalAddr[1]

    def close(self):
        """Receive no more."""
        self._pool.StopWaitEvents()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _on_recv(self, _socket, address, datagram):
        try:
            self._records.append(Record(address[0], bytes(datagram).decode(), time.time()))
        except ValueError:  # of the text or of the line
            self.ignored += 1

    def records(self, seconds=None):
        """Each record as it comes, and None whenever nothing came for a moment; for ever, or for some seconds."""
        end = time.monotonic() + seconds if seconds else None
        while end is None or time.monotonic() < end:
            left_ms = _QUANTUM_MS if end is None else int((end - time.monotonic()) * 1000) + 1
            self._pool.PollEvents(max(1, min(left_ms, _QUANTUM_MS)))
            while self._records:
                yield self._records.popleft()
            yield None
