"""The ESP32 boards: checks what MicroPython's build files give to ESP-IDF's build, with Espressif's programs.

ESP-IDF itself is not needed: MicroPython's CMakeLists.txt runs up to the point where it hands over to it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mp_image_tool_esp32.partition_table import PART_MAGIC, SUBTYPES, PartitionEntry, PartitionTable

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
MPY = Path(os.environ.get("MPY_DIR") or ROOT / "build" / "src" / "micropython").resolve()
MPY_CROSS = ROOT / "build" / "mpy-cross" / "mpy-cross"
CMAKE = Path(sys.executable).with_name("cmake")
TARGETS = {"ESP32": "esp32", "ESP32_S3": "esp32s3", "ESP32_C3": "esp32c3", "ESP32_C6": "esp32c6", "ESP32_POE": "esp32"}
BOARDS = sorted(path.parent.name for path in ROOT.glob("boards/ESP32*/mpconfigboard.cmake"))
MIB = 1024 * 1024
ROOM = 128 * 1024  # bytes that our code adds to a stock image
STOCK_IMAGE = 1672768  # ESP32_GENERIC v1.23.0, optimized for speed; ours is for size

pytestmark = pytest.mark.skipif(not (MPY / "ports" / "esp32").exists(), reason=f"no ESP32 port in {MPY}")

# Takes the place of ESP-IDF's build, and records its input.
PROJECT_CMAKE = """
macro(project)
    _project(micropython NONE)
    file(WRITE ${CMAKE_BINARY_DIR}/given.txt
        "${IDF_TARGET}\\n${MICROPY_FROZEN_MANIFEST}\\n${MICROPY_DEF_BOARD}\\n${SDKCONFIG_DEFAULTS}\\n")
    get_directory_property(options LINK_OPTIONS)
    file(APPEND ${CMAKE_BINARY_DIR}/given.txt "${options}\\n${MICROPY_SOURCE_BOARD}\\n")
endmacro()
"""


def test_every_board_is_known_here():
    assert BOARDS == sorted(TARGETS)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Returns a function f(board), which returns the input of ESP-IDF's build as a dictionary."""
    idf = tmp_path_factory.mktemp("idf")
    (idf / "tools" / "cmake").mkdir(parents=True)
    (idf / "tools" / "cmake" / "project.cmake").write_text(PROJECT_CMAKE)
    known = {}

    def get(board):
        if board not in known:
            build = tmp_path_factory.mktemp(board)
            command = [CMAKE, "-S", MPY / "ports" / "esp32", "-B", build, f"-DMICROPY_BOARD={board}"]
            command += [f"-DMICROPY_BOARD_DIR={ROOT / 'boards' / board}", "-DFIRMWARE_VERSION=1.2.3"]
            environment = {**os.environ, "IDF_PATH": str(idf)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            values = (build / "given.txt").read_text().splitlines()
            known[board] = dict(zip(("target", "manifest", "defines", "sdkconfig", "link", "sources"), values))
        return known[board]

    return get


@pytest.fixture(params=BOARDS)
def board(request):
    return request.param


def options(text):
    """Return {symbol: value} of a configuration. The last value of a symbol counts."""
    return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.MULTILINE))


def test_the_board_is_for_its_chip_and_freezes_our_manifest(given, board):
    assert (given(board)["target"] or "esp32") == TARGETS[board]
    assert given(board)["manifest"] == str(ROOT / "boards" / board / "manifest.py")
    assert 'FIRMWARE_VERSION="1.2.3"' in given(board)["defines"]
    header = (ROOT / "boards" / board / "mpconfigboard.h").read_text()
    included = re.search('#include "(boards/.*)"', header).group(1)
    assert (MPY / "ports" / "esp32" / included).exists()


def test_the_heap_reserve_is_compiled_and_linked(given, board):
    assert given(board)["link"] == "-Wl,--wrap=gc_get_max_new_split"
    assert str(ROOT / "boards" / "esp32" / "heap_reserve.c") in given(board)["sources"].split(";")
    common = (MPY / "ports" / "esp32" / "esp32_common.cmake").read_text()
    assert "${MICROPY_SOURCE_BOARD}" in common.partition("idf_component_register(")[2].partition(")")[0]


def test_qemus_ethernet_is_used_at_its_own_phy_address(monkeypatch):
    """QEMU's open_eth answers at PHY address 1 only."""
    asked = []
    network = SimpleNamespace(PHY_OPENETH=5, LAN=lambda **options: asked.append(options))
    monkeypatch.setitem(sys.modules, "network", network)
    scope = {}
    exec((ROOT / "boards" / "ESP32_C3" / "modules" / "board_support.py").read_text(), scope)
    scope["lan"]()
    assert asked == [{"phy_type": 5, "phy_addr": 1}]


def kconfig(symbols):
    """Return MicroPython's symbols as a Kconfig file, with the types of their values, and the values as defaults."""
    for symbol, value in sorted(symbols.items()):
        kind = "string" if value.startswith('"') else "hex" if value.startswith("0x") else "int"
        yield f'config {symbol}\n    {kind if value.strip("yn") else "bool"} "{symbol}"\n    default {value}\n'


def test_the_configuration_is_valid(given, board, tmp_path):
    """Every symbol that we set exists in MicroPython's or our Kconfig, and its value has the right type and range."""
    combined = Path(given(board)["sdkconfig"]).read_text()
    stock = {}
    for path in sorted((MPY / "ports" / "esp32" / "boards").rglob("sdkconfig.*")):
        stock.update({symbol: value for symbol, value in options(path.read_text()).items() if value})
    own = (HERE / "Kconfig").read_text()
    declared = set(re.findall(r"^config (\w+)", own, re.MULTILINE))
    theirs = {symbol: value for symbol, value in stock.items() if symbol not in declared}
    (tmp_path / "Kconfig").write_text('mainmenu "x"\n' + own + "\n" + "\n".join(kconfig(theirs)))
    (tmp_path / "defaults").write_text(combined)
    command = [sys.executable, "-m", "kconfgen", "--kconfig", tmp_path / "Kconfig", "--defaults", tmp_path / "defaults"]
    command += ["--output", "json", tmp_path / "out.json", "--env", "IDF_VERSION=5.2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert not re.search("warning|unknown|error", said, re.IGNORECASE), said
    result = json.loads((tmp_path / "out.json").read_text())
    paths = [ROOT / "boards" / "esp32" / "sdkconfig.board", ROOT / "boards" / board / "sdkconfig.board"]
    wanted = [options(path.read_text()) for path in paths if path.exists()]
    for symbol, value in {symbol: value for part in wanted for symbol, value in part.items()}.items():
        meant = {"y": True, "n": False}.get(value, value if value in "yn" else int(value))
        assert result[symbol] == meant, symbol


def test_the_windows_mailbox_holds_a_whole_window(given, board):
    """Otherwise lwIP drops data within the window. The size is window / segment + 2 (ESP-IDF's Kconfig)."""
    chosen = options(Path(given(board)["sdkconfig"]).read_text())
    window = int(chosen.get("LWIP_TCP_WND_DEFAULT", 5760))
    assert int(chosen.get("LWIP_TCP_RECVMBOX_SIZE", 6)) >= window // 1440 + 2


def partitions(path):
    """Return the table of mp-image-tool for a CSV file."""
    table = PartitionTable()
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, kind, subtype, offset, size = (cell.strip() for cell in line.split(","))
            assert SUBTYPES[subtype][0] == {"app": 0, "data": 1}[kind]
            label = name.encode().ljust(16, b"\0")
            table.append(PartitionEntry(PART_MAGIC, *SUBTYPES[subtype], int(offset, 16), int(size, 16), label, 0))
    return table


def test_the_partition_table_fits_the_flash_and_has_two_places_for_the_image(given, board):
    chosen = options(Path(given(board)["sdkconfig"]).read_text())
    path = Path(chosen["PARTITION_TABLE_CUSTOM_FILENAME"].strip('"'))
    assert path.is_absolute() and path.parent == ROOT / "boards" / "esp32"
    flash = [int(size) * MIB for size in ("2", "4", "8", "16") if chosen.get(f"ESPTOOLPY_FLASHSIZE_{size}MB") == "y"]
    table = partitions(path)
    table.max_size = flash[0]
    table.check()
    assert [(part.offset, part.size) for part in PartitionTable.from_bytes(table.to_bytes(), flash[0])] == [
        (part.offset, part.size) for part in table
    ]
    end = 0x9000
    for part in table:
        assert part.offset == end, "no gap"
        end = part.offset + part.size
    assert flash == [end]
    assert table.by_name("otadata").size == PartitionTable.OTADATA_SIZE
    assert table.by_name("ota_0").size == table.by_name("ota_1").size >= STOCK_IMAGE + ROOM
    assert table.by_name("vfs").size >= 448 * 1024


@pytest.mark.skipif(not MPY_CROSS.exists(), reason="no mpy-cross was built: MICROPYTHON= was given")
def test_the_manifest_is_frozen_for_the_chip(given, board, tmp_path):
    """This runs makemanifest.py, mpy-cross for the chip's instructions, and mpy-tool, as MicroPython's build does."""
    architecture = "rv32imc" if TARGETS[board] in ("esp32c3", "esp32c6") else "xtensawin"
    (tmp_path / "genhdr").mkdir()
    shutil.copy(ROOT / "build" / "unix" / "genhdr" / "qstrdefs.preprocessed.h", tmp_path / "genhdr")
    folders = {
        "MPY_DIR": MPY,
        "MPY_LIB_DIR": MPY / "lib" / "micropython-lib",
        "PORT_DIR": MPY / "ports" / "esp32",
        "BOARD_DIR": ROOT / "boards" / board,
    }
    variables = [part for name, path in folders.items() for part in ("-v", f"{name}={path}")]
    command = [sys.executable, MPY / "tools" / "makemanifest.py", "-o", tmp_path / "frozen.c", "-b", tmp_path]
    command += [f"-f=-march={architecture}", *variables, given(board)["manifest"]]
    environment = {**os.environ, "MICROPY_MPYCROSS": str(MPY_CROSS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    frozen = set(re.findall(r'^"([\w/]+\.py)\\0"', (tmp_path / "frozen.c").read_text(), re.MULTILINE))
    frozen |= {f"{path.relative_to(tmp_path / 'frozen_mpy').with_suffix('.py')}" for path in tmp_path.rglob("*.mpy")}
    ours = {f"firmware/{path.relative_to(ROOT / 'firmware')}" for path in (ROOT / "firmware").rglob("*.py")}
    assert ours | {"XAsyncSockets.py", "main.py", "board_support.py", "_boot.py", "asyncio/core.py"} <= frozen
    support = (tmp_path / "frozen_mpy" / "board_support.mpy").read_bytes()
    assert board.encode() in support
