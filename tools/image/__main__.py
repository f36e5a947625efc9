"""Puts our files into a stock MicroPython image of an ESP32 (`make image`)."""

import argparse
import json
import os
import sys
from pathlib import Path

from tools.flash.config import has_secrets
from tools.flash.esp32 import IMAGE, SECRET_IMAGE
from tools.flash.ports import BoardProblem

from . import heap
from .contents import SETTINGS, contents
from .filesystem import make_littlefs, make_romfs_image, read_littlefs
from .stock import ROOT, StockImage

FILESYSTEM, ROMFS = "vfs", "romfs"


def make(board, base, config=None, output=None, mpy_cross=None, say=print):
    """Write build/<board>/image.bin after its content has been read back and checked. Raises BoardProblem.

    An image with secrets is named image-with-secrets.bin, and only this user can read it.
    """
    stock = StockImage(_read(base), board, Path(base).name)
    say(f"{stock.name}: MicroPython {'.'.join(map(str, stock.version))} for the {stock.chip}, complete")
    code, rest = contents(stock, board, config, mpy_cross, say)
    places = _place(stock, code, rest)
    _check_heap(stock, rest, say)
    data = _put(stock, places)
    _verify(stock, data, places)
    secret = bool(config) and has_secrets(rest[SETTINGS])
    path = Path(output or ROOT / "build" / board / (SECRET_IMAGE if secret else IMAGE))
    _write(path, data, 0o600 if secret else 0o666)
    if not output:
        path.with_name(IMAGE if secret else SECRET_IMAGE).unlink(missing_ok=True)  # the image of an earlier run
    for partition, files, _ in places:
        say(f"{partition.name}: {len(files)} files, {sum(map(len, files.values()))} of {partition.size} bytes")
    say(f"{path}: {len(data)} bytes, for the address {stock.start:#x}; write it with make flash BOARD={board} PORT=...")
    if secret:
        say(f"{path} contains the passwords and tokens of {config}: do not give it to anyone.")


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BoardProblem(f"{path}: {error.strerror}") from error


def _write(path, data, mode):
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)  # an existing file would keep its mode
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    new.replace(path)


def _place(stock, code, rest):
    """Return [(partition, its files, its content)], sorted by address."""
    filesystem, romfs = stock.partitions.find(FILESYSTEM), stock.partitions.find(ROMFS)
    if not filesystem:
        raise BoardProblem(f"{stock.name} has no partition {FILESYSTEM} for files.")
    if stock.part(filesystem).strip(b"\xff"):
        raise BoardProblem(f"{stock.name} contains files; use an unchanged image from micropython.org.")
    if not romfs:
        return [(filesystem, {**code, **rest}, make_littlefs({**code, **rest}, filesystem))]
    # Code in a ROMFS runs in place and takes no heap. MicroPython looks for it in /rom/lib.
    parts = [(romfs, code, make_romfs_image(code, romfs)), (filesystem, rest, make_littlefs(rest, filesystem))]
    return sorted(parts, key=lambda part: part[0].offset)


def _check_heap(stock, rest, say):
    most = None if stock.may_have_external_memory else heap.most_of_esp32(stock.chip)
    in_rom = stock.partitions.find(ROMFS) is not None
    room = heap.Room(f"a stock {stock.board}", most, in_rom, stock.has_ethernet)
    heap.check(room, json.loads(rest.get(SETTINGS, b"{}")), say)


def _put(stock, places):
    data = stock.data
    for partition, _, content in places:
        at = partition.offset - stock.start
        data = data[:at].ljust(at, b"\xff") + content + data[at + len(content) :]
    return data


def _verify(stock, data, places):
    """Check the files by reading them back from the image."""
    made = StockImage(data, stock.board, "the new image")
    same = made.partitions == stock.partitions and made.application.rstrip(b"\xff") == stock.application.rstrip(b"\xff")
    for partition, files, content in places:
        found = made.part(partition)
        same = same and found.startswith(content)
        same = same and (partition.name == ROMFS or read_littlefs(found, partition) == files)
    if not same:
        raise BoardProblem("The new image is wrong because of an error in this program.")


def main():
    parser = argparse.ArgumentParser(prog="tools.image", description=__doc__)
    parser.add_argument("board")
    parser.add_argument("base", help="a .bin file from micropython.org/download")
    parser.add_argument("--config", metavar="FILE", help="settings for config.json")
    parser.add_argument("--output", metavar="FILE", help="the new image (default: build/<board>/image.bin)")
    parser.add_argument("--mpy-cross", help="a compiler of the image's release, instead of a download")
    make(**vars(parser.parse_args()))


if __name__ == "__main__":
    try:
        main()
    except BoardProblem as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: no image was made")
