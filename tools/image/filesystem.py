"""Converts {name: content} to the bytes of a partition's filesystem and back."""

import contextlib
import io
import tempfile
from pathlib import Path

import littlefs
from mpremote.romfs import make_romfs

from tools.flash.ports import BoardProblem

BLOCK = 4096
# The same parameters as MicroPython's (ports/esp32/modules/inisetup.py). Every release can read the older format.
SHAPE = {"block_size": BLOCK, "read_size": 32, "prog_size": 32, "cache_size": 128, "lookahead_size": 32}
DISK_VERSION = 0x00020000


def make_littlefs(files, partition):
    """Return the filesystem without the empty blocks at its end. Raises BoardProblem if it is too small."""
    filesystem = littlefs.LittleFS(block_count=partition.size // BLOCK, disk_version=DISK_VERSION, **SHAPE)
    try:
        for name, content in files.items():
            filesystem.makedirs(str(Path(name).parent), exist_ok=True)
            with filesystem.open(name, "wb") as file:
                file.write(content)
        filesystem.unmount()
    except littlefs.LittleFSError as error:
        raise _too_small(files, partition) from error
    except OSError as error:
        raise _too_small(files, partition) from error
    data = bytes(filesystem.context.buffer).rstrip(b"\xff")
    return data + b"\xff" * (-len(data) % BLOCK)


def _too_small(files, partition):
    needed = sum(map(len, files.values()))
    text = f"The partition {partition.name} has {partition.size} bytes; our files ({needed} bytes) do not fit."
    return BoardProblem(text)


def read_littlefs(data, partition):
    """Return {name: content}."""
    filesystem = littlefs.LittleFS(block_count=partition.size // BLOCK, mount=False, **SHAPE)
    filesystem.context.buffer = bytearray(data.ljust(partition.size, b"\xff"))
    filesystem.mount()
    found = {}
    for folder, _, names in filesystem.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with filesystem.open(path, "rb") as file:
                found[path] = file.read()
    return found


def make_romfs_image(files, partition):
    """Return a ROMFS; bytecode runs from it directly. Raises BoardProblem if the partition is too small."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with contextlib.redirect_stdout(io.StringIO()):
            data = make_romfs(folder, mpy_cross=None)
    if len(data) > partition.size:
        raise _too_small(files, partition)
    return data + b"\xff" * (-len(data) % BLOCK)
