"""make flash for an ESP32: the real esptool writes to a chip that speaks the ROM's protocol."""

import os
from pathlib import Path

import pytest
from esp32_rom import Esp32
from stock_images import stock_image

from tools.flash.esp32 import flash
from tools.flash.ports import BoardProblem

ROOT = Path(__file__).resolve().parents[2]

CONSOLE = b"ESP-ROM\r\n[     0] boot: XAsyncSockets firmware 0.1.0, esp32-c3-123456\r\n"


@pytest.fixture
def chip():
    chips = []

    def make(name="esp32c3", **options):
        chips.append(Esp32(name, console=CONSOLE, **options))
        return chips[-1]

    yield make
    for one in chips:
        one.close()


@pytest.fixture
def image(tmp_path, monkeypatch):
    """An image as `make image` makes it for an ESP32-C3."""
    folder = tmp_path / "build" / "ESP32_C3"
    folder.mkdir(parents=True)
    data = stock_image("esp32c3", tmp_path)
    (folder / "firmware.bin").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return data


def test_it_is_written_verified_and_booted(chip, image):
    board = chip()
    said = []
    flash("ESP32_C3", board.port, say=said.append)
    assert bytes(board.flash[: len(image)]) == image and board.erased == 0
    assert any("Hash of data verified" in line for line in said)
    assert "written and verified; XAsyncSockets firmware 0.1.0, esp32-c3-123456 runs" in said[-1]


@pytest.mark.parametrize("last", ["image.bin", "firmware.bin"])
def test_of_two_images_the_last_made_is_written(chip, image, last):
    folder = Path("build/ESP32_C3")
    for name in ("image.bin", "firmware.bin"):
        (folder / name).write_bytes(image if name == last else b"an older one")
        os.utime(folder / name, (1000, 2000 if name == last else 1000))
    board = chip()
    said = []
    flash("ESP32_C3", board.port, say=said.append)
    assert bytes(board.flash[: len(image)]) == image
    assert any(line.endswith(f"writing build/ESP32_C3/{last}") for line in said)


def test_on_a_slow_line_a_lower_speed_is_used(chip, image):
    board = chip(fastest=460800)
    said = []
    flash("ESP32_C3", board.port, say=said.append)
    assert bytes(board.flash[: len(image)]) == image
    assert any("writing failed at 921600 Bd" in line for line in said)


def test_everything_is_erased_on_request(chip, image):
    board = chip()
    board.flash[0x300000:0x300005] = b"files"
    flash("ESP32_C3", board.port, erase=True, say=lambda text: None)
    assert board.erased == 1 and board.flash[0x300000:0x300005] == b"\xff" * 5


def test_another_chip_is_not_written_to(chip, image):
    board = chip("esp32s3")
    with pytest.raises(BoardProblem, match="has an ESP32-S3, the image is for an ESP32-C3"):
        flash("ESP32_C3", board.port, say=print)
    assert not board.written


def test_a_write_error_is_noticed(chip, image, monkeypatch):
    monkeypatch.setattr("tools.flash.esp32.BAUDS", (115200,))
    board = chip()
    board.flips = True
    with pytest.raises(BoardProblem, match="MD5 of file does not match"):
        flash("ESP32_C3", board.port, say=print)


@pytest.mark.parametrize(
    "change, problem",
    [
        (lambda data: data[:-500], "application is incomplete or damaged"),
        (lambda data: b"", "is not an image for an ESP32"),
        (None, "firmware.bin: No such file or directory: make image or make firmware BOARD=ESP32_C3"),
    ],
    ids=["truncated", "empty", "none"],
)
def test_a_bad_image_does_not_reach_the_board(chip, image, change, problem):
    path = Path("build/ESP32_C3/firmware.bin")
    path.write_bytes(change(image)) if change else path.unlink()
    board = chip()
    with pytest.raises(BoardProblem, match=problem):
        flash("ESP32_C3", board.port, say=print)
    assert not board.written
