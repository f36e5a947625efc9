"""Collects the files for an image: the library and the firmware, compiled for its release, main.py, and settings."""

import json

from tools.flash.config import decoded, read_settings
from tools.flash.deploy import MAIN, OLDEST, compiled, compiler
from tools.flash.ports import BoardProblem

SETTINGS = "/config.json"
BYTECODE = 6  # the bytecode version of MicroPython 1.19 and later


class Target:
    """The target of the compilation, with the attributes that tools/flash/deploy.py uses."""

    bytecode = BYTECODE

    def __init__(self, image):
        self.version = image.version
        self.architecture = image.architecture


def contents(image, board, config, mpy_cross, say):
    """Return ({name: code}, {name: other content}). `mpy_cross`: a compiler of the image's release, or None."""
    if image.version < OLDEST:
        version, oldest = (".".join(map(str, one)) for one in (image.version, OLDEST))
        raise BoardProblem(f"{image.name} is MicroPython {version}; the firmware needs {oldest} or later.")
    target = Target(image)
    files = {SETTINGS: read_settings(config)} if config else {}
    settings = json.loads(decoded(files.get(SETTINGS, b"{}")))
    code = compiled(target, mpy_cross or compiler(target, say), board, settings)
    return code, {"/main.py": MAIN, **files}
