"""`make flash`: writes an image onto a board with a USB bootloader (RP2040, RP2350)."""

import hashlib
import shutil
from pathlib import Path

from . import ports
from .ports import BoardProblem, Connection
from .uf2 import Uf2

DRIVE_SEC = 20
WRITE_SEC = 60
BOOT_SEC = 60
CHUNK = 64 * 1024

# Runs on the board: prints the checksum of its flash.
# It works in pieces: just after it was connected, a board has to handle a USB event every millisecond. Its queue holds
# sixteen (CFG_TUD_TASK_QUEUE_SZ of TinyUSB); if one is lost, the board may stop sending.
FLASH_CHECKSUM = """
import binascii, hashlib, uctypes
checksum = hashlib.sha256()
for start in range(0, {size}, 1024):
    checksum.update(uctypes.bytearray_at({address} + start, min(1024, {size} - start)))
print(binascii.hexlify(checksum.digest()).decode())
"""


def flash(board, port=None, drive=None, say=print):
    """Write build/<board>/firmware.uf2 onto the board, and check that the board runs it."""
    path = Path("build") / board / "firmware.uf2"
    image = _read_image(path, board)
    target = ports.find_drive(drive)
    if not target:
        port = ports.find_port(port)
        say(f"{port}: asking for the bootloader")
        _enter_bootloader(port, image.chip)
        advice = "mount it, and give its folder as DRIVE="
        target = ports.wait_for("the bootloader's drive", lambda: ports.find_drive(drive), DRIVE_SEC, advice)
    _check_drive(target, image.chip)
    _copy(path, target, say)
    again = "hold BOOTSEL while you plug the board in, and write the image again"
    ports.wait_for("the board's restart", lambda: not ports.find_drive(drive), WRITE_SEC, again)
    name_it = "if there are several, name one with PORT="
    port = port or ports.wait_for("the board's serial port", _only_port, BOOT_SEC, name_it)
    say(f"{port}: the board runs {_verify(port, image)}, and its flash equals the image")


def _read_image(path, board):
    try:
        image = Uf2(path)
    except OSError as error:
        raise BoardProblem(f"{path}: {error.strerror}: make firmware BOARD={board}") from error
    except ValueError as error:
        raise BoardProblem(f"{error} Build it again: make firmware BOARD={board}") from error
    if not image.chip:
        raise BoardProblem(f"{path} is for a chip without a USB bootloader.")
    return image


def _enter_bootloader(port, chip):
    with Connection(port) as board:
        machine = board.value("__import__('sys').implementation._machine")
        if chip.upper() not in machine:
            raise BoardProblem(f"The board at {port} is a {machine}; the image is for an {chip.upper()}.")
        board.run_to_the_end("import machine; machine.bootloader()")


def _check_drive(drive, chip):
    info = (drive / ports.INFO_FILE).read_text(errors="replace")
    if (chip == "rp2350") != ("RP2350" in info):
        raise BoardProblem(f"The image is for an {chip.upper()}, and the board of the drive {drive} is not one.")


def _copy(path, drive, say):
    size = path.stat().st_size
    free = shutil.disk_usage(drive).free
    if free < size:
        raise BoardProblem(f"{drive} has room for {free} bytes, and the image has {size}.")
    with path.open("rb") as source, (drive / path.name).open("wb") as target:
        written = 0
        while chunk := source.read(CHUNK):
            target.write(chunk)
            target.flush()
            written += len(chunk)
            say(f"{drive}: {100 * written // size} %")


def _only_port():
    found = ports.serial_ports()
    return found[0] if len(found) == 1 else None


def _verify(port, image):
    """Compare the flash with the image. Returns the board's name; its programs run again afterwards."""
    again = "unplug the board, plug it in, and write the image again"
    board = ports.wait_for("the board's answer", lambda: ports.try_connection(port), BOOT_SEC, again)
    with board:
        found = board.run(FLASH_CHECKSUM.format(address=image.address, size=len(image.data))).strip()
        if found != hashlib.sha256(image.data).hexdigest():
            raise BoardProblem("The board's flash differs from the image: write the image again.")
        version = board.value("__import__('sys').version").partition("; ")[2]
        board.soft_reset()
    return version
