"""Parts of the firmware for other programs. mpremote's mip installs them on a board from a server in this test."""

import functools
import http.server
import json
import re
import subprocess
import sys
import threading

import pytest
from image import PATIENCE_S, ROOT

PACKAGES = sorted(path.name for path in (ROOT / "firmware").glob("*.json"))
ONLY_OURS = "import sys; sys.path[:] = ['/lib']; "  # because the firmware is frozen into the interpreter


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def repository():
    """Returns the address of a server with the repository's files."""
    handler = functools.partial(Files, directory=ROOT)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def mpremote(serial_board):
    def run(*words):
        command = [sys.executable, "-m", "mpremote", "connect", serial_board.port, "resume", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S * 2)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def example(page):
    """Return the program of the page that uses the installed part."""
    return re.search(r"<!-- with mip -->\n```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL).group(1)


def test_the_line_protocol(repository, mpremote):
    mpremote("mip", "install", "--target=/lib", f"{repository}/firmware/line_protocol.json")
    output = mpremote("exec", ONLY_OURS + "\n" + example("telemetry.md"))
    assert output.splitlines() == [r"weather,room=living\ room celsius=21.5,open=true"]


@pytest.mark.parametrize("name", PACKAGES)
def test_each_module_of_a_package_can_be_imported(repository, mpremote, name):
    mpremote("mip", "install", "--target=/lib", f"{repository}/firmware/{name}")
    urls = json.loads((ROOT / "firmware" / name).read_text())["urls"]
    modules = [target[:-3].replace("/__init__", "").replace("/", ".") for target, _ in urls]
    code = "; ".join(f"import {module}; print({module}.__file__)" for module in modules)
    assert mpremote("exec", ONLY_OURS + code).split() == [f"/lib/{target}" for target, _ in urls]
