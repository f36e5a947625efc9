"""The emulated Wi-Fi chip, driven through its bus without any firmware. Node's own test runner runs *.test.mjs."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.stem)
def test_the_wifi_chip(path):
    node = shutil.which("node")
    if not node:
        pytest.skip("needs Node.js: make emulator installs it")
    done = subprocess.run([node, "--test", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
