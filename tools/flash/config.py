"""`make config`: a board's settings, checked before they are written."""

import json
import sys
from pathlib import Path

from . import ports
from .ports import BoardProblem, Connection

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from firmware.defaults import SCHEMA  # noqa: E402

FILE = "/config.json"


def config(path=None, port=None, say=print):
    """Write a file with settings to the board and restart it; without a file, show those that it has."""
    settings = read_settings(path) if path else None
    port = ports.find_port(port)
    with Connection(port) as board:
        if settings is None:
            current = board.read_file(FILE)
            say(json.dumps(SCHEMA.show(SCHEMA.fill(json.loads(current))), indent=4) if current else "All defaults.")
        elif board.read_file(FILE) != settings:
            board.replace_file(FILE, settings)
            if board.read_file(FILE) != settings:
                raise BoardProblem("What is on the board is not what was sent: run this once more.")
            say(f"{port}: has its new settings, and starts with them")
        else:
            say(f"{port}: has these settings already")
        board.soft_reset()


def read_settings(path):
    """The file's content, once the very code that the board checks it with has found it good."""
    try:
        text = Path(path).read_bytes()
        SCHEMA.fill(json.loads(text))
    except (OSError, ValueError) as error:  # of json and of the schema, too
        raise BoardProblem(f"{path}: {error}") from error
    return text
