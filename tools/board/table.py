"""The live table of `watch`: all boards, their readings, a small chart of each; a row per board where they are many."""

import time

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tools.board.formats import duration, number

_BARS = "▁▂▃▄▅▆▇█"
_CHART_WIDTH = 24
_SILENT_S = 15  # three times the firmware's own interval
_REDRAW_S = 0.25
_LINES_AROUND = 5  # of a table: its heading, empty lines, the notes
_ROOM_AROUND = 3  # columns between a table's cells


def sparkline(values, width=_CHART_WIDTH):
    """The last `width` values as bars, the lowest and the highest one of them as the lowest and the highest bar."""
    values = [value for value in list(values)[-width:] if value == value]
    if not values:
        return ""
    size = max(abs(min(values)), abs(max(values))) or 1
    values = [value / size for value in values]  # from -1 to 1: of the largest numbers even the difference is one
    low, high = min(values), max(values)
    if low == high:
        return _BARS[0] * len(values)
    steps = len(_BARS) - 1
    return "".join(_BARS[round((value - low) / (high - low) * steps)] for value in values)


def _loss(board):
    if not board.lost:
        return Text("0")
    return Text(f"{board.lost} ({100 * board.loss:.1f} %)", "red")


def _heard(board, now):
    age = now - board.heard
    return Text(f"{age:.0f} s ago", "red" if age > _SILENT_S else "")


def render(fleet, port, ignored=0, now=None, size=None):
    """Everything that is known, for rich to print; a row per board where a terminal of that `size` has no more room."""
    now = time.time() if now is None else now
    if not len(fleet):
        return Text(f"Listening on UDP port {port}: nobody was heard yet. Ctrl-C ends.")
    notes = [f"UDP port {port}. Ctrl-C ends."]
    if ignored:
        notes.append(f"{ignored} datagrams that are no telemetry.")
    table = _table_of_readings(fleet, now)
    if size and table.row_count + len(fleet) + _LINES_AROUND > size.height:
        table, without_room = _table_of_boards(fleet, now, size)
        notes += [f"A larger window has room for {without_room}."] if without_room else []
    return Group(table, Text(" ".join(notes), "dim"))


def _table_of_boards(fleet, now, size):
    """(a table with a row per board, what is not in it)"""
    boards = list(fleet)[: max(1, size.height - _LINES_AROUND)]
    columns = [
        ("board", "left", [Text(board.device, "bold") for board in boards]),
        ("address", "left", [Text(board.address) for board in boards]),
        ("up", "right", [Text(duration(board.uptime)) for board in boards]),
        ("lost", "right", [_loss(board) for board in boards]),
        ("heard", "right", [_heard(board, now) for board in boards]),
    ]
    for name in sorted({name for board in boards for name in board.readings}):
        cells = [Text(number(board.readings[name]) if name in board.readings else "") for board in boards]
        columns.append((name, "right", cells))
    table = Table(box=box.SIMPLE_HEAD)
    room = size.width - _ROOM_AROUND
    shown = []
    for heading, justify, cells in columns:
        room -= max(len(heading), *(cell.cell_len for cell in cells)) + _ROOM_AROUND
        if room < 0:
            break
        table.add_column(Text(heading), justify=justify, no_wrap=True)
        shown.append(cells)
    for row in zip(*shown):
        table.add_row(*row)
    left_out = ((len(fleet) - len(boards), "boards"), (len(columns) - len(shown), "columns"))
    return table, " and ".join(f"{count} more {what}" for count, what in left_out if count)


def _table_of_readings(fleet, now):
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("board", "reading"):
        table.add_column(heading, no_wrap=True)
    for heading in ("now", "lowest", "highest"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("so far", no_wrap=True)
    for board in fleet:
        _add_rows(table, board, now)
    return table


def _add_rows(table, board, now):
    """A column of what the board is, next to one of what it reads."""
    about = [
        Text(board.device, "bold"),
        Text(board.address),
        Text(f"up {duration(board.uptime)}"),
        Text("lost ").append_text(_loss(board)),
        _heard(board, now),
    ]
    if board.restarts:
        about.append(Text(f"{board.restarts} restarts", "yellow"))
    readings = sorted(board.readings.items())
    for row in range(max(len(about), len(readings))):
        cells = [about[row] if row < len(about) else ""]
        if row < len(readings):
            cells += _cells(board, *readings[row])
        table.add_row(*cells)
    table.add_section()


def _cells(board, name, value):
    past = board.past.get(name)
    extremes = [number(min(past)), number(max(past))] if past else ["", ""]
    texts = [name, number(value), *extremes]
    return [Text(text) for text in texts] + [Text(sparkline(past or ()), "cyan")]


class LiveTable:
    """The table in a terminal, drawn anew a few times per second."""

    def __init__(self, fleet, listener):
        self._fleet = fleet
        self._listener = listener
        self._live = Live(auto_refresh=False, vertical_overflow="ellipsis")
        self._drawn = 0

    def _render(self):
        return render(self._fleet, self._listener.port, self._listener.ignored, size=self._live.console.size)

    def __enter__(self):
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_):
        self._live.update(self._render())
        self._live.stop()

    def update(self):
        """Draw, if it is time."""
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_S:
            self._drawn = now
            self._live.update(self._render(), refresh=True)
