"""`make run`: the access rights of its files, and a second `make run` beside it."""

import json
import os
import re
import shutil
import subprocess

import pytest
from image import IMAGE, PATIENCE_S, QUIET, ROOT, until

from tools.board.client import ControlClient

TOKEN = QUIET["control"]["token"]


@pytest.fixture
def run(tmp_path):
    """Returns a function f(), which starts make run with the board's filesystem in tmp_path / "disk"."""
    started = []

    def start():
        words = ["make", "--no-print-directory", "run", f"MICROPYTHON={IMAGE}", f"DISK={tmp_path / 'disk'}"]
        kept = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "BOARD")}
        log = open(tmp_path / f"log{len(started)}", "w+")
        process = subprocess.Popen(
            words, cwd=ROOT, env=kept, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        started.append((process, log))
        return process, lambda: (tmp_path / os.path.basename(log.name)).read_text()

    yield start
    for process, log in started:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait(PATIENCE_S)
        log.close()


def configure(folder):
    (folder / "disk").mkdir()
    config = folder / "disk" / "config.json"
    config.write_text(json.dumps(QUIET))
    config.chmod(0o644)
    return config


def port_of(said):
    until(lambda: re.search(r"control +TCP [\d.]+:(\d+)", said()))
    return re.search(r"control +TCP [\d.]+:(\d+)", said()).group(1)


def test_files_with_secrets_are_readable_by_this_user_only(run, tmp_path):
    config = configure(tmp_path)
    _, said = run()
    with ControlClient(f"127.0.0.1:{port_of(said)}", TOKEN) as client:
        client.call("config.set", {"key": "device.name", "value": "attic"})
        client.call("config.save")
    files = [config, config.with_name("config.last.json")]
    assert "attic" in config.read_text()
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]


@pytest.mark.skipif(not shutil.which("flock"), reason="no flock here")
def test_a_second_make_run_reports_the_first(run, tmp_path):
    configure(tmp_path)
    _, said = run()
    port_of(said)
    second, what_it_said = run()
    assert second.wait(PATIENCE_S) != 0
    assert f"make run is already running in {tmp_path / 'disk'}." in what_it_said()
