"""The programs of docs/emulator.md and docs/virtual-pico-w.md. Each one is run unchanged."""

import os
import re
import subprocess
import sys

import pytest

from tests_device.conftest import IMAGE, KIND, NEEDS_EMULATOR, NO_PICO_W, PORT, ROOT

PAGE = {"PICO_PPP": "emulator.md", "PICO_W": "virtual-pico-w.md"}
SETTINGS = '{"wifi": {"networks": [{"ssid": "home", "password": "correct horse"}]}}'
LIMIT_SEC = 180


def test_the_program_of_the_page(networked, tmp_path):
    if PORT:
        pytest.skip(NEEDS_EMULATOR)
    if not IMAGE.exists():
        pytest.skip(NO_PICO_W)
    assert f"echo '{SETTINGS}' > config.json" in (ROOT / "README.md").read_text()
    (tmp_path / "config.json").write_text(SETTINGS)
    source = re.search(r"```python\n(.*?)```", (ROOT / "docs" / PAGE[KIND]).read_text(), re.DOTALL).group(1)
    path = f'"build/{KIND}/firmware.{"uf2" if KIND == "PICO_W" else "bin"}"'
    assert path in source
    source = source.replace(path, repr(str(IMAGE)) + ("" if KIND == "PICO_W" else ", number=90"))  # 1 is in use
    command, variables = [sys.executable, "-c", source], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=LIMIT_SEC)
    assert done.returncode == 0, done.stderr
    assert done.stdout
