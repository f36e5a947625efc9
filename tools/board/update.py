"""`update`: a new image, or files, over the network."""

import base64
import hashlib
import io
import json
import sys
import tarfile
import time
from pathlib import Path

from firmware.config.file import FILE as SETTINGS
from firmware.config.file import decoded
from tools.board.errors import BoardError, StrangeAnswer, ToolError, Unreachable, UsageError
from tools.board.gate import visible
from tools.board.verdict import never_loaded, troubles, watch_start

IMAGE, FILES = "image", "files"
RESTART_S = 60
POLL_S = 1
TRIAL_S = 4000  # boot.steady_s is at most an hour
LARGEST_CHUNK = 65536
# Modules that the firmware imports: a program of this name would be loaded instead of MicroPython's own.
HIDEABLE = frozenset(
    """binascii errno gc hashlib io json machine micropython network os random re select socket ssl struct sys _thread
    time tls""".split()
)
METHOD_NOT_FOUND = -32601
_STATUS = {"kinds": [str], "last": (str, None), "running": (str, None)}
IMAGE_MAGIC = 0xE9  # the first byte of Espressif's images
BOM = b"\xef\xbb\xbf"  # some editors put it at the beginning; MicroPython's import reports a syntax error
DELETE = b"R"  # the type of an archive entry without content: the board deletes the file with this name


def update(client, words, delete=(), say=None):
    """Send the files that `words` name, delete the files `delete`, and watch the board start. Raises ToolError."""
    say = say or _say
    kind, content, files = _read(words, delete)
    names = list(files)
    for name, better in never_loaded(names):
        where = f"; did you mean {better}={name}?" if better else ""
        say(f"{name}: the board loads no programs from there{where}")
    status = _status(client)
    if kind not in status["kinds"]:
        raise ToolError(f"{client} cannot update its image over the network; send files instead")
    before = troubles(client)
    sent_s = _send(client, kind, content, say)
    say(f"{len(content)} bytes in {sent_s:.1f} s; {visible(client.call('update.end', shape=str))}")
    try:
        status = _wait_for_restart(client)
    except Unreachable as error:
        if SETTINGS not in files:
            raise
        raise Unreachable(f"{error}; if nobody logs in there, its old settings come back after 10 minutes") from None
    if SETTINGS in files:
        client.log_in(_token(files[SETTINGS]))  # so that the settings are kept
    if kind == IMAGE:
        status = _wait_for_verdict(client, status, say)
        if status["last"] == "went back":
            raise ToolError(f"the new image did not last: {client} is back in {_shown(status['running'])}")
    watch_start(client, names, before, say)
    said = f", on the board: {', '.join(map(_shown, names))}" if names else ""
    said += f", deleted: {', '.join(map(_shown, delete))}" if delete else ""
    say(f"{client}: updated{said}")


def _token(settings):
    """Return the token in settings that a board has accepted."""
    return json.loads(decoded(settings)).get("control", {}).get("token")


def _shown(name):
    return visible(str(name), 100)


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _read(words, delete):
    """Return (kind, bytes to send, {name on the board: content}) for FILE, NAME=FILE or FOLDER. One .bin file is an
    image."""
    if len(words) == 1 and words[0].endswith(".bin"):
        if delete:
            raise UsageError("an image is a separate update: delete files in another one")
        content = _content(Path(words[0]))
        if content[:1] != bytes([IMAGE_MAGIC]):
            raise UsageError(f"{words[0]} is not an image for an ESP32")
        return IMAGE, content, {}
    files = {}
    for word in words:
        name, equals, path = word.partition("=")
        files.update(_files(Path(path if equals else name), name))
    for name in files:
        folder, _, file = name.rpartition("/")
        if folder in ("", "lib") and file.endswith((".py", ".mpy")) and file.partition(".")[0] in HIDEABLE:
            raise UsageError(f"{name}: the firmware would load this as MicroPython's module; give it another name")
    if not files and not delete:
        raise UsageError("there is nothing to send, and nothing to delete")
    return FILES, _archive(files, delete), files


def _files(path, name):
    """Return {name on the board: content}."""
    if path.is_dir():
        found = (file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)
        return {file.relative_to(path).as_posix(): _content(file) for file in found}
    if name.startswith(("/", "../")):
        raise UsageError(f"{name}: give its name on the board as well: NAME={name}")
    return {name[2:] if name.startswith("./") else name: _content(path)}


def _content(path):
    try:
        content = path.read_bytes()
        return content.removeprefix(BOM) if path.suffix == ".py" else content
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _archive(files, delete):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in delete:
            entry = tarfile.TarInfo(name)
            entry.type = DELETE
            archive.addfile(entry)
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
    signature = client.prove("update", f"{kind} {len(content)} {sha256}")
    params = {"kind": kind, "size": len(content), "sha256": sha256, "signature": signature}
    chunk = client.call("update.begin", params, {"chunk": int})["chunk"]
    if not 0 < chunk <= LARGEST_CHUNK:
        raise StrangeAnswer(f"{client} asks for {chunk} bytes at a time, which this firmware never does")
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
        say(f"the new image runs on trial in {_shown(status['running'])}")
    end = time.monotonic() + TRIAL_S
    while status["last"] == "on trial":
        if time.monotonic() > end:
            raise ToolError(f"{client}: the trial of its new image does not end")
        time.sleep(POLL_S)
        try:
            status = _status(client)
        except Unreachable:
            status = _wait_for_restart(client)
    return status
