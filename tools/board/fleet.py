"""The boards that were heard: their latest readings, earlier ones, and how many were lost."""

from collections import deque

_PAST = 60  # values kept of each reading, for its chart
_REMEMBERED = 128  # sequence numbers, to recognize late datagrams and duplicates
_LATE_S = 5
SILENT_S = 15  # three times the firmware's own interval

# Anyone can send datagrams in the names of boards that do not exist, so these are limits.
MOST_BOARDS = 1000
MOST_OF_AN_ADDRESS = 250
MOST_READINGS = 20000  # readings of all boards together
_LOOK_S = 5
_FORGOTTEN_S = 600  # a board that is silent for longer may be replaced


class Board:
    """One board, as known from its datagrams."""

    def __init__(self, record):
        self.device = record.device
        self.address = record.address
        self.port = record.port  # the control server's port, if it was announced
        self.measurement = record.measurement
        self.received = 0
        self.lost = 0
        self.restarts = 0
        self.uptime = None
        self.heard = record.arrived
        self.started = record.arrived - record.uptime if record.uptime is not None else 0  # estimated
        self.readings = {}
        self.past = {}
        self._next_seq = None
        self._seen = deque(maxlen=_REMEMBERED)
        self._missing = set()

    def take(self, record):
        """Count a datagram and keep its readings. Return False for a duplicate."""
        if not self._count(record.seq, record.uptime):
            return False
        self.received += 1
        self.port = record.port or self.port
        self.heard = record.arrived
        self.readings.update(record.readings)
        for name, value in record.readings.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self.past.setdefault(name, deque(maxlen=_PAST)).append(value)
        return True

    def _count(self, seq, uptime):
        if not isinstance(seq, int) or not isinstance(uptime, int):
            if self._next_seq is None:
                self.uptime = uptime
            return True  # an announcement, or another firmware: there is no sequence number
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
        """The share of lost datagrams, 0 to 1."""
        sent = self.received + self.lost
        return self.lost / sent if sent else 0.0


class Fleet:
    """All boards, by name and address."""

    def __init__(self):
        self._boards = {}
        self._of_address = {}  # number of boards
        self._readings = 0
        self._looked = 0  # time of the last search for silent boards
        self.refused = 0  # records refused at a limit

    def take(self, record):
        """Return the board that sent a record; None if the record is a duplicate or there is no room for it."""
        key = (record.device, record.address)
        board = self._boards.get(key)
        known = board.readings if board else ()
        new = sum(name not in known for name in record.readings)
        if not self._has_room(record, new, board is None):
            self.refused += 1
            return None
        if board is None:
            board = self._boards[key] = Board(record)
            self._of_address[record.address] = self._of_address.get(record.address, 0) + 1
        if self._of_address[record.address] > 1:
            self._forget_old_name(board, record.arrived)
        before = len(board.readings)
        is_new = board.take(record)
        self._readings += len(board.readings) - before
        return board if is_new else None

    def _forget_old_name(self, board, now):
        """Drop the old entry of a board that has restarted under a new name. It was last heard before the restart."""
        for key, other in list(self._boards.items()):
            is_old = other.address == board.address and other.heard < board.started + 1 and now - other.heard > SILENT_S
            if is_old and other is not board:
                self._forget(key)

    def _has_room(self, record, readings, is_another):
        if self._fits(record, readings, is_another):
            return True
        if abs(record.arrived - self._looked) < _LOOK_S:
            return False
        self._looked = record.arrived
        for key, board in list(self._boards.items()):
            if record.arrived - board.heard > _FORGOTTEN_S and key != (record.device, record.address):
                self._forget(key)
        return self._fits(record, readings, is_another)

    def _fits(self, record, readings, is_another):
        if self._readings + readings > MOST_READINGS:
            return False
        of_address = self._of_address.get(record.address, 0)
        return not is_another or (len(self._boards) < MOST_BOARDS and of_address < MOST_OF_AN_ADDRESS)

    def _forget(self, key):
        board = self._boards.pop(key)
        self._readings -= len(board.readings)
        self._of_address[board.address] -= 1
        if not self._of_address[board.address]:
            del self._of_address[board.address]

    def __iter__(self):
        return iter(sorted(self._boards.values(), key=lambda board: (board.device, board.address)))

    def __len__(self):
        return len(self._boards)
