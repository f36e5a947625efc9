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
    """Check a file, write it to the board in one step, read it back, and start the board with it."""
    content = check(path)
    target = "/" + FILE
    try:
        name = find_port(None if port == "auto" else port)
        connection = Connection(name)
    except BoardProblem as problem:
        raise Unreachable(str(problem)) from None
    with connection as board:
        try:
            if board.read_file(target) == content:
                say(f"{name}: {FILE} is there already; nothing was written")
            else:
                board.replace_file(target, content)
                if board.read_file(target) != content:
                    raise ToolError(f"{name}: what is on the board is not what was sent: run this once more")
                say(f"{name}: {FILE} is written and read back, {len(content)} bytes; the board starts with it")
            board.soft_reset()
        except BoardProblem as problem:
            raise ToolError(f"{name}: {problem}") from None
