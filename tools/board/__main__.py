"""Talk to boards from this computer: `build/venv/bin/python tools/board --help`. docs/tools.md has the details."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "lib")]

try:
    from tools.board.cli import main
except ModuleNotFoundError as error:
    print(f"board: the package {error.name} is missing: make build/venv/installed", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
