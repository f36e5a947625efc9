"""The error of these tools, apart from the modules that need packages."""


class BoardProblem(Exception):
    """An error, with its reason as one sentence for the user."""
