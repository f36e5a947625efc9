"""Watches a board after an update, until its start counts as good."""

import posixpath
import time

from tools.board.errors import BoardError, ToolError, Unreachable
from tools.board.gate import LONGEST_MESSAGE, visible

POLL_S = 0.5
NO_ROOM = -32000  # the code of a method that fails, as for want of memory
TRIES = 10
RESTART_S = 60
_INFO = {"uptime": (int, float), "safe_mode": (str, None), "services": dict, "config": {"faults": [str]}}
_LOG = [{"level": str, "source": str, "text": str}]
_STEADY = (int, float)
_MOST_STARTS = 10  # safe mode comes after three
_FINE = ("running", "new")
_READ_IN = ("services", "sensors", "lib", "firmware")  # folders whose programs the board loads


def never_loaded(names):
    """Return [(name, where the board would look for it, or None)] for programs that the board will never load."""
    found = []
    for name in names:
        folder, _, file = name.rpartition("/")
        if not folder or not file.endswith((".py", ".mpy")) or folder.split("/")[0] in ("lib", "firmware"):
            continue
        if folder not in _READ_IN:
            parent = posixpath.basename(folder)
            found.append((name, f"{parent}/{file}" if parent in _READ_IN else None))
    return found


def troubles(client):
    """Return texts that say what does not work on the board."""
    return _troubles(client, client.call("info", shape=_INFO))


def _troubles(client, info):
    found = [f"config: {fault}" for fault in info["config"]["faults"]]
    for name, state in info["services"].items():
        if state not in _FINE:
            found.append(f"service {name}: {state}")
    for entry in _ask(client, "log.tail", {"count": 100}, _LOG):
        if entry["level"] == "error":
            found.append(f"{entry['source']}: {entry['text']}")
    return [visible(text, LONGEST_MESSAGE) for text in dict.fromkeys(found)]


def watch_start(client, names, before, say):
    """Watch the board, which has started with the files `names`, until its start counts as good. Raises ToolError if
    it fails: the board restarts again and again, is in safe mode, or has a problem that it did not have `before`."""
    info = _steady(client, say)
    if info["safe_mode"]:
        raise ToolError(f"{client} is in safe mode, without your files: {visible(info['safe_mode'], LONGEST_MESSAGE)}")
    found = [text for text in _troubles(client, info) if text not in before or _is_about(text, names)]
    if found:
        raise ToolError(f"the files are on {client}, but there is a problem: {'; '.join(found)}")


def _ask(client, method, params, shape):
    """Return the result of a method. A small board may lack the memory for it just after its start."""
    for left in range(TRIES, -1, -1):
        try:
            return client.call(method, params, shape)
        except BoardError as error:
            if error.code != NO_ROOM or not left:
                raise
        time.sleep(2 * POLL_S)


def _is_about(text, names):
    stems = (posixpath.basename(name).rpartition(".")[0] or name for name in names)
    return any(stem in text for stem in stems)


def _steady(client, say):
    """Return the answer to `info` when the start counts as good, or the board is in safe mode."""
    steady_s = _ask(client, "config.get", {"key": "boot.steady_s"}, _STEADY)
    say(f"the board runs; this command watches it for {steady_s:g} s")
    latest, starts, silent_since = 0, 1, None
    while True:
        try:
            info = _ask(client, "info", None, _INFO)
            silent_since = None
        except Unreachable:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > RESTART_S:
                raise
            time.sleep(POLL_S)
            continue
        if info["uptime"] < latest:
            starts += 1
            say(f"the board has restarted after {latest} s")
        latest = info["uptime"]
        if info["safe_mode"] or latest > steady_s:
            return info
        if starts > _MOST_STARTS:
            raise ToolError(f"{client} restarts again and again with the new files")
        time.sleep(POLL_S)
