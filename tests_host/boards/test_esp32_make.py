"""boards/esp32.mk with stand-ins for MicroPython's checkout and ESP-IDF, which record their calls."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIZE_CHECK = ROOT / "boards" / "esp32" / "size_check.py"
BOARD = "ESP32_C3"
OUT = ROOT / "build" / f"test-{BOARD}-{os.getpid()}"  # not the folder of the user's own images

NOTE = 'echo "{0} $*" >> "$NOTES"\n'
CROSS = """all:
	@echo mpy-cross >> "$(NOTES)"; mkdir -p $(BUILD); touch $(BUILD)/mpy-cross
"""
PORT = """submodules all:
	@command -v idf.py > /dev/null && [ -e "$$MICROPY_MPYCROSS" ] || { echo "not ready" >&2; exit 1; }
	@echo "$@ $(BOARD) $(BOARD_VARIANT) $(notdir $(BUILD))" >> "$(NOTES)"
	@mkdir -p $(BUILD)/partition_table; cp $(TABLE) $(BUILD)/partition_table/
	@echo application > $(BUILD)/micropython.bin
	@echo whole > $(BUILD)/firmware.bin
"""


def table(*sizes, kind=0):
    """Return a partition table like ESP-IDF's."""
    entries = [struct.pack("<HBBII16sI", 0x50AA, kind, 0x10, 0x10000, size, b"app", 0) for size in sizes]
    return b"".join(entries).ljust(0xC00, b"\xff")


@pytest.fixture
def make(tmp_path):
    """Returns a function f(*words), which runs make and returns its result and the recorded calls, in order."""
    notes, micropython, idf = tmp_path / "notes", tmp_path / "micropython", tmp_path / "idf"
    for path, text in (
        ("mpy-cross/Makefile", CROSS),
        ("ports/esp32/Makefile", PORT),
        ("ports/esp32/boards/ESP32_GENERIC_C3/mpconfigvariant_QEMU.cmake", ""),
    ):
        (micropython / path).parent.mkdir(parents=True, exist_ok=True)
        (micropython / path).write_text(text)
    (idf / "bin").mkdir(parents=True)
    (idf / "export.sh").write_text(f'PATH="{idf}/bin:$PATH"\n')
    for name, text in (("idf.py", NOTE.format("idf.py")), ("qemu-system-riscv32", "echo 'esp32c3  Espressif'\n")):
        (idf / "bin" / name).write_text("#!/bin/sh\n" + text)
        (idf / "bin" / name).chmod(0o755)
    (tmp_path / "partition-table.bin").write_bytes(table(0x1C0000))

    def run(*words, idf_path=idf, **variables):
        kept = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MICROPYTHON", "BOARD")}
        kept.update(IDF_PATH=str(idf_path), NOTES=str(notes), TABLE=str(tmp_path / "partition-table.bin"), **variables)
        words = [*words, f"BOARD={BOARD}", f"MPY_DIR={micropython}", f"OUT=build/{OUT.name}"]
        done = subprocess.run(["make", *words], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=60)
        return done, notes.read_text().splitlines() if notes.exists() else []

    yield run
    shutil.rmtree(OUT, ignore_errors=True)


def test_emulate_builds_the_compiler_first_and_forwards_the_control_server(make):
    done, notes = make("emulate", BUILD="from-outside")
    assert done.returncode == 0, done.stderr
    assert notes[0] == "mpy-cross"
    assert {note.split()[0] for note in notes[1:-1]} == {"submodules", "all"}
    assert notes[-2].endswith(f"{BOARD} QEMU qemu")
    assert notes[-1].startswith("idf.py ") and notes[-1].endswith(
        f"-B {OUT}/qemu qemu --qemu-extra-args -nic user,model=open_eth,hostfwd=tcp:127.0.0.1:8095-:8095"
    )
    assert "control    127.0.0.1:8095" in done.stdout and "10.0.2.2:8094" in done.stdout


def test_firmware_reports_the_free_space_of_its_partition(make):
    done, notes = make("firmware")
    assert done.returncode == 0, done.stderr
    assert notes[0] == "mpy-cross" and notes[-1].split() == ["all", BOARD, "idf"]
    assert "application 12 B of 1,835,008: 100.0% left" in done.stdout
    assert (OUT / "firmware.bin").read_text() == "whole\n"


def test_missing_programs_are_reported_and_nothing_is_built(make):
    done, notes = make("emulate", idf_path="")
    assert done.returncode != 0 and not notes
    assert "this is missing: ESP-IDF" in done.stderr and "Espressif's QEMU" in done.stderr


@pytest.mark.parametrize(
    "sizes, application, said, failed",
    [
        ((100_000,), 90_000, "application 90,000 B of 100,000: 10.0% left", False),
        ((200_000, 100_000), 97_500, "less than the 3%", True),
        ((100_000,), 120_000, "less than the 3%", True),
        ((), 1, "no place for an application", True),
    ],
)
def test_an_application_must_leave_room_in_its_partition(tmp_path, sizes, application, said, failed):
    (tmp_path / "table").write_bytes(table(*sizes) if sizes else table(1 << 20, kind=1))
    (tmp_path / "application").write_bytes(bytes(application))
    command = [sys.executable, SIZE_CHECK, tmp_path / "table", tmp_path / "application"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode != 0) == failed and said in done.stdout + done.stderr
