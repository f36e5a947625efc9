"""make image: it adds our files to a stock image, or writes nothing."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from stock_images import stock_image

import tools.image.__main__ as image_tool
from tools.flash.esp32 import newest as newest_image
from tools.flash.ports import BoardProblem
from tools.image.__main__ import make
from tools.image.filesystem import read_littlefs
from tools.image.stock import StockImage, chip_of

ROOT = Path(__file__).resolve().parents[2]

BOARDS = sorted(path.parent.name for path in ROOT.glob("boards/ESP32*/mpconfigboard.cmake"))
MICROPYTHON = os.environ.get("MICROPYTHON") or str(ROOT / "build" / "unix" / "micropython")
MPY_CROSS = ROOT / "build" / "mpy-cross" / "mpy-cross"
MISSING = "no mpy-cross was built: MICROPYTHON= was given"
pytestmark = pytest.mark.skipif(not MPY_CROSS.exists(), reason=MISSING)

# Runs in MicroPython, and does what a board with this filesystem does after a reset.
BOOT = """
import sys, vfs
class Flash:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = bytearray(file.read())
    def readblocks(self, block, into, offset=0):
        start = block * 4096 + offset
        into[:] = self.data[start : start + len(into)]
    def writeblocks(self, block, data, offset=0):
        start = block * 4096 + offset
        self.data[start : start + len(data)] = data
    def ioctl(self, request, argument):
        return {4: len(self.data) // 4096, 5: 4096, 6: 0}.get(request)
flash = Flash(sys.argv[1])
rom = open(sys.argv[2], "rb").read() if len(sys.argv) > 2 else None
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(flash), "/")
sys.path[:] = ["", "/lib"]
if rom:
    vfs.mount(vfs.VfsRom(memoryview(rom)), "/rom")
    sys.path[:] = ["", "/rom", "/rom/lib", "/lib"]
with open("/config.json", "w") as file:
    file.write('{"boot": {"repl": true}, "device": {"name": "kept"}}')
exec(open("/main.py").read())
import XAsyncSockets, firmware.app, board_support
print(XAsyncSockets.__file__, board_support.NAME)
"""


@pytest.fixture
def made(tmp_path):
    """Returns f(board, data, ...), which returns the new image and the output."""

    def run(board, data, **options):
        (tmp_path / "stock.bin").write_bytes(data)
        said = []
        output = tmp_path / "out" / "firmware.bin"
        make(board, tmp_path / "stock.bin", output=output, mpy_cross=MPY_CROSS, say=said.append, **options)
        return SimpleNamespace(data=output.read_bytes(), said=said)

    return run


@pytest.fixture(params=BOARDS)
def board(request):
    return request.param


def filesystem(image):
    partition = image.partitions.by_name("vfs")
    return read_littlefs(image.part(partition), partition), partition


def test_an_image_with_secrets_is_readable_by_this_user_only(made, tmp_path):
    (tmp_path / "config.json").write_text('{"control": {"token": "a long secret"}}')
    result = made("ESP32_C3", stock_image("esp32c3", tmp_path), config=tmp_path / "config.json")
    assert (tmp_path / "out" / "firmware.bin").stat().st_mode & 0o777 == 0o600
    assert f"contains the passwords and tokens of {tmp_path / 'config.json'}" in result.said[-1]


def test_the_name_of_an_image_shows_whether_it_has_secrets(tmp_path, monkeypatch):
    monkeypatch.setattr(image_tool, "ROOT", tmp_path)
    (tmp_path / "stock.bin").write_bytes(stock_image("esp32c3", tmp_path))
    folder = tmp_path / "build" / "ESP32_C3"
    for config, name in (
        ('{"wifi": {"networks": [{"ssid": "home", "password": "correct horse"}]}}', "image-with-secrets.bin"),
        ('{"device": {"name": "mine"}}', "image.bin"),
    ):
        (tmp_path / "config.json").write_text(config)
        make("ESP32_C3", tmp_path / "stock.bin", tmp_path / "config.json", mpy_cross=MPY_CROSS, say=str)
        assert [path.name for path in folder.iterdir()] == [name]
        assert newest_image(folder) == folder / name


def boot(tmp_path, image, romfs=None):
    partition = image.partitions.by_name("vfs")
    (tmp_path / "flash").write_bytes(image.part(partition).ljust(partition.size, b"\xff"))
    (tmp_path / "boot.py").write_text(BOOT)
    files = [tmp_path / "flash"]
    if romfs:
        (tmp_path / "rom").write_bytes(romfs)
        files.append(tmp_path / "rom")
    command = [MICROPYTHON, "-X", "heapsize=16m", tmp_path / "boot.py", *files]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_the_page_is_in_an_image_whose_settings_ask_for_it(made, tmp_path):
    (tmp_path / "config.json").write_text('{"http": {"enabled": true}, "telemetry": {"enabled": false}}')
    result = made("ESP32_S3", stock_image("esp32s3", tmp_path), config=tmp_path / "config.json")
    files, _ = filesystem(StockImage(result.data, "ESP32_S3", "made"))
    assert {"/lib/web_page.mpy", "/lib/firmware/web/request.mpy"} <= set(files)


def test_every_board_gets_its_files_and_esptool_accepts_the_image(made, board, tmp_path):
    chip, start = chip_of(board)
    stock = stock_image(chip, tmp_path)
    config = b'{"device": {"name": "mine"}, "network": {"ntp": "", "probe_s": 0}, "telemetry": {"enabled": false}}'
    (tmp_path / "config.json").write_bytes(config)
    result = made(board, stock, config=tmp_path / "config.json")
    assert not any("passwords" in line for line in result.said)
    image = StockImage(result.data, board, "made")
    files, partition = filesystem(image)
    assert result.data[: len(stock)] == stock
    assert {"/lib/XAsyncSockets.mpy", "/lib/firmware/app.mpy", "/lib/board_support.mpy", "/main.py"} <= set(files)
    assert files["/config.json"] == config
    assert "/lib/web_page.mpy" not in files
    assert len(result.data) + start <= partition.offset + partition.size
    application = tmp_path / "app.bin"
    application.write_bytes(result.data[0x10000 - start : len(stock)])
    command = [sys.executable, "-m", "esptool", "--chip", chip, "image_info", "--version", "2", application]
    told = subprocess.run(command, capture_output=True, text=True)
    assert "Checksum" in told.stdout and told.stdout.count("(valid)") == 2, told.stdout + told.stderr


def test_the_firmware_starts_from_it(made, tmp_path):
    result = made("ESP32_S3", stock_image("esp32s3", tmp_path))
    done = boot(tmp_path, StockImage(result.data, "ESP32_S3", "made"))
    assert "boot.repl is true: the firmware does not start" in done.stdout, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "/lib/XAsyncSockets.mpy ESP32_S3"


def test_code_is_put_into_a_romfs_if_there_is_one(made, tmp_path):
    result = made("ESP32", stock_image("esp32", tmp_path, romfs=0x20000))
    image = StockImage(result.data, "ESP32", "made")
    files, _ = filesystem(image)
    assert set(files) == {"/main.py"}
    done = boot(tmp_path, image, image.part(image.partitions.by_name("romfs")))
    if "VfsRom" in done.stderr:
        pytest.skip("this MicroPython has no ROMFS to try it with")
    assert done.stdout.splitlines()[-1] == "/rom/lib/XAsyncSockets.mpy ESP32", done.stdout + done.stderr


def damaged(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "change, problem",
    [
        (lambda data: data[: len(data) - 60000], "stock.bin: application is incomplete or damaged"),
        (lambda data: data[:0x6800], "has no partition table: is it complete"),
        (lambda data: damaged(data, len(data) - 20000), "stock.bin: application is damaged: its checksum or hash"),
        (lambda data: damaged(data, 40), "stock.bin: bootloader is damaged"),
        (lambda data: data[0xF000:], "has no partition table"),
        (lambda data: b"<html>", "stock.bin is not an image for an ESP32"),
        (lambda data: b"<html>" + data[6:], "stock.bin is not an image for an ESP32"),
        (lambda data: b"", "stock.bin is not an image for an ESP32"),
        (lambda data: data.ljust(0x200000 - 0x1000, b"\xff") + b"files", "stock.bin contains files"),
    ],
    ids=["truncated", "cut short", "flipped bit", "bootloader", "app only", "page", "long page", "empty", "used"],
)
def test_a_bad_file_is_one_sentence_and_nothing_is_written(made, tmp_path, change, problem):
    with pytest.raises(BoardProblem, match=problem) as error:
        made("ESP32", change(stock_image("esp32", tmp_path)))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"text": b"MicroPython v1.21.0 on x"}, "stock.bin is MicroPython 1.21.0; the firmware needs 1.22 or later"),
        ({"text": b"Arduino"}, "stock.bin contains no MicroPython"),
        ({"text": b"MicroPython v1.25.0\0XAsyncSockets.py\0"}, "already has our firmware: make flash"),
        ({"filesystem": 0x10000}, "The partition vfs has 65536 bytes; our files .* do not fit"),
        ({"romfs": 0x4000}, "The partition romfs has 16384 bytes; our files .* do not fit"),
        ({"label": "ffat"}, "no partition vfs for files"),
    ],
    ids=["too old", "another firmware", "ours", "full", "full ROMFS", "no filesystem"],
)
def test_an_image_without_room_for_the_files(made, tmp_path, options, problem):
    with pytest.raises(BoardProblem, match=problem):
        made("ESP32", stock_image("esp32", tmp_path, **options))
    assert not (tmp_path / "out").exists()


def test_another_chips_image(made, tmp_path):
    with pytest.raises(BoardProblem, match="stock.bin is for an ESP32-C3, and the board has an ESP32-S3"):
        made("ESP32_S3", stock_image("esp32c3", tmp_path))


def test_the_command_takes_settings_and_ends_with_one_sentence(tmp_path):
    (tmp_path / "stock.bin").write_bytes(stock_image("esp32", tmp_path))
    (tmp_path / "config.json").write_text('{"device": {"nome": "x"}}')
    words = ["ESP32", tmp_path / "stock.bin", "--config", tmp_path / "config.json", "--mpy-cross", MPY_CROSS]
    done = subprocess.run([sys.executable, "-m", "tools.image", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"{tmp_path / 'config.json'}: device.nome: ")


def test_settings_are_checked(made, tmp_path):
    (tmp_path / "config.json").write_text('{"device": {"nome": "x"}}')
    with pytest.raises(BoardProblem, match="nome"):
        made("ESP32", stock_image("esp32", tmp_path), config=tmp_path / "config.json")
    assert not (tmp_path / "out").exists()
