"""The errors of the tool. Each has one line for people and an exit code for programs."""

OK = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130


class ToolError(Exception):
    """Ends a command: `str(error)` is one line, and `exit_code` the process's exit code."""

    exit_code = REFUSED


class BoardError(ToolError):
    """The board answered with an error of JSON-RPC."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code

    def __str__(self):
        return f"the board says: {self.args[0]} ({self.code})"


class UsageError(ToolError):
    """The command makes no sense."""

    exit_code = USAGE


class Unreachable(ToolError):
    """No board answers, or no connection can be made."""

    exit_code = UNREACHABLE


class StrangeAnswer(Unreachable):
    """The answer does not come from a board with this firmware."""
