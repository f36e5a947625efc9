"""The error of these tools, apart from the modules that need packages."""


class BoardProblem(Exception):
    """The reason why it does not work, as one sentence for the user."""
