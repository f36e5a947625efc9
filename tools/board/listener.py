"""Receives the boards' broadcasts, on the library's pool."""

import errno
import time
from collections import deque

from tools.board.errors import Unreachable
from tools.board.gate import LONGEST_DATAGRAM, LONGEST_NAME, LONGEST_TEXT, MOST_READINGS, Refused, visible
from tools.board.lines import parse
from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram, XAsyncUDPDatagramException

DEFAULT_PORT = 8094
_QUANTUM_MS = 250  # the longest wait of one turn


def _name(text):
    if len(text) > LONGEST_NAME:
        raise Refused("a name that is too long")
    return visible(text)


def _reading(value):
    return visible(value, LONGEST_TEXT) if isinstance(value, str) else value


class Record:
    """One datagram: its sender, the time of its arrival, and its content. Raises ValueError if it is not telemetry.

    Its texts are safe to show: gate.py has checked them.
    """

    def __init__(self, address, text, arrived):
        self.address = address
        self.arrived = arrived  # seconds since 1970
        measurement, tags, fields = parse(text)
        if len(tags) + len(fields) > MOST_READINGS:
            raise Refused("too many readings")
        self.measurement = _name(measurement)
        self.tags = {_name(key): _name(value) for key, value in tags.items()}
        self.device = self.tags.get("device", address)
        self.seq = _counter(fields.pop("seq", None))
        self.uptime = _counter(fields.pop("uptime", None))
        self.port = _port(fields.pop("control", None))
        self.readings = {_name(key): _reading(value) for key, value in fields.items()}


def _counter(value):
    """Return a counter of our firmware, or None if another sender uses its name for something else."""
    is_counter = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_counter else None


def _port(value):
    """Return the control server's port, or None if the board did not announce one."""
    return value if _counter(value) and value < 65536 else None


class Listener:
    """Listens on a UDP port. Raises Unreachable if the port cannot be opened."""

    def __init__(self, port=DEFAULT_PORT):
        self._ignored = 0
        self._records = deque()
        self._pool = XAsyncSocketsPool()
        try:
            # broadcast: other listeners on this computer share the port
            self._socket = XAsyncUDPDatagram.Create(self._pool, ("0.0.0.0", port), LONGEST_DATAGRAM, broadcast=True)
        except XAsyncUDPDatagramException as error:
            number = getattr(error.__cause__, "errno", None)
            reason = "another program has it" if number == errno.EADDRINUSE else error.__cause__
            raise Unreachable(f"UDP port {port} cannot be used: {reason}") from None
        self._socket.OnRecv = self._on_recv

    @property
    def port(self):
        """The port in use."""
        return self._socket.LocalAddr[1]

    @property
    def ignored(self):
        """The number of datagrams that were not telemetry or too long."""
        return self._ignored + self._socket.DroppedCount

    def close(self):
        """Stop receiving."""
        self._pool.StopWaitEvents()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _on_recv(self, _socket, address, datagram):
        try:
            self._records.append(Record(address[0], bytes(datagram).decode(), time.time()))
        except ValueError:  # not UTF-8, not a valid line, or refused by gate.py
            self._ignored += 1

    def records(self, seconds=None):
        """Yield each record when it arrives, and None after a moment without any. Stop after `seconds`, if given."""
        end = time.monotonic() + seconds if seconds else None
        while end is None or time.monotonic() < end:
            left_ms = _QUANTUM_MS if end is None else int((end - time.monotonic()) * 1000) + 1
            self._pool.PollEvents(max(1, min(left_ms, _QUANTUM_MS)))
            while self._records:
                yield self._records.popleft()
            yield None
