"""Updates of files on the chip's own littlefs, with the power cut in the middle of its flash operations."""

import io
import random
import tarfile

import pytest

from tests_device.device import Device

CUTS = 8
OLD = {"main2.py": b"old " * 300, "lib/app.py": b"old app " * 400, "kept.txt": b"kept"}
NEW = {"main2.py": b"new " * 500, "lib/app.py": b"new app " * 300, "services/new.txt": b"new"}

# Runs on the board, and does the same as update.begin, .write and .end, and as the boot that follows.
PREPARE = """
import os
for folder in ("lib", "services"):
    try:
        os.mkdir("/" + folder)
    except OSError:
        pass
for name, content in {old}.items():
    with open("/" + name, "wb") as file:
        file.write(content)
try:
    os.remove("/services/new.txt")
except OSError:
    pass
"""
UPDATE = """
from firmware.staged_files import recover
from firmware.update.service import FilesTarget
target = FilesTarget("/")
with open("/new.tar", "rb") as file:
    piece = file.read(600)
    while piece:
        target.write(piece)
        piece = file.read(600)
target.commit()
recover("/")
"""
LOOK = """
from firmware.staged_files import recover
recover("/")
found = {}
for name in ("main2.py", "lib/app.py", "kept.txt", "services/new.txt"):
    try:
        with open("/" + name, "rb") as file:
            found[name] = file.read()
    except OSError:
        pass
import os
assert "update" not in os.listdir("/")
print(found == %r, found == %r)
"""


def archive():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in NEW.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def look(device):
    return device.run(LOOK % (OLD, {**OLD, **NEW}), timeout=60).split()[-2:]


@pytest.mark.parametrize("seed", range(CUTS))
def test_after_a_power_cut_there_are_the_old_files_or_the_new_ones(new_board, seed):
    board = new_board(8, network=False)
    device = Device(board.port)
    device.soft_reset()
    device.write_file("/new.tar", archive())
    device.run(PREPARE.format(old=OLD), timeout=60)
    before = board.stats()["flash_operations"]
    device.run(UPDATE, timeout=60)
    operations = board.stats()["flash_operations"] - before
    assert look(device) == ["False", "True"]
    device.soft_reset()
    device.run(PREPARE.format(old=OLD), timeout=60)
    part = operations / CUTS  # a cut in each eighth of it
    board.cut_power_after(int(seed * part + random.Random(seed).random() * part))
    device.start(UPDATE)
    assert board.wait_power_cut(60), "the update went on without touching the flash"
    device.close()
    board.start()
    assert look(device) in (["True", "False"], ["False", "True"])
    device.close()
