"""A downloaded image of an ESP32: bootloader, partition table, application, and perhaps a filesystem.

Espressif's esptool checks the images in it, and mp-image-tool-esp32 the partition table.
"""

import contextlib
import io
import json
import re
import struct
from pathlib import Path

from esptool.bin_image import LoadFirmwareImage
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError
from mp_image_tool_esp32.partition_table import PartitionError, PartitionTable

from tools.flash.ports import BoardProblem

ROOT = Path(__file__).resolve().parents[2]
IMAGE_MAGIC = 0xE9
CHIP_ID_AT = 12  # in the header of an image (esptool's documentation, "Firmware Image Format")
BANNER = re.compile(rb"MicroPython v(\d+)\.(\d+)(?:\.(\d+))?")
EXTERNAL_MEMORY = re.compile(rb"(PSRAM|SPI RAM) enabled but initialization failed")  # a message of ESP-IDF's driver
OURS = b"XAsyncSockets.py\0"  # the name of a frozen module
ARCHITECTURES = {"esp32": "xtensawin", "esp32s2": "xtensawin", "esp32s3": "xtensawin"}  # the others: RISC-V


class StockImage:
    """The `data` that is written to flash from `start` on. Raises BoardProblem if it does not fit the board."""

    def __init__(self, data, board, name):
        self.data = data
        self.board = board
        self.name = name
        self.chip, self.start = chip_of(board)
        check_chip(data, self.chip, name)
        self.partitions = self._read_table()
        self.application = self._check_images()
        self.version = self._find_version()
        self.architecture = ARCHITECTURES.get(self.chip, "rv32imc")
        features = facts(board)["features"]
        self.has_ethernet = "Ethernet" in features
        self.may_have_external_memory = "External RAM" in features or bool(EXTERNAL_MEMORY.search(self.application))

    def _read_table(self):
        at = PartitionTable.PART_TABLE_OFFSET - self.start
        try:
            return PartitionTable.from_bytes(self.data[at : at + PartitionTable.PART_TABLE_SIZE])
        except (PartitionError, ValueError, struct.error) as error:
            reason = str(error).splitlines()[0]
            raise BoardProblem(f"{self.name} has no partition table: is it complete? {reason}") from error

    def part(self, partition):
        """Return a partition's content, which is empty if the image ends before it."""
        return self.data[partition.offset - self.start : partition.offset - self.start + partition.size]

    def _check_images(self):
        check_image(self.data[: PartitionTable.PART_TABLE_OFFSET - self.start], self.chip, f"{self.name}: bootloader")
        application = self.part(self.partitions.app_part)
        check_image(application, self.chip, f"{self.name}: application")
        return application

    def _find_version(self):
        if OURS in self.application:
            raise BoardProblem(f"{self.name} already has our firmware: make flash writes it unchanged.")
        match = BANNER.search(self.application)
        if not match:
            raise BoardProblem(f"{self.name} contains no MicroPython.")
        return tuple(int(part or 0) for part in match.groups())


def facts(board):
    """Return the content of a board's board.json."""
    return json.loads((ROOT / "boards" / board / "board.json").read_text())


def chip_of(board):
    """Return the name of a board's chip and its image's address in flash, from MicroPython's board.json."""
    found = facts(board)
    return found["mcu"], int(found["deploy_options"]["flash_offset"], 0)


def check_chip(data, chip, name):
    """Raise BoardProblem unless `data` begins with an image for the chip."""
    if len(data) < 24 or data[0] != IMAGE_MAGIC:
        raise BoardProblem(f"{name} is not an image for an ESP32 (download one from micropython.org/download).")
    number = int.from_bytes(data[CHIP_ID_AT : CHIP_ID_AT + 2], "little")
    wanted = CHIP_DEFS[chip]
    if number != wanted.IMAGE_CHIP_ID:
        names = {getattr(known, "IMAGE_CHIP_ID", None): known.CHIP_NAME for known in CHIP_DEFS.values()}
        found = names.get(number, f"chip number {number}")
        raise BoardProblem(f"{name} is for an {found}, and the board has an {wanted.CHIP_NAME}.")


def check_image(data, chip, name):
    """Raise BoardProblem unless esptool finds a complete image in `data`: its segments, checksum and hash."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports problems by exceptions
            image = LoadFirmwareImage(chip, io.BytesIO(data))
            whole = image.checksum == image.calculate_checksum() and image.stored_digest == image.calc_digest
    except (FatalError, ValueError, IndexError, OSError, struct.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BoardProblem(f"{name} is incomplete or damaged ({reason}).") from error
    if not whole:
        raise BoardProblem(f"{name} is damaged: its checksum or hash is wrong. Download it again.")
