"""What can go wrong, as one line for a person and an exit code for a program."""

OK = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130


class ToolError(Exception):
    """The end of a command: `str(error)` is one line, `exit_code` what the process ends with."""

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
    """No connection, no answer, nobody there."""

    exit_code = UNREACHABLE


class StrangeAnswer(Unreachable):
    """Who answers there is no board, or one of another firmware."""
