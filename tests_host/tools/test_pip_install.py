"""`pip install .` installs the library and the command `board`, which work without the repository."""

import subprocess
import sys
import sysconfig
import venv

import pytest
from image import ROOT
from tool import environment


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A virtual environment with our package and the packages that it needs."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder)
    python = folder / "bin" / "python"
    paths = {"base": str(folder), "platbase": str(folder)}
    (folder / sysconfig.get_path("purelib", vars=paths) / "needed.pth").write_text(sysconfig.get_path("purelib"))
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "--quiet"]
    done = run(folder, *command, "--no-index", "--no-deps", "--no-build-isolation", ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run(folder, *words):
    """Run one command outside the repository."""
    kept = environment(HOME=str(folder))
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        kept.pop(name, None)
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 300}
    return subprocess.run(list(map(str, words)), cwd=folder, env=kept, **options)


def test_board_calls_a_board(installed, board):
    board.start()
    done = run(installed, installed / "bin" / "board", "call", f"127.0.0.1:{board.port}", "sensor.read", "name=heap")
    assert done.returncode == 0 and '"free"' in done.stdout, done.stdout + done.stderr


def test_board_checks_settings_like_the_firmware(installed):
    settings = installed / "config.json"
    settings.write_text('{"telemetry": {"interval_s": "often"}}')
    done = run(installed, installed / "bin" / "board", "provision", "--check", settings)
    assert "Traceback" not in done.stderr
    assert done.returncode != 0 and "telemetry.interval_s" in done.stderr, done.stderr


def test_the_library_and_its_types_are_there(installed):
    done = run(installed, installed / "bin" / "python", "-c", "import XAsyncSockets; print(XAsyncSockets.__file__)")
    assert done.stdout.startswith(str(installed)), done.stderr
    (installed / "program.py").write_text("import XAsyncSockets\nreveal_type(XAsyncSockets.XFiFo().Empty)\n")
    done = run(
        installed, sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache",
        "--python-executable", installed / "bin" / "python", "program.py",
    )  # fmt: skip
    assert 'bool"' in done.stdout and "no issues" in done.stdout, done.stdout + done.stderr


def test_no_other_package_is_installed(installed):
    names = {path.name for path in installed.glob("lib/python*/site-packages/*")}
    assert names - {"needed.pth", "__pycache__"} == {
        "XAsyncSockets.py", "XAsyncSockets-stubs", "xasyncsockets_board", f"xasyncsockets-{version()}.dist-info",
    }  # fmt: skip


def version():
    scope = {}
    line = next(line for line in (ROOT / "firmware/__init__.py").read_text().splitlines() if line.startswith("VERSION"))
    exec(line, scope)
    return scope["VERSION"]
