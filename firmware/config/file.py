"""The files that store a configuration: config.json, and a copy of the last good one."""

import os

from firmware.jsontext import loads
from firmware.log import describe

FILE = "config.json"
LAST_GOOD_FILE = "config.last.json"
LONGEST_FILE = 16384  # bytes; a larger file is no configuration, and might not fit into the heap


def read_text(path):
    """Return the text of a file, or None if there is no file."""
    try:
        size = os.stat(path)[6]
    except OSError:
        return None
    if size > LONGEST_FILE:
        raise ValueError(f"{size} bytes: a configuration has at most {LONGEST_FILE}")
    with open(path, "rb") as file:
        return decoded(file.read())


def usable_text(path):
    """Return the text of a file, or None if it is missing or damaged."""
    try:
        text = read_text(path)
        parsed(text)
        return text
    except Exception:
        return None


def decoded(data):
    """Return the text of a configuration without a byte order mark. Raises ValueError if it is not UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data:
        raise ValueError("this is UTF-16; save it as UTF-8")
    try:
        return (data[3:] if data[:3] == b"\xef\xbb\xbf" else data).decode()
    except UnicodeError:
        raise ValueError("this is not UTF-8 but Latin-1 or the like; save it as UTF-8") from None


def write_whole(path, text):
    """Replace a file. After a power failure, either the old or the new one is there, complete."""
    new_path = path + ".new"
    with open(new_path, "w") as file:
        file.write(text)
    if hasattr(os, "sync"):
        os.sync()
    # FAT removes the old one first (extmod/vfs_fat.c). If the power fails in between, the last good copy is used.
    os.rename(new_path, path)


def replace(board, log, text):
    """Save `text` as the configuration and as the last good copy."""
    write_whole(board.path(FILE), text)
    keep_good_copy(board, log, text)


def load(config, board, log):
    """Let `config` use the file, or the last good copy if it is bad; never raises."""
    config.faults = []
    for name in (FILE, LAST_GOOD_FILE):
        text = _load_file(config, board, name)
        if text is not None:
            if name == FILE and not board.has_file("trial.json"):
                keep_good_copy(board, log, text)
            break
    for fault in config.faults:
        log.error("config", f"{fault}; using {config.source}")


def parsed(text):
    """Return the values in the text of a configuration. Raises ValueError."""
    try:
        return loads(text)
    except ValueError:
        raise ValueError("not JSON: half written, or a comma or quote is wrong") from None


def _load_file(config, board, name):
    """Return the text of the file if it is now in use, else None."""
    try:
        text = read_text(board.path(name))
        if text is None:
            return None
        config.use(parsed(text), name)
        return text
    except ValueError as error:
        config.faults += [f"{name}: {fault}" for fault in error.args]
    except Exception as error:
        config.faults.append(f"{name}: {describe(error)}")
    return None


def keep_good_copy(board, log, text):
    """Save these settings as the last good ones."""
    copy = board.path(LAST_GOOD_FILE)
    try:
        if usable_text(copy) != text:
            forget_copy(board)  # there may be no room for both
            write_whole(copy, text)
    except OSError as error:
        log.warning("config", f"no copy kept: {describe(error)}")


def forget_copy(board):
    """Remove the copy of the last good settings, so that nothing restores them."""
    if board.has_file(LAST_GOOD_FILE):
        os.remove(board.path(LAST_GOOD_FILE))
