"""Talk to boards from this computer: `build/venv/bin/python tools/board --help`. docs/tools.md has the details."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LIGHT = ("rich", "prompt_toolkit")  # the packages that make tools installs
sys.path[:0] = [str(ROOT), str(ROOT / "lib")]


def run():
    try:
        from tools.board.cli import main

        return main()
    except ModuleNotFoundError as error:
        target = "tools" if error.name.partition(".")[0] in _LIGHT else "venv"
        way_out = f"run make {target}, then build/venv/bin/python tools/board"
        print(f"board: this Python lacks the package {error.name}: {way_out}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(run())
