"""`make fleet` with emulated Pico Ws, as users run it: its output, its console, and the tools used with it."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests_device.conftest import IMAGE, KIND, NO_PICO_W, ROOT
from tools.emulator.fleet import FOLDER, SETTINGS

COUNT = 6
LIMIT_SEC = 180  # a busy emulator on a busy computer takes its time
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-net_admin")  # even root needs this to make a network interface

pytestmark = [
    pytest.mark.skipif(KIND != "PICO_W", reason="needs an emulated Pico W: make test-device BOARD=PICO_W"),
    pytest.mark.skipif(not IMAGE.exists(), reason=NO_PICO_W),
]


class Fleet:
    """The program of `make fleet`, running in its own folder. `way` is the command that starts it."""

    def __init__(self, folder, way, count=COUNT):
        command = [*way, sys.executable, "-m", "tools.emulator.fleet", "--image", IMAGE, "--count", str(count)]
        self._process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.folder = folder
        self._limit = threading.Timer(LIMIT_SEC * 2, self._process.kill)
        self._limit.start()
        self.pid = self._process.pid
        self.text = ""
        while "\nready " not in self.text:
            self.text += self._line()

    def _line(self):
        line = self._process.stdout.readline()
        assert line, f"it has ended: {self.text}"
        return line

    def do(self, command, lines=1):
        """Give the console a command, and return the lines of its answer."""
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return [self._line().rstrip("\n") for _ in range(lines)]

    def wait_boards(self, what):
        """Wait until the console shows `what` for each board."""
        deadline = time.monotonic() + LIMIT_SEC
        while not all(what in line for line in self.do("boards", COUNT)):
            assert time.monotonic() < deadline, self.do("boards", COUNT)
            time.sleep(0.5)

    def programs(self):
        """Return the processes of the boards."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [Path(f"/proc/{pid}") for pid in children.split()]

    def quit(self):
        """Quit, and return the exit code."""
        self._process.stdin.write("quit\n")
        self._process.stdin.close()
        return self._process.wait(LIMIT_SEC)

    def close(self):
        self._limit.cancel()
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A fleet with a network interface, in an otherwise empty network namespace."""
    if not os.access("/dev/net/tun", os.W_OK) or not shutil.which("unshare"):
        pytest.skip("needs its own network interface, and util-linux")
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), ("unshare", "--net"))
    yield fleet
    fleet.close()


@pytest.fixture
def tool(fleet):
    """Runs `board` in the fleet's network namespace, and returns its output."""
    return lambda *words: run_tool(("nsenter", "--target", str(fleet.pid), "--net"), *words)


def run_tool(way, *words):
    done = subprocess.run(
        [*way, sys.executable, ROOT / "tools" / "board", *words], capture_output=True, text=True, timeout=LIMIT_SEC
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def addresses(network="10.65.0", count=COUNT):
    return {f"{network}.{11 + number}" for number in range(count)}


def test_without_rights_the_boards_are_reached_through_passt(tmp_path):
    """Each board has an address of this computer, and sends its broadcasts from there."""
    if not shutil.which("passt") or not shutil.which("setpriv"):
        pytest.skip("needs passt and util-linux")
    fleet = Fleet(tmp_path, WITHOUT_RIGHTS, count=2)
    try:
        assert "by passt" in fleet.text and "has ended" not in fleet.text, fleet.text
        found = records(run_tool((), "discover", "--json", "--count", "2", "--seconds", str(LIMIT_SEC)))
        assert {one["address"] for one in found} == addresses("127.65.0", 2)
        listed = "".join(fleet.do("boards", 2))
        for address in addresses("127.65.0", 2):
            assert address in listed
            assert json.loads(run_tool((), "call", address, "uptime", "--timeout", str(LIMIT_SEC))) > 0
    finally:
        fleet.close()


def test_it_prints_its_addresses_and_all_boards_join(fleet):
    assert f"{COUNT} emulated Pico Ws" in fleet.text and f" of {COUNT} in the network after " in fleet.text
    for address in addresses():
        assert f"control {address}:8095" in fleet.text
    fleet.wait_boards("in 'home'")


def test_all_boards_are_discovered_and_none_of_their_readings_is_lost(tool):
    found = records(tool("discover", "--json", "--count", str(COUNT), "--seconds", str(LIMIT_SEC)))
    assert {one["address"] for one in found} == addresses() and len({one["device"] for one in found}) == COUNT
    heard = records(tool("watch", "--json", "--count", str(4 * COUNT)))
    assert {one["address"] for one in heard} == addresses() and not any(one["lost"] for one in heard)


def test_a_collector_gets_the_readings_of_all_boards(fleet, tool, tmp_path):
    """Each board first gets other settings over its serial port."""
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps({**SETTINGS, "telemetry": {"collectors": ["10.65.0.1:8089"]}}))
    for number in range(1, COUNT + 1):
        tool("provision", str(fleet.folder / FOLDER / str(number) / "port"), str(settings))
    limits = ("--count", str(COUNT), "--seconds", str(LIMIT_SEC))
    assert {one["address"] for one in records(tool("discover", "--port", "8089", "--json", *limits))} == addresses()


def test_the_console_switches_the_network_off_and_on(fleet):
    assert fleet.do("wifi off home") == ["done"]
    fleet.wait_boards("has its own network")
    assert fleet.do("wifi on home") == ["done"]
    fleet.wait_boards("in 'home'")
    assert f"{COUNT} boards" in fleet.do("wifi list")[0]


def test_it_ends_with_all_its_boards(fleet):
    programs = fleet.programs()
    assert len(programs) == COUNT
    assert fleet.quit() == 0
    assert not any(program.exists() for program in programs)
