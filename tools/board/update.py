"""`update`: a new image, or files, over the network."""

import base64
import hashlib
import io
import sys
import tarfile
import time
from pathlib import Path

from tools.board.errors import BoardError, StrangeAnswer, ToolError, Unreachable, UsageError
from tools.board.gate import visible
from tools.board.verdict import never_loaded, troubles, watch_start

IMAGE, FILES = "image", "files"
RESTART_S = 60
POLL_S = 1
TRIAL_S = 4000  # boot.steady_s is at most an hour
LARGEST_CHUNK = 65536
METHOD_NOT_FOUND = -32601
_STATUS = {"kinds": [str], "last": (str, None), "running": (str, None)}
IMAGE_MAGIC = 0xE9  # of Espressif's images


def update(client, words, say=None):
    """Send what `words` name, and watch the board start with it. Raises ToolError."""
    say = say or _say
    kind, content, names = _read(words)
    for name, better in never_loaded(names):
        where = f"; did you mean {better}={name}?" if better else ""
        say(f"{name}: the board loads no programs from there{where}")
    status = _status(client)
    if kind not in status["kinds"]:
        raise ToolError(f"{client} has room for one image only; send files instead")
    before = troubles(client)
    sent_s = _send(client, kind, content, say)
    say(f"{len(content)} bytes in {sent_s:.1f} s; {visible(client.call('update.end', shape=str))}")
    status = _wait_for_restart(client)
    if kind == IMAGE:
        status = _wait_for_verdict(client, status, say)
        if status["last"] == "went back":
            raise ToolError(f"the new image did not last: {client} is back in {_shown(status['running'])}")
    watch_start(client, names, before, say)
    say(f"{client}: updated" + (f", on the board: {', '.join(map(_shown, names))}" if names else ""))


def _shown(name):
    return visible(str(name), 100)


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _read(words):
    """Return (kind, bytes to send, names on the board) for FILE, NAME=FILE, FOLDER. One .bin file is an image."""
    if len(words) == 1 and words[0].endswith(".bin"):
        content = _content(Path(words[0]))
        if content[:1] != bytes([IMAGE_MAGIC]):
            raise UsageError(f"{words[0]} is not an image of an ESP32")
        return IMAGE, content, []
    files = {}
    for word in words:
        name, equals, path = word.partition("=")
        files.update(_files(Path(path if equals else name), name))
    if not files:
        raise UsageError("there is nothing to send")
    return FILES, _archive(files), list(files)


def _files(path, name):
    """Return {name on the board: content}."""
    if path.is_dir():
        found = (file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)
        return {file.relative_to(path).as_posix(): _content(file) for file in found}
    if name.startswith(("/", "../")):
        raise UsageError(f"{name}: which name should it have on the board? Write name={name}")
    return {name[2:] if name.startswith("./") else name: _content(path)}


def _content(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _status(client):
    try:
        return client.call("update.status", shape=_STATUS)
    except BoardError as error:
        if error.code != METHOD_NOT_FOUND:
            raise
        raise ToolError(f"{client} has firmware that cannot be updated over the network") from None


def _send(client, kind, content, say):
    """Send everything and return the seconds that it took."""
    sha256 = hashlib.sha256(content).hexdigest()
    signature = client.sign(f"update {kind} {len(content)} {sha256}")
    params = {"kind": kind, "size": len(content), "sha256": sha256, "signature": signature}
    chunk = client.call("update.begin", params, {"chunk": int})["chunk"]
    if not 0 < chunk <= LARGEST_CHUNK:
        raise StrangeAnswer(f"{client} takes {chunk} bytes at a time: no board of this firmware does")
    start = time.monotonic()
    told = 0
    for offset in range(0, len(content), chunk):
        data = base64.b64encode(content[offset : offset + chunk]).decode()
        client.call("update.write", {"offset": offset, "data": data})
        part = 10 * (offset + chunk) // len(content)
        if part > told and part < 10:
            told = part
            say(f"{10 * part:3} %")
    return time.monotonic() - start


def _wait_for_restart(client):
    """Return the board's status when it runs again."""
    client.hang_up()
    start = time.monotonic()
    while True:
        time.sleep(POLL_S)  # it answers until it restarts
        passed = time.monotonic() - start
        try:
            if client.call("uptime", shape=(int, float)) <= passed:
                return _status(client)
        except Unreachable:
            pass
        if passed > RESTART_S:
            raise Unreachable(f"{client} did not come back within {RESTART_S} s")


def _wait_for_verdict(client, status, say):
    """Return the status when the new image is accepted or the old one is back."""
    if status["last"] == "on trial":
        say(f"on trial in {_shown(status['running'])}")
    end = time.monotonic() + TRIAL_S
    while status["last"] == "on trial":
        if time.monotonic() > end:
            raise ToolError(f"{client}: the trial of its image does not end")
        time.sleep(POLL_S)
        try:
            status = _status(client)
        except Unreachable:
            status = _wait_for_restart(client)
    return status
