"""The checks of `make flash` before it writes: drive, image, ports. tests_device tests it with a board."""

import struct
import sys

import pytest

from tools.flash import flash, ports
from tools.flash.ports import BoardProblem, find_drive, find_port
from tools.flash.uf2 import Uf2

RP2040, RP2350 = 0xE48BFF56, 0xE48BFF59


@pytest.fixture
def drive(tmp_path):
    drive = tmp_path / "my disks" / "RPI-RP2"
    drive.mkdir(parents=True)
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nBoard-ID: RPI-RP2\n")
    return drive


def uf2(path, pieces, family=RP2040, address=0x10000000):
    """Write a UF2 file with these pieces, which follow each other in flash."""
    content = b""
    for number, piece in enumerate(pieces):
        head = (0x0A324655, 0x9E5D5157, 0x2000, address, len(piece), number, len(pieces), family)
        content += struct.pack("<8I", *head) + piece.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)
        address += len(piece)
    path.write_bytes(content)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' list of mounts")
def test_the_drive_is_found_where_it_is_mounted(drive, tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text("proc /proc proc rw 0 0\n/dev/sda1 {} vfat rw 0 0\n".format(str(drive).replace(" ", "\\040")))
    monkeypatch.setattr(ports, "MOUNTS", str(mounts))
    assert find_drive() == find_drive(drive) == drive
    assert find_drive(tmp_path) is None
    (drive / "INFO_UF2.TXT").unlink()
    assert find_drive() is None


def test_an_image_is_assembled(tmp_path):
    image = Uf2(uf2(tmp_path / "firmware.uf2", [b"a" * 256, b"b" * 256, b"c" * 100]))
    assert (image.chip, image.address, image.data) == ("rp2040", 0x10000000, b"a" * 256 + b"b" * 256 + b"c" * 100)
    assert Uf2(uf2(tmp_path / "other.uf2", [b"x" * 256], RP2350)).chip == "rp2350"


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: b"MZ" + data[2:]])
def test_files_that_are_not_images(tmp_path, damage):
    path = uf2(tmp_path / "firmware.uf2", [b"a" * 256] * 2)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="is not a UF2 file"):
        Uf2(path)


@pytest.mark.parametrize("family, says", [(RP2350, "is for an RP2350"), (1, "a chip without a USB bootloader")])
def test_an_image_of_another_chip_is_not_copied(drive, tmp_path, monkeypatch, family, says):
    folder = tmp_path / "build" / "PICO"
    folder.mkdir(parents=True)
    uf2(folder / "firmware.uf2", [b"a" * 256], family)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BoardProblem, match=says):
        flash.flash("PICO", drive=drive)
    assert [path.name for path in drive.iterdir()] == ["INFO_UF2.TXT"]


def test_ports_are_listed_if_there_are_several(monkeypatch, tmp_path):
    found = []
    monkeypatch.setattr(ports, "serial_ports", lambda: found)
    with pytest.raises(BoardProblem, match="No board is connected"):
        find_port()
    found.append("/dev/ttyACM0")
    assert find_port() == "/dev/ttyACM0"
    found.append("/dev/ttyACM1")
    with pytest.raises(BoardProblem, match="There are boards at /dev/ttyACM0, /dev/ttyACM1."):
        find_port()
    (tmp_path / "port").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "port")
    assert find_port(str(tmp_path / "by-id")) == str(tmp_path / "port")
