"""make flash, make deploy and make config against the emulated board."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests_device.conftest import IMAGE, MPY_CROSS
from tests_device.device import Device
from tools.flash.config import config
from tools.flash.deploy import deploy
from tools.flash.flash import flash
from tools.flash.ports import BoardProblem, Connection, find_port

ROOT = Path(__file__).resolve().parents[1]
BUSY_SEC = 20


@pytest.fixture
def said():
    return []


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Makes a folder with the results of `make firmware`, and changes into it."""
    folder = tmp_path / "build" / "PICO_PPP"
    folder.mkdir(parents=True)
    (folder / "firmware.uf2").symlink_to(IMAGE.with_suffix(".uf2"))
    monkeypatch.chdir(tmp_path)
    return folder


def test_flash_writes_verifies_and_waits_for_the_firmware(new_board, built, said):
    board = new_board(5, network=False)
    flash("PICO_PPP", board.port, board.drive, said.append)
    assert "its flash equals the image" in said[-1], said
    assert any("100 %" in line for line in said)


def test_flash_refuses_another_chips_image(new_board, built):
    board = new_board(5, network=False)
    image = built / "firmware.uf2"
    data = bytearray(image.read_bytes())
    for block in range(0, len(data), 512):
        data[block + 28 : block + 32] = (0xE48BFF59).to_bytes(4, "little")  # an RP2350's
    image.unlink()
    image.write_bytes(data)
    with pytest.raises(BoardProblem, match="the image is for an RP2350"):
        flash("PICO_PPP", board.port, board.drive, print)
    device = Device(board.port)
    assert device.run("print('untouched')").strip() == "untouched"
    device.close()


def test_flash_needs_an_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BoardProblem, match="make firmware BOARD=PICO_PPP"):
        flash("PICO_PPP", None, None, print)


def test_a_wrong_port_is_named():
    with pytest.raises(BoardProblem, match="There is no port /dev/no-such-port"):
        find_port("/dev/no-such-port")


def wait_until_it_says(device, text):
    deadline = time.monotonic() + BUSY_SEC
    said = device.console()
    while text not in said:
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
        said += device.console()


def test_a_board_that_answers_late_is_understood(new_board):
    """The board also answers the attempts that came too early."""
    board = new_board(5, network=False)
    device = Device(board.port)
    device.start("import micropython, time; micropython.kbd_intr(-1); print('busy'); time.sleep(2)")
    device.close()
    wait_until_it_says(device, "busy")
    with open(board.port, "wb", buffering=0) as port:
        port.write(b"\r\x03\r\x01" * 3)
    with Connection(board.port) as connection:
        for word in ("one", "two"):
            assert connection.run(f"print({word!r})").strip() == word


def test_a_busy_port_is_named(new_board):
    board = new_board(5, network=False)
    device = Device(board.port)
    device.open()
    with pytest.raises(BoardProblem, match="another program uses it"):
        config(None, board.port, print)
    device.close()


def test_deploy_copies_changed_files_and_starts_the_firmware(new_board, said):
    board = new_board(6, network=False)
    deploy(board.port, even_if_frozen=True, mpy_cross=MPY_CROSS, say=said.append)
    device = Device(board.port)
    where = "import sys; sys.path.insert(0, '/lib'); import XAsyncSockets; print(XAsyncSockets.__file__)"
    device.soft_reset()
    assert device.run(where).strip() == "/lib/XAsyncSockets.mpy"
    device.close()
    deploy(board.port, even_if_frozen=True, mpy_cross=MPY_CROSS, say=said.append)
    assert ": 0 of " in said[-1], said[-1]


def test_deploy_removes_files_of_an_earlier_release(new_board, said):
    board = new_board(6, network=False)
    device = Device(board.port)
    device.soft_reset()
    device.run("import os\nfor name in ('/lib', '/lib/firmware', '/lib/firmware/gone'): os.mkdir(name)")
    for name in ("/lib/firmware/links.mpy", "/lib/firmware/gone/old.mpy", "/lib/mine.py"):
        device.write_file(name, b"x = 1\n")
    device.close()
    deploy(board.port, even_if_frozen=True, mpy_cross=MPY_CROSS, say=said.append)
    assert [line.split()[1] for line in said if line.startswith("removed")] == [
        "/lib/firmware/gone/old.mpy",
        "/lib/firmware/links.mpy",
    ]
    device = Device(board.port)
    device.soft_reset()
    assert device.run("import os; print(sorted(os.listdir('/lib')))").split() == [
        "['XAsyncSockets.mpy',",
        "'firmware',",
        "'mine.py']",
    ]
    assert "'gone'" not in device.run("print(os.listdir('/lib/firmware'))")
    device.close()


def test_deploy_refuses_a_board_with_our_image(new_board):
    board = new_board(6, network=False)
    with pytest.raises(BoardProblem, match="runs our own image"):
        deploy(board.port)


def test_deploy_keeps_a_users_program(new_board):
    board = new_board(6, network=False)
    device = Device(board.port)
    device.soft_reset()
    device.write_file("/main.py", b"print('mine')\n")
    device.close()
    with pytest.raises(BoardProblem, match="its own main.py"):
        deploy(board.port, even_if_frozen=True, mpy_cross=MPY_CROSS)
    wait_until_it_says(device, "mine")  # it runs again
    assert device.run("print(open('/main.py').read())").strip() == "print('mine')"
    device.close()


def test_deploy_refuses_a_full_filesystem(new_board):
    board = new_board(6, network=False)
    device = Device(board.port)
    device.soft_reset()
    device.run(
        "import os\nblock = bytes(4096)\nfile = open('/full', 'wb')\n"
        "while os.statvfs('/')[3] > 8:\n file.write(block)\n file.flush()\nfile.close()",
        timeout=200,
    )
    device.close()
    with pytest.raises(BoardProblem, match="bytes left"):
        deploy(board.port, even_if_frozen=True, mpy_cross=MPY_CROSS)
    assert "lib" not in device.value("__import__('os').listdir('/')")
    device.close()


def test_config_is_checked_written_and_shown(new_board, tmp_path, said):
    board = new_board(7, network=False)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"wifi": {"networks": [{"ssid": "home", "password": "secret12"}]}}))
    config(file, board.port, said.append)
    assert "has its new settings" in said[-1]
    config(None, board.port, said.append)
    assert '"home"' in said[-1] and "secret12" not in said[-1]


def test_config_refuses_what_the_board_would_refuse(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"telemetry": {"port": 99999}}')
    with pytest.raises(BoardProblem, match="telemetry.port: 99999"):
        config(file, None, print)


def test_provision_writes_checks_and_starts(new_board, tmp_path):
    board = new_board(7, network=False)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"device": {"name": "attic"}, "control": {"token": "a secret of tests"}}))
    command = [sys.executable, ROOT / "tools" / "board", "provision", board.port, file]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "written and read back" in done.stdout
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "already has this" in done.stdout
    file.write_text('{"telemetry": {"port": 99999}}')
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "telemetry.port: 99999" in done.stderr
    device = Device(board.port)
    assert json.loads(device.run("print(open('/config.json').read())"))["device"] == {"name": "attic"}
    device.close()


def test_the_command_ends_with_one_sentence():
    command = [sys.executable, "-m", "tools.flash", "config", "--port", "/dev/no-such-port"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("There is no port /dev/no-such-port.")
