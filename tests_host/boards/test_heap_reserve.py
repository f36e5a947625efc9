"""The memory that ESP32 boards reserve for the system: boards/esp32/heap_reserve.c.

It is compiled for this computer and linked like a board's image, with MicroPython's own gccollect.c and stand-ins for
ESP-IDF (esp_idf/).
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MPY = Path(os.environ.get("MPY_DIR") or ROOT / "build" / "src" / "micropython").resolve()
PORT = MPY / "ports" / "esp32"
COMPILER = shutil.which("cc")
KIB = 1024

pytestmark = [
    pytest.mark.skipif(not PORT.exists(), reason=f"no ESP32 port in {MPY}"),
    pytest.mark.skipif(not COMPILER, reason="no C compiler"),
]


def defined(name):
    text = (ROOT / "boards" / "esp32" / "board.h").read_text()
    return int(re.search(rf"#define {name} \((\d+) \* 1024\)", text).group(1)) * KIB


SYSTEM, RADIO = defined("BOARD_SYSTEM_RESERVE"), defined("BOARD_RADIO_RESERVE")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Returns a function f(board, wrapped), which compiles the program esp_idf/system.c with the board's reserve."""

    def compile_for(board, wrapped=True):
        program = tmp_path_factory.mktemp(board) / "program"
        header = program.with_name("board.h")
        text = (ROOT / "boards" / board / "mpconfigboard.h").read_text()
        header.write_text(re.sub('#include "boards/.*\n', "", text))  # MicroPython's own board header is not needed
        sources = [HERE / "esp_idf" / "system.c", PORT / "gccollect.c"]
        options = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-I", HERE / "esp_idf"]
        options += ["-I", ROOT / "boards" / board, f'-DBOARD_H="{header}"']
        if wrapped:
            given = (ROOT / "boards" / "esp32" / "board.cmake").read_text()
            options += re.findall(r"add_link_options\((.*)\)", given)
            sources.append(ROOT / "boards" / "esp32" / "heap_reserve.c")
        done = subprocess.run([COMPILER, *options, *sources, "-o", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return program

    return compile_for


def new_part(program, free, largest, external=0, wifi=True):
    """Return how large a new part of Python's heap may be."""
    words = [str(int(value)) for value in (free, largest, external, wifi)]
    return int(subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def board(compiled):
    return compiled("ESP32_C3")


def test_the_systems_memory_is_reserved(board):
    assert new_part(board, free=200 * KIB, largest=90 * KIB) == 90 * KIB
    assert new_part(board, free=100 * KIB, largest=90 * KIB) == 100 * KIB - SYSTEM
    assert new_part(board, free=SYSTEM + 10, largest=20 * KIB) == 10
    for free in (SYSTEM, SYSTEM - 1, 0):
        assert new_part(board, free=free, largest=free) == 0


def test_before_wifi_is_initialised_its_memory_is_reserved_too(board):
    assert new_part(board, free=120 * KIB, largest=110 * KIB, wifi=False) == 120 * KIB - SYSTEM - RADIO
    assert new_part(board, free=SYSTEM + RADIO, largest=70 * KIB, wifi=False) == 0


def test_python_may_use_all_external_memory(board):
    assert new_part(board, free=10 * KIB, largest=8 * KIB, external=4000 * KIB) == 4000 * KIB


def test_a_wired_board_reserves_nothing_for_wifi(compiled):
    program = compiled("ESP32_POE")
    assert new_part(program, free=100 * KIB, largest=90 * KIB, wifi=False) == 100 * KIB - SYSTEM


def test_without_the_reserve_python_takes_all_memory(compiled):
    """This is why the reserve exists. If it fails, MicroPython has changed, and the reserve may have to change too."""
    assert new_part(compiled("ESP32_C3", wrapped=False), free=44 * KIB, largest=29 * KIB, wifi=False) == 29 * KIB
