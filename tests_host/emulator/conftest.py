"""The emulator's own tests: tools/emulator as a package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
