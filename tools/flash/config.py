"""`make config`: a board's settings, checked before they are written."""

import json
import sys
from pathlib import Path

from .problem import BoardProblem

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from firmware.config.defaults import SCHEMA  # noqa: E402
from firmware.config.file import FILE, LONGEST_FILE, decoded  # noqa: E402

PATH = "/" + FILE


def config(path=None, port=None, say=print):
    """Write a file with settings to the board and restart it. Without a file, show the board's settings."""
    settings = read_settings(path) if path else None
    from . import ports  # it needs packages, and a check does not

    port = ports.find_port(port)
    with ports.Connection(port) as board:
        if settings is None:
            say(_shown(board.read_file(PATH), port))
        elif board.update_file(PATH, settings):
            say(f"{port}: the board has its new settings and restarts with them")
        else:
            say(f"{port}: the board already has these settings")
        if settings is not None:
            board.end_trial()
        board.soft_reset()


def _shown(content, port):
    """Return a board's settings without secrets, including the defaults."""
    if content is None:
        return "All defaults."
    given = _check(content, f"{PATH} of the board at {port}")
    return json.dumps(SCHEMA.show(SCHEMA.fill(given)), indent=4)


def has_secrets(content):
    """Return whether valid settings contain a password, a token or another secret."""
    settings = SCHEMA.fill(json.loads(decoded(content)))
    return SCHEMA.show(settings) != settings


def read_settings(path):
    """Return the content of a valid configuration. Raises BoardProblem, caused by OSError if it cannot be read."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        advice = "; docs/configuration.md shows what to write into it" if isinstance(error, FileNotFoundError) else ""
        raise BoardProblem(f"{path}: {error.strerror}{advice}") from error
    _check(content, path)
    return content


def _check(content, name):
    """Return a configuration that the board's own code has checked."""
    if len(content) > LONGEST_FILE:
        raise BoardProblem(f"{name}: {len(content)} bytes: a configuration has at most {LONGEST_FILE}")
    try:
        given = json.loads(decoded(content))
        SCHEMA.fill(given)
        return given
    except json.JSONDecodeError as error:
        faults = [f"line {error.lineno}, column {error.colno}: {error.msg}"]
    except RecursionError:
        faults = ["nested too deeply for a configuration"]
    except ValueError as error:
        faults = error.args
    raise BoardProblem("\n".join(f"{name}: {fault}" for fault in faults))
