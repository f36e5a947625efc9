"""`make flash` for an ESP32: Espressif's esptool writes the image, and the board's first boot is watched."""

import re
import subprocess
import sys
import time
from pathlib import Path

import serial
from mp_image_tool_esp32.partition_table import PartitionError, PartitionTable

from tools.image.stock import check_chip, check_image, chip_of

from .ports import BoardProblem, find_port, try_connection, wait_for

ROOT = Path(__file__).resolve().parents[2]
BAUDS = (921600, 460800, 115200)  # a long cable or a cheap converter may fail at the first speed
CONSOLE_BAUD = 115200
BOOT_SEC = 30
FIRMWARE = "firmware.bin"
IMAGE = "image.bin"
SECRET_IMAGE = "image-with-secrets.bin"  # it contains settings with a password or a token

BANNER = re.compile(rb"boot: (XAsyncSockets firmware [\w.]+, [\w-]+)")

# Messages of esptool, and advice for each.
SAYINGS = (
    (r"This chip is ([\w-]+), not ([\w-]+)", "The board at {port} has an {0}, the image is for an {1}."),
    (r"could not open port|Permission denied|in use|busy", "{port} cannot be opened: another program uses it, or this "
     "user may not (group dialout)."),
    (r"No serial data received|Failed to connect|Wrong boot mode", "The chip at {port} does not answer: hold its BOOT "
     "button, press RESET, release BOOT, and try again."),
)  # fmt: skip
FINAL = 2  # errors that do not depend on the speed


def flash(board, port=None, erase=False, say=print):
    """Check, write and verify the board's newest image. `erase` erases the whole flash first."""
    path = newest(Path("build") / board)
    chip, start = _check(path, board)
    port = find_port(port)
    say(f"{port}: writing {path}")
    for baud in BAUDS:
        output = _esptool(chip, port, baud, path, start, erase, say)
        if output is None:
            break
        _explain(output, port, BAUDS.index(baud) == len(BAUDS) - 1)
        say(f"{port}: writing failed at {baud} Bd")
    say(f"{port}: written and verified; {_first_boot(port)} runs")


def newest(folder):
    """Return the newest result of `make firmware` and of `make image`, with or without secrets."""
    found = [path for path in (folder / name for name in (FIRMWARE, IMAGE, SECRET_IMAGE)) if path.exists()]
    return max(found, key=lambda path: path.stat().st_mtime_ns) if found else folder / FIRMWARE


def _check(path, board):
    """Return the chip and the image's address."""
    chip, start = chip_of(board)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BoardProblem(f"{path}: {error.strerror}: make image or make firmware BOARD={board}") from error
    at = PartitionTable.PART_TABLE_OFFSET - start
    check_chip(data, chip, path)
    check_image(data[:at], chip, f"{path}: bootloader")
    try:
        application = PartitionTable.from_bytes(data[at : at + PartitionTable.PART_TABLE_SIZE]).app_part
    except (PartitionError, ValueError) as error:
        raise BoardProblem(f"{path} has no partition table: {str(error).splitlines()[0]}") from error
    check_image(data[application.offset - start :][: application.size], chip, f"{path}: application")
    return chip, start


def _esptool(chip, port, baud, path, start, erase, say):
    """Return None after success, or esptool's output. It checks the chip before it writes, and a hash afterwards."""
    command = [sys.executable, "-u", "-m", "esptool", "--chip", chip, "--port", port, "--baud", str(baud)]
    command += ["write_flash", *(["--erase-all"] if erase else []), hex(start), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        output = ""
        for line in process.stdout:
            output += line
            if re.match(r"Writing at|Erasing flash|Hash of data", line):
                say(f"{port}: {line.strip()}")
    return None if process.returncode == 0 and "Hash of data verified" in output else output


def _explain(output, port, is_last):
    """Raise BoardProblem, unless another speed may help."""
    for number, (pattern, text) in enumerate(SAYINGS):
        match = re.search(pattern, output)
        if match and (number < FINAL or is_last):
            raise BoardProblem(text.format(*match.groups(), port=port))
    if is_last:
        lines = [line for line in output.splitlines() if line.strip()] or ["nothing"]
        raise BoardProblem(f"esptool could not write to {port}: {lines[-1]}")


def _first_boot(port):
    """Return the firmware's name and version, from its first output or by asking for it."""
    heard = _listen(port)
    if heard:
        return heard
    with wait_for("the board's answer", lambda: try_connection(port), BOOT_SEC, "press its RESET") as board:
        name = board.run("import firmware; print(firmware.NAME, firmware.VERSION, end='')")
        board.soft_reset()
    return name


def _listen(port):
    deadline = time.monotonic() + BOOT_SEC
    heard = b""
    try:
        with serial.serial_for_url(port, CONSOLE_BAUD, timeout=0.2) as console:
            while time.monotonic() < deadline:
                heard += console.read(256)
                match = BANNER.search(heard)
                if match:
                    return match.group(1).decode()
    except (OSError, serial.SerialException):
        pass  # a chip's own USB port disappears at a restart
    return None
