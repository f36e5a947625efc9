"""The files that keep a configuration: config.json, and the last one that was good."""

import os

from firmware.jsontext import dumps, loads
from firmware.log import describe

FILE = "config.json"
LAST_GOOD_FILE = "config.last.json"
LONGEST_FILE = 16384  # bytes; more than this is no configuration, and might not fit into the heap


def _read(path):
    """The text of a file; None where there is none."""
    try:
        size = os.stat(path)[6]
    except OSError:
        return None
    if size > LONGEST_FILE:
        raise ValueError(f"{size} bytes are more than the {LONGEST_FILE} of a configuration")
    with open(path) as file:
        return file.read()


def write_whole(path, text):
    """Replace a file so that after a power failure there is the old one or the new one, never half of one."""
    new_path = path + ".new"
    with open(new_path, "w") as file:
        file.write(text)
    if hasattr(os, "sync"):
        os.sync()
    # FAT removes the old one first (extmod/vfs_fat.c). Should the power fail there, the last good copy holds.
    os.rename(new_path, path)


def load(config, board, log):
    """Have `config` use the file, or if it is bad the last good copy; never raises."""
    config.faults = []
    for name in (FILE, LAST_GOOD_FILE):
        text = _load_file(config, board, name)
        if text is not None:
            if name == FILE:
                _keep_good_copy(board, log, text)
            break
    for fault in config.faults:
        log.error("config", f"{fault}; using {config.source}")


def _load_file(config, board, name):
    """The text of the file if it is now in use, else None."""
    try:
        text = _read(board.path(name))
        if text is None:
            return None
        try:
            given = loads(text)
        except ValueError:
            raise ValueError("not JSON: half written, or a comma or quote is wrong") from None
        config.use(given, name)
        return text
    except Exception as error:
        says_enough = isinstance(error, ValueError)
        config.faults.append(f"{name}: {error if says_enough else describe(error)}")
        return None


def _keep_good_copy(board, log, text):
    copy = board.path(LAST_GOOD_FILE)
    try:
        if _read(copy) != text:
            write_whole(copy, text)
    except (OSError, ValueError) as error:
        log.warning("config", f"no copy kept: {describe(error)}")


def save(config, given, board, log):
    """Write `given` to the board's filesystem. Raises OSError."""
    text = dumps(given)
    write_whole(board.path(FILE), text)
    _keep_good_copy(board, log, text)
    config.source = FILE
