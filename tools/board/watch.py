"""`discover` and `watch`: who broadcasts, and what."""

import json
import sys

from tools.board.errors import Unreachable
from tools.board.fleet import Fleet
from tools.board.formats import Csv, Json, Plain, duration
from tools.board.listener import Listener


def _say(text):
    print(f"board: {text}", file=sys.stderr, flush=True)


def _taken(listener, fleet, seconds, device=None):
    """(record, board) of what came; (None, None) whenever nothing did for a moment. Doubles are left out."""
    for record in listener.records(seconds):
        if record is None:
            yield None, None
        elif device in (None, record.device):
            board = fleet.take(record)
            if board:
                yield record, board


def discover(port, seconds, count=None, as_json=False):
    """Print each board once, when it is heard first, until the count-th. Raises Unreachable where there is none."""
    fleet = Fleet()
    with Listener(port) as listener:
        _say(f"listening on UDP port {listener.port} for {seconds:g} s")
        for record, board in _taken(listener, fleet, seconds):
            if record and board.received == 1:
                print(_about(board, as_json), flush=True)
                if len(fleet) == count:
                    return
        if not len(fleet):
            other = f"; {listener.ignored} datagrams were no telemetry" if listener.ignored else ""
            raise Unreachable(
                f"no board was heard on UDP port {listener.port} within {seconds:g} s{other}: "
                "is it on this network, and does this computer's firewall let UDP in?"
            )


def _about(board, as_json):
    if as_json:
        about = {"device": board.device, "address": board.address, "uptime": board.uptime}
        return json.dumps({**about, "readings": sorted(board.readings)})
    readings = ", ".join(sorted(board.readings))
    return f"{board.device:24} {board.address:15} up {duration(board.uptime):8} {readings}"


def watch(port, seconds=None, count=None, device=None, form=None, columns=None):
    """Show what comes: as a live table in a terminal, as lines elsewhere or where a format is asked for."""
    fleet = Fleet()
    with Listener(port) as listener:
        records = _taken(listener, fleet, seconds, device)
        if form is None and sys.stdout.isatty():
            from tools.board.table import LiveTable  # rich takes its time

            with LiveTable(fleet, listener) as table:
                for _ in _first(count, records):
                    table.update()
        else:
            _say(f"listening on UDP port {listener.port}")
            writer = {"csv": lambda: Csv(columns), "json": Json}.get(form, Plain)()
            for record, board in _first(count, records):
                if record:
                    print(writer.line(record, board), flush=True)
            if listener.ignored:
                _say(f"{listener.ignored} datagrams were no telemetry")
        if not len(fleet):
            raise Unreachable(f"nothing was heard on UDP port {listener.port}")


def _first(count, records):
    """All of them, or up to the count-th record."""
    for record, board in records:
        yield record, board
        if record and count is not None:
            count -= 1
            if not count:
                return
