"""Writes records as lines of text, JSON or CSV. Each writer's `line(record, board)` returns one record."""

import csv
import datetime
import io
import json
import re
import sys

_MOST_LEFT_OUT = 256  # readings listed by name
_BYTES = re.compile("(^|_)(heap|memory|bytes|disk|flash)(_|$)")
_EVERYWHERE = ("heap_", "system_")


def number(value):
    """Return a reading as text for people."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def measure(name, value):
    """Return a reading as text for people. A number of bytes, which its name shows, gets a unit."""
    is_bytes = _BYTES.search(name) and isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_bytes or abs(value) < 1000:
        return number(value)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if abs(value) < 999.5 or unit == "TB":
            break
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f} {unit}"


def reading_order(name):
    """Return a sort key for the names of readings: the user's own sensors come before those that every board has."""
    return name.startswith(_EVERYWHERE), name


def chosen(readings, columns):
    """Return {name: reading} for `columns`, in their order, or for all readings if there are no columns."""
    return {name: readings[name] for name in columns if name in readings} if columns else readings


def duration(seconds):
    """Return seconds as text for people."""
    if not isinstance(seconds, int):
        return "?"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _time(record):
    moment = datetime.datetime.fromtimestamp(record.arrived, datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Plain:
    """Plain text, for people."""

    def __init__(self, columns=None):
        self._columns = columns

    def line(self, record, board):
        """One record."""
        clock = datetime.datetime.fromtimestamp(record.arrived).strftime("%H:%M:%S")
        readings = (f"{name}={number(value)}" for name, value in chosen(record.readings, self._columns).items())
        head = f"{clock} {record.device} {record.address} seq={record.seq} uptime={record.uptime} lost={board.lost}"
        return " ".join([head, *readings])


class Json:
    """JSON: one object per line."""

    def __init__(self, columns=None):
        self._columns = columns

    def line(self, record, board):
        """One record."""
        return json.dumps(
            {
                "time": _time(record),
                "address": record.address,
                "measurement": record.measurement,
                "device": record.device,
                "tags": record.tags,
                "seq": record.seq,
                "uptime": record.uptime,
                "lost": board.lost,
                "readings": chosen(record.readings, self._columns),
            },
            allow_nan=False,
        )


class Csv:
    """A heading, then a row per record. The columns are the requested readings, or else those of
    the first record."""

    HEAD = ("time", "device", "address", "seq", "uptime", "lost")

    def __init__(self, columns=None):
        self._columns = columns
        self._chosen = bool(columns)
        self._started = False
        self._left_out = set()

    def line(self, record, board):
        """Return one record; the first one comes with the heading."""
        rows = []
        if not self._started:
            self._started = True
            self._columns = self._columns or list(record.readings)
            rows.append([*self.HEAD, *self._columns])
        if not self._chosen:
            self._tell_left_out(record)
        head = [_time(record), record.device, record.address, record.seq, record.uptime, board.lost]
        rows.append(head + [record.readings.get(name, "") for name in self._columns])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().rstrip("\n")

    def _tell_left_out(self, record):
        new = set(record.readings) - set(self._columns) - self._left_out
        if new and len(self._left_out) < _MOST_LEFT_OUT:
            self._left_out |= new
            names = ", ".join(sorted(new))
            print(f"board: the CSV has no column for {names}; choose its columns with --columns", file=sys.stderr)
