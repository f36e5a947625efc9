"""`provision`: checks a config.json with the firmware's own code, and writes it to a board over its serial port."""

from firmware.config.file import FILE
from tools.board.errors import ToolError, Unreachable, UsageError
from tools.flash.config import read_settings
from tools.flash.problem import BoardProblem


def check(path):
    """Return the content of a configuration. Raises UsageError if it cannot be read, ToolError if it is invalid."""
    try:
        return read_settings(path)
    except BoardProblem as problem:
        kind = UsageError if isinstance(problem.__cause__, OSError) else ToolError
        raise kind(str(problem)) from None


def provision(port, path, say=print):
    """Check a configuration, write it to the board, and start the board with it."""
    write({FILE: check(path)}, port, say)


def write(files, port, say=print):
    """Write files, {name: content}, to the board, each in one step; read them back, and restart the board with them."""
    from tools.flash.ports import Connection, find_port  # they need packages, and a check does not

    try:
        name = find_port(None if port == "auto" else port)
        connection = Connection(name)
    except BoardProblem as problem:
        raise Unreachable(str(problem)) from None
    try:
        with connection as board:
            for file, content in files.items():
                _write(board, name, file, content, say)
            if FILE in files:
                board.end_trial()
            board.soft_reset()
    except BoardProblem as problem:
        raise ToolError(f"{name}: {problem}") from None


def _write(board, name, file, content, say):
    if board.update_file("/" + file, content):
        say(f"{name}: {file} was written and read back ({len(content)} bytes); the board restarts with it")
    else:
        say(f"{name}: the board already has this {file}; nothing was written")
