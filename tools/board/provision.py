"""`provision`: a config.json that the firmware's own code has checked, written to a board over its serial port."""

import json
from pathlib import Path

from firmware.config import FILE, LONGEST_FILE
from firmware.defaults import SCHEMA
from firmware.schema import ConfigError
from tools.board.errors import ToolError, Unreachable, UsageError
from tools.flash.ports import BoardProblem, Connection, find_port


class BadConfig(ToolError):
    """A file that the board would not use."""


def check(path):
    """The content of a file that a board will take. Raises UsageError or BadConfig."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    if len(content) > LONGEST_FILE:
        raise BadConfig(f"{path}: {len(content)} bytes are more than the {LONGEST_FILE} of a configuration")
    try:
        SCHEMA.fill(json.loads(content.decode()))
    except json.JSONDecodeError as error:
        raise BadConfig(f"{path}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError:
        raise BadConfig(f"{path}: not UTF-8") from None
    except ConfigError as error:
        raise BadConfig(f"{path}: {error}") from None
    return content


def provision(port, path, say=print):
    """Check a configuration, write it to the board, and start the board with it."""
    write({FILE: check(path)}, port, say)


def write(files, port, say=print):
    """Write files, {name: content}, to the board each in one step, read them back, and start the board with them."""
    try:
        name = find_port(None if port == "auto" else port)
        connection = Connection(name)
    except BoardProblem as problem:
        raise Unreachable(str(problem)) from None
    with connection as board:
        try:
            for file, content in files.items():
                _write(board, name, file, content, say)
            board.soft_reset()
        except BoardProblem as problem:
            raise ToolError(f"{name}: {problem}") from None


def _write(board, name, file, content, say):
    target = "/" + file
    if board.read_file(target) == content:
        say(f"{name}: {file} is there already; nothing was written")
        return
    board.replace_file(target, content)
    if board.read_file(target) != content:
        raise ToolError(f"{name}: what is on the board is not what was sent: run this once more")
    say(f"{name}: {file} is written and read back, {len(content)} bytes; the board starts with it")
