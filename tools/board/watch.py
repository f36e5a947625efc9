"""`discover` and `watch`: the boards that broadcast, and their readings."""

import json
import sys
import time

from tools.board.client import DEFAULT_PORT, ControlClient, accept_any_certificate
from tools.board.errors import StrangeAnswer, ToolError, Unreachable
from tools.board.fleet import Fleet
from tools.board.formats import Csv, Json, Plain, duration
from tools.board.gate import visible
from tools.board.listener import Listener

_ROW = "{:16} {:15} {:>5} {:10} {:8} {:>7}  {:3} {}"
_UNKNOWN = dict.fromkeys(("port", "kind", "version", "tls", "safe_mode"))
_INFO = {"device": str, "board": str, "version": str, "safe_mode": (str, None)}
_LONGEST = 32
_ASK_S = 1
_MOST_PLACES = 8  # ports of one address that are tried


def _say(text):
    print(f"board: {text}", file=sys.stderr, flush=True)


def _taken(listener, fleet, seconds, device=None):
    """Yield (record, board) for each datagram that is not a duplicate, and (None, None) after a moment without any."""
    for record in listener.records(seconds):
        if record is None:
            yield None, None
        elif device in (None, record.device):
            board = fleet.take(record)
            if board:
                yield record, board


def discover(port, seconds, count=None, as_json=False):
    """Print each board once, when it is first heard, up to `count` boards. Raises Unreachable if there is none."""
    fleet = Fleet()
    asked = {}  # each address is asked once, and none after the end, because anyone can send under many names
    waiting = {}  # boards that did not answer, and may announce another port
    end = time.monotonic() + seconds

    def answers_of(board):
        place = board.address, board.port or DEFAULT_PORT
        if place not in asked and time.monotonic() < end and _may_ask(asked, board.address):
            asked[place] = ask(*place)
        answers = asked.get(place, {})
        return answers if answers.get("device") == board.device else {}  # several can share an address

    def show(board):
        print(_about(board, answers_of(board), as_json), flush=True)

    with Listener(port) as listener:
        _say(f"listening on UDP port {listener.port} for {seconds:g} s")
        if sys.stdout.isatty() and not as_json:
            print(_ROW.format("board", "address", "port", "kind", "version", "up", "", "readings"))
        for record, board in _taken(listener, fleet, seconds):
            if record and (board.received == 1 or board in waiting):
                if board.port or answers_of(board):
                    waiting.pop(board, None)
                    show(board)
                else:
                    waiting[board] = True
            if record and len(fleet) == count:
                break
        for board in waiting:
            show(board)
        if len(fleet):
            _tell_refused(listener, fleet)
            return
        other = f"; {listener.ignored} datagrams were not telemetry" if listener.ignored else ""
        raise Unreachable(
            f"no board was heard on UDP port {listener.port} within {seconds:g} s{other}: "
            "is it on this network, and does this computer's firewall let UDP in?"
        )


def _tell_refused(listener, fleet):
    if listener.ignored:
        _say(f"{listener.ignored} datagrams were not telemetry")
    if fleet.refused:
        _say(f"{fleet.refused} datagrams were refused: too many boards or readings")


def _may_ask(asked, address):
    return sum(place[0] == address for place in asked) < _MOST_PLACES


def ask(address, port=DEFAULT_PORT):
    """Return {"device", "port", "kind", "version", "tls", "safe_mode"} from a control server, or {}."""
    for context in (None, accept_any_certificate()):
        with ControlClient(f"{address}:{port}", timeout_s=_ASK_S, context=context) as client:
            try:
                info = client.call("info", shape=_INFO)
            except StrangeAnswer:
                return {}
            except ToolError:
                if client.connected_once:
                    continue
                return {}
        return {
            "device": visible(info["device"], _LONGEST),
            "port": port,
            "kind": visible(info["board"], _LONGEST),
            "version": visible(info["version"], _LONGEST),
            "tls": bool(context),
            "safe_mode": info["safe_mode"] is not None,
        }
    return {}


def _about(board, answers, as_json):
    readings = sorted(board.readings)
    if as_json:
        about = {"device": board.device, "address": board.address, "uptime": board.uptime}
        about.update(answers or {**_UNKNOWN, "port": board.port})
        return json.dumps({**about, "readings": readings})
    marks = [mark for key, mark in (("tls", "TLS"), ("safe_mode", "SAFE MODE")) if answers.get(key)]
    kind, version = (answers.get(key, "-") for key in ("kind", "version"))
    port = answers.get("port") or board.port or "-"
    cells = (board.device, board.address, port, kind, version, duration(board.uptime), " ".join(marks))
    return _ROW.format(*cells, ", ".join(readings)).rstrip()


def watch(port, seconds=None, count=None, device=None, form=None, columns=None):
    """Show the datagrams: as a live table in a terminal, or as lines elsewhere and if a format is requested."""
    fleet = Fleet()
    with Listener(port) as listener:
        records = _taken(listener, fleet, seconds, device)
        if form is None and sys.stdout.isatty():
            from tools.board.table import LiveTable  # importing rich is slow

            with LiveTable(fleet, listener, columns) as table:
                for _ in _first(count, records):
                    table.update()
        else:
            _say(f"listening on UDP port {listener.port}")
            writer = {"csv": Csv, "json": Json}.get(form, Plain)(columns)
            for record, board in _first(count, records):
                if record and (record.readings or not record.port):  # not an announcement
                    print(writer.line(record, board), flush=True)
            _tell_refused(listener, fleet)
        if not len(fleet):
            raise Unreachable(f"nothing was heard on UDP port {listener.port}")


def _first(count, records):
    """Yield all records, or the first `count`."""
    for record, board in records:
        yield record, board
        if record and count is not None:
            count -= 1
            if not count:
                return
