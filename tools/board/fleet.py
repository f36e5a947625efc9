"""What is known of the boards that were heard: their latest readings, their past, and what was lost on the way."""

from collections import deque

_PAST = 60  # values kept of each reading, for its chart
_REMEMBERED = 128  # sequence numbers, to tell what is late or double from what is new
_LATE_S = 5


class Board:
    """One board, as its datagrams tell."""

    def __init__(self, record):
        self.device = record.device
        self.address = record.address
        self.measurement = record.measurement
        self.received = 0
        self.lost = 0
        self.restarts = 0
        self.uptime = None
        self.heard = record.arrived
        self.readings = {}
        self.past = {}
        self._next_seq = None
        self._seen = deque(maxlen=_REMEMBERED)
        self._missing = set()

    def take(self, record):
        """Count a datagram and remember its readings; False for one that has come before."""
        if not self._count(record.seq, record.uptime):
            return False
        self.received += 1
        self.heard = record.arrived
        self.readings.update(record.readings)
        for name, value in record.readings.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self.past.setdefault(name, deque(maxlen=_PAST)).append(value)
        return True

    def _count(self, seq, uptime):
        if not isinstance(seq, int) or not isinstance(uptime, int):
            return True  # not of our firmware: nothing to count with
        if (seq, uptime) in self._seen:
            return False
        self._seen.append((seq, uptime))
        if self._next_seq is None or seq >= self._next_seq and uptime >= self.uptime:
            self._advance(seq)
        elif seq in self._missing and uptime >= self.uptime - _LATE_S:
            self._missing.remove(seq)
            self.lost -= 1
            return True
        else:
            self.restarts += 1
            self._missing.clear()
            self._next_seq = seq + 1
        self.uptime = uptime
        return True

    def _advance(self, seq):
        if self._next_seq is not None:
            gap = seq - self._next_seq
            self.lost += gap
            self._missing.update(range(seq - min(gap, _REMEMBERED), seq))
            self._missing = {missing for missing in self._missing if missing > seq - _REMEMBERED}
        self._next_seq = seq + 1

    @property
    def loss(self):
        """The part that was lost, 0 to 1."""
        sent = self.received + self.lost
        return self.lost / sent if sent else 0.0


class Fleet:
    """All boards, by name and address."""

    def __init__(self):
        self._boards = {}

    def take(self, record):
        """The board that a record is from; None where the record has come before."""
        key = (record.device, record.address)
        board = self._boards.get(key)
        if board is None:
            board = self._boards[key] = Board(record)
        return board if board.take(record) else None

    def __iter__(self):
        return iter(sorted(self._boards.values(), key=lambda board: (board.device, board.address)))

    def __len__(self):
        return len(self._boards)
