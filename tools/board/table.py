"""The live table of `watch`: all boards, their readings and small charts; with many boards, one row for each."""

import time

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tools.board.fleet import SILENT_S
from tools.board.formats import chosen, duration, measure, reading_order

_BARS = "▁▂▃▄▅▆▇█"
_CHART_WIDTH = 24
_SHORTEST_CHART = 4
_SHORTEST_NAME = 8
_LONGEST_TEXT, _SHORT_TEXT = 30, 12  # characters of a text reading in a wide and in a narrow terminal
_WIDE = 100
_REDRAW_S = 0.25
_LINES_AROUND = 5  # lines beside the rows: heading, empty lines, notes
_MOST_NAMED = 8
_ROOM_AROUND = 3  # columns between a table's cells


def sparkline(values, width=_CHART_WIDTH):
    """Return the last `width` values as bars, scaled between their lowest and highest."""
    values = [value for value in list(values)[-width:] if value == value]
    if not values:
        return ""
    size = max(abs(min(values)), abs(max(values))) or 1
    values = [value / size for value in values]  # scaled to -1 to 1, so that no difference overflows
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
    return Text(f"{age:.0f} s ago", "red" if age > SILENT_S else "")


def render(fleet, port, ignored=0, now=None, size=None, columns=None):
    """Return all boards for rich to print; one row per board if a terminal of `size` has no room for more.
    `columns` are the readings to show, or None for all."""
    now = time.time() if now is None else now
    if not len(fleet):
        return Text(f"Listening on UDP port {port}: no board was heard yet. Ctrl-C ends.")
    notes = [f"UDP port {port}. Ctrl-C ends."]
    if ignored:
        notes.append(f"{ignored} datagrams were not telemetry.")
    if fleet.refused:
        notes.append(f"{fleet.refused} datagrams were refused: too many boards or readings.")
    boards = [board for board in fleet if chosen(board.readings, columns)]
    silent = [board for board in fleet if not chosen(board.readings, columns)]
    table = _table_of_readings(boards, now, size.width if size else None, columns) if boards else Text("")
    lines = table.row_count + len(boards) if boards else 0
    if size and lines + _LINES_AROUND > size.height:
        table, without_room = _table_of_boards(fleet, now, size, columns)
        notes += [f"A larger window has room for {without_room}."] if without_room else []
    elif silent:
        notes.append(f"No readings came from {_named(silent)}.")
    return Group(table, Text(" ".join(notes), "dim"))


def _table_of_boards(fleet, now, size, chosen_readings):
    """Return (a table with a row per board, a note on what is left out)."""
    boards = list(fleet)[: max(1, size.height - _LINES_AROUND)]
    columns = [
        ("board", "left", [Text(board.device, "bold") for board in boards]),
        ("address", "left", [Text(board.address) for board in boards]),
        ("up", "right", [Text(duration(board.uptime)) for board in boards]),
        ("lost", "right", [_loss(board) for board in boards]),
        ("heard", "right", [_heard(board, now) for board in boards]),
    ]
    names = sorted({name for board in boards for name in board.readings}, key=reading_order)
    for name in chosen_readings or names:
        cells = [Text(_shown(name, board.readings[name]) if name in board.readings else "") for board in boards]
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


def _shown(name, value, longest=_LONGEST_TEXT):
    text = measure(name, value)
    return _cut(text, longest) if isinstance(value, str) else text


def _cut(text, longest):
    return text if len(text) <= longest else text[: max(1, longest) - 1] + "…"


def _named(boards):
    names = [f"{board.device} ({board.address})" for board in boards[:_MOST_NAMED]]
    more = len(boards) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _table_of_readings(boards, now, width, columns):
    """Fit the table into `width` but keep all numbers: shorten charts, drop lowest and highest, then cut names."""
    longest = _LONGEST_TEXT if width is None or width >= _WIDE else _SHORT_TEXT
    blocks = [_block(board, now, columns, longest) for board in boards]
    headings = ["board", "reading", "now", "lowest", "highest"]
    widths = [
        max(len(heading), *(row[index].cell_len for block in blocks for row in block))
        for index, heading in enumerate(headings)
    ]
    shown = [0, 1, 2, 3, 4]
    chart = _room_for_chart(width, widths)
    if chart < _SHORTEST_CHART:
        shown = [0, 1, 2]
        chart = _room_for_chart(width, widths[:3])
    for index in (0, 1):
        missing = -_ROOM_AROUND - _room_for_chart(width, widths[:3])
        widths[index] = max(_SHORTEST_NAME, widths[index] - max(0, missing))
    table = Table(box=box.SIMPLE_HEAD)
    for index in shown:
        table.add_column(headings[index], justify="right" if index > 1 else "left", no_wrap=True)
    if chart >= _SHORTEST_CHART:
        table.add_column("so far", no_wrap=True)
    for block in blocks:
        for row in block:
            for index in (0, 1):
                row[index].truncate(widths[index], overflow="ellipsis")
            bars = [Text(sparkline(row[-1], min(chart, _CHART_WIDTH)), "cyan")] if chart >= _SHORTEST_CHART else []
            table.add_row(*(row[index] for index in shown), *bars)
        table.add_section()
    return table


def _room_for_chart(width, widths):
    """Return the width left beside columns of these widths and rich's spaces."""
    if width is None:
        return _CHART_WIDTH
    return width - _ROOM_AROUND - 1 - sum(one + _ROOM_AROUND for one in widths)


def _block(board, now, columns, longest):
    """Return the rows of a board, its description next to its readings; each ends with the values of its chart."""
    about = [
        Text(board.device, "bold"),
        Text(board.address),
        Text(f"up {duration(board.uptime)}"),
        Text("lost ").append_text(_loss(board)),
        _heard(board, now),
    ]
    if board.restarts:
        about.append(Text(f"{board.restarts} restarts", "yellow"))
    readings = [(name, board.readings[name]) for name in sorted(board.readings, key=reading_order)]
    readings = list(chosen(dict(readings), columns).items())
    rows = []
    for row in range(max(len(about), len(readings))):
        cells = _cells(board, *readings[row], longest) if row < len(readings) else [Text("")] * 4 + [()]
        rows.append([about[row] if row < len(about) else Text(""), *cells])
    return rows


def _cells(board, name, value, longest):
    past = board.past.get(name) or ()
    extremes = [measure(name, min(past)), measure(name, max(past))] if past else ["", ""]
    return [*map(Text, (name, _shown(name, value, longest), *extremes)), past]


class LiveTable:
    """The table in a terminal, redrawn a few times per second."""

    def __init__(self, fleet, listener, columns=None):
        self._fleet = fleet
        self._columns = columns
        self._listener = listener
        self._live = Live(auto_refresh=False, vertical_overflow="ellipsis")
        self._drawn = 0

    def _render(self):
        size = self._live.console.size
        return render(self._fleet, self._listener.port, self._listener.ignored, size=size, columns=self._columns)

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
