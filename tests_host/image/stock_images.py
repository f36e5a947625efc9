"""Makes stock images in the real format with Espressif's own program: bootloader, partition table, application."""

from esptool.bin_image import ELFSection
from esptool.targets import CHIP_DEFS
from mp_image_tool_esp32.partition_table import PART_MAGIC, PartitionEntry, PartitionTable

MIB = 1024 * 1024
DATA_ADDRESS = {"esp32": 0x3F400020, "esp32s3": 0x3C000020, "esp32c3": 0x3C000020, "esp32c6": 0x42000020}
RAM_ADDRESS = {"esp32": 0x3FFE8000, "esp32s3": 0x3FC90000, "esp32c3": 0x3FC90000, "esp32c6": 0x40820000}
START = {"esp32": 0x1000}
VERSION = b"MicroPython v1.25.0 on 2025-04-15"


def _image(chip, data, path):
    image = CHIP_DEFS[chip].BOOTLOADER_IMAGE()
    image.append_digest = True
    image.segments = [
        ELFSection(b".flash.rodata", DATA_ADDRESS[chip], data),
        ELFSection(b".data", RAM_ADDRESS[chip], b"ram " * 64),
    ]
    image.entrypoint = RAM_ADDRESS[chip]
    image.save(str(path))
    return path.read_bytes()


def stock_image(chip, folder, text=VERSION, filesystem=2 * MIB, romfs=0, label="vfs"):
    """Return the bytes of an image like those of micropython.org."""
    start = START.get(chip, 0)
    table = PartitionTable(16 * MIB)
    table.add_part("nvs", "nvs", 0x6000, 0x9000)
    table.add_part("phy_init", "phy", 0x1000, 0xF000)
    table.add_part("factory", "factory", 0x1D0000, 0x10000)
    if romfs:
        table.append(PartitionEntry(PART_MAGIC, 1, 0x8F, 0x1E0000, romfs, b"romfs".ljust(16, b"\0"), 0))
    table.add_part(label, "fat", filesystem, 0x200000)
    data = _image(chip, b"bootloader", folder / "bootloader.bin").ljust(0x8000 - start, b"\xff")
    data = (data + table.to_bytes()).ljust(0x10000 - start, b"\xff")
    application = b"\x32\x54\xcd\xab".ljust(256, b"\0") + b"".join(bytes([n % 251]) * 997 for n in range(100)) + text
    return data + _image(chip, application + b"\0" * (-len(application) % 4), folder / "application.bin")
