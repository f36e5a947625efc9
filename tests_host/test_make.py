"""Calls of make with wrong values print one line that says what is wrong, and build nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60


def run(command):
    """Return (whether it failed, its errors). Variables of the make that runs the tests are not passed on."""
    kept = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MICROPYTHON", "BOARD")}
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode != 0, done.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (["firmware"], "BOARD= is missing. The boards: ESP32 ESP32_C3"),
        (["flash", "BOARD=UNIX"], "There is no board UNIX. The boards: ESP32 ESP32_C3"),
        (["emulate", "BOARD=pico_w"], "There is no board pico_w."),
        (["emulate", "BOARD=W5500_EVB_PICO"], "W5500_EVB_PICO has no emulator; ESP32_C3, PICO_PPP and"),
        (["flash", "BOARD=PICO_W"], "PICO_W needs lib/cyw43-driver/src/cyw43.h, which Debian does not have."),
        (["firmware", "BOARD=PICO2_W"], "make firmware BOARD=PICO2_W MPY_DIR=/path/to/micropython"),
        (["image", "BOARD=PICO_W"], "make image needs BOARD= and one of ESP32 ESP32_C3"),
    ],
)
def test_a_wrong_board_is_reported(words, said):
    failed, errors = run(["make", *words])
    assert failed and said in errors


def test_a_checkout_is_checked_before_anything_is_installed():
    words = ["make", "-kn", "-W", "requirements.txt", "flash", "BOARD=PICO_W", "MPY_DIR=/no/such/checkout"]
    kept = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MICROPYTHON")}
    plan = subprocess.run(words, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=60).stdout
    assert plan.index("--mpy-dir") < plan.index("pip install")


def test_a_stock_image_is_asked_for_before_anything_is_installed():
    failed, errors = run(["make", "-n", "-W", "requirements.txt", "image", "BOARD=ESP32"])
    assert failed and "Name the stock image: BASE=<a .bin file for ESP32" in errors


def test_tools_completes_an_interrupted_environment(tmp_path):
    """Ctrl-C may leave Python without pip. The copy of the tree asks for no packages."""
    for name in ("Makefile", "boards", "tools"):
        subprocess.run(["cp", "-r", ROOT / name, tmp_path], check=True)
    (tmp_path / "tools/board/requirements.txt").write_text("")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "build/venv"], check=True)
    kept = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    words = ["make", "tools", f"PYTHON={sys.executable}"]
    done = subprocess.run(words, cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=10 * PATIENCE_S)
    assert done.returncode == 0, done.stderr


def test_an_interrupted_download_is_not_a_traceback(tmp_path):
    """A copy, because the program works in its own tree; apt-get of the test waits for ever."""
    program = tmp_path / "tree/tools/setup/sources.py"
    program.parent.mkdir(parents=True)
    program.write_text((ROOT / "tools/setup/sources.py").read_text())
    slow = tmp_path / "apt-get"
    started = tmp_path / "started"
    slow.write_text(f"#!/bin/sh\ntouch '{started}'\nexec sleep 600\n")
    slow.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [sys.executable, program, "micropython"],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        limit = time.monotonic() + PATIENCE_S
        while not started.exists():
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode != 0 and errors == "\ninterrupted: make continues here the next time\n"


def test_python_stores_its_bytecode_below_build():
    """If the environment prevents this, a Python process takes five times as long to start."""
    words = ["make", "--no-print-directory", "--eval", "show: ; @env", "show"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("PYTHON"))
    assert seen["PYTHONPYCACHEPREFIX"] == str(ROOT / "build" / "cache" / "python")
    assert "PYTHONDONTWRITEBYTECODE" not in seen


def test_help_has_every_target_once_in_a_group():
    makefiles = [ROOT / "Makefile", *ROOT.glob("boards/*.mk"), *ROOT.glob("tools/**/*.mk")]
    text = "".join(makefile.read_text() for makefile in makefiles)
    documented = re.findall(r"^([a-z0-9-]+):.*## (.*)$", text, re.MULTILINE)
    words = ["make", "--no-print-directory", "help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    groups = [part.splitlines() for part in done.stdout.strip().split("\n\n")]
    assert len(groups) > 3 and all(len(group) > 1 and not group[0].startswith(" ") for group in groups)
    lines = [line for group in groups for line in group[1:]]
    assert sorted(line.split()[1] for line in lines) == sorted(target for target, _ in documented)
    for _, words in documented:
        assert sum(line.endswith(words.partition(": ")[2]) for line in lines) == 1


@pytest.mark.parametrize(
    "options, said",
    [
        (["--image", "README.md"], "README.md is not an image: images of a Pico W end in .uf2 or .bin.\n"),
        (["--image", "README.md", "--count", "many"], "N=many boards: use a number from 1 to 200\n"),
        (["--image", "no/such.uf2"], "There is no image no/such.uf2."),
    ],
)
def test_an_impossible_fleet_is_refused(options, said):
    failed, errors = run([sys.executable, "-m", "tools.emulator.fleet", *options])
    assert failed and errors.startswith(said) and errors.count("\n") == 1


def test_a_missing_device_is_reported():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests_device"]
    failed, errors = run(["env", "DEVICE=/dev/no-such-port", *command])
    assert failed and errors.startswith("ERROR: DEVICE=/dev/no-such-port: There is no port /dev/no-such-port.")
