"""Puts firmware, files and settings onto a board: the targets flash, deploy and config of the Makefile."""

import argparse
import json
import sys
from pathlib import Path

from .config import config
from .deploy import deploy
from .esp32 import flash as flash_esp32
from .flash import flash
from .ports import BoardProblem

ROOT = Path(__file__).resolve().parents[2]


def main():
    """Do what the command line says. Raises BoardProblem."""
    parser = argparse.ArgumentParser(prog="tools.flash", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    flashing = actions.add_parser("flash")
    flashing.add_argument("board")
    flashing.add_argument("--erase", action="store_true", help="ESP32: erase the whole flash first, including files")
    flashing.add_argument("--drive", help="the folder of the bootloader's drive, if it is not found automatically")
    deploying = actions.add_parser("deploy")
    deploying.add_argument("--even-if-frozen", action="store_true", help="install even on a board with our image")
    deploying.add_argument("--mpy-cross", help="a compiler of the board's release, instead of a download")
    configuring = actions.add_parser("config")
    configuring.add_argument("path", nargs="?", metavar="FILE")
    for action in (flashing, deploying, configuring):
        action.add_argument("--port", help="the board's serial port, if there are several")
    arguments = vars(parser.parse_args())
    {"flash": _flash, "deploy": deploy, "config": config}[arguments.pop("action")](**arguments)


def _flash(board, drive, erase, **options):
    path = ROOT / "boards" / board / "board.json"
    if not path.exists():
        raise BoardProblem(f"There is no board {board}; boards/ has a folder for each board.")
    if json.loads(path.read_text())["mcu"].startswith("esp32"):
        flash_esp32(board, erase=erase, **options)
    else:
        flash(board, drive=drive, **options)


if __name__ == "__main__":
    try:
        main()
    except BoardProblem as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: if it was already writing to the board, run it again")
