"""make deploy to a board at a pseudo-terminal reports the use of the heap. tests_device tests it with a chip."""

import json
import shutil
import subprocess

import pytest
from image import IMAGE, PATIENCE_S, ROOT, image_environment
from serial_board import SerialBoard

from tools.flash.deploy import MAIN, check_heap, deploy, sources
from tools.flash.ports import BoardProblem, Connection
from tools.image import heap
from tools.weigh import table

MPY_CROSS = ROOT / "build" / "mpy-cross" / "mpy-cross"


@pytest.fixture
def board():
    board = SerialBoard()
    yield board
    board.close()


def in_use(config):
    return round(heap.estimate(config, heap.Room("", None)).used / 1024)


@pytest.mark.parametrize("config", [None, '{"sensors": {"bme280": [{}]}}', '{"nonsense": 1}', "{"])
def test_it_reports_the_heap_that_the_boards_settings_take(board, config):
    if config is not None:
        board.write("/config.json", config)
    said = []
    with Connection(board.port) as connection:
        check_heap(connection, said.append)
    taken = json.loads(config) if config and "sensors" in config else {}
    assert len(said) == 1 and said[0].startswith(f"Python's heap: about {in_use(taken)} of ")


@pytest.mark.skipif(not MPY_CROSS.exists(), reason="no mpy-cross was built: MICROPYTHON= was given")
def test_a_configuration_that_cannot_run_is_not_copied(board, tmp_path, monkeypatch):
    found = table.read()
    shutil.copy(table.PAGE, tmp_path)
    monkeypatch.setattr(table, "PAGE", tmp_path / "weight.md")
    table.write(found._replace(heap={**found.heap, "used": 1 << 40}), table.PAGE)
    before = board.files()
    with pytest.raises(BoardProblem, match="and the board has .* kB for it"):
        deploy(board.port, even_if_frozen=True, mpy_cross=MPY_CROSS, say=str)
    assert board.files() == before


def test_parts_that_are_off_by_default_come_with_the_settings_that_use_them():
    def modules(settings):
        return {name for name, _ in sources(None, settings)}

    least = modules({})
    always = ("boot/__init__", "network/wifi", "update/service")
    assert {f"/lib/firmware/{part}.mpy" for part in always} <= least
    for settings, *parts in (
        ({"http": {"enabled": True}}, "web/__init__", "network/portal", "network/setup"),
        ({"mqtt": {"broker": "192.0.2.1"}}, "mqtt/service"),
        ({"log": {"syslog": "192.0.2.1"}}, "services/syslog"),
        ({"boot": {"unclaim_button": 0}}, "boot/unclaim"),
        ({"sensors": {"bme280": [{}]}}, "sensors/bme280"),
        ({"sensors": {"dht22": [{}]}}, "sensors/dht22"),
        ({"sensors": {"ds18b20": [{}]}}, "sensors/ds18b20"),
    ):
        more = modules(settings) - least
        assert {f"/lib/firmware/{part}.mpy" for part in parts} <= more
        assert len(more) < 15 and least < modules(settings)


def test_an_update_replaces_the_whole_firmware_before_it_starts(tmp_path):
    """Also the package itself, which is imported with the module that puts the files in place."""
    firmware = tmp_path / "firmware"
    firmware.mkdir()
    (firmware / "__init__.py").write_text("RELEASE = 'old'\n")
    shutil.copy(ROOT / "firmware" / "staged_files.py", firmware)
    update = tmp_path / "update"
    update.mkdir()
    (update / "0").write_text("RELEASE = 'new'\ndef added(): pass\n")
    (update / "1").write_text(
        "import sys\n"
        "from firmware import RELEASE, added\n"
        "def main():\n"
        "    print(RELEASE, USER_MAIN, UPDATED, 'firmware.staged_files' in sys.modules)\n"
    )
    (update / "files").write_text("firmware/__init__.py\nfirmware/boot/__init__.py\n")
    main = tmp_path / "main.py"
    main.write_bytes(MAIN.replace(b"recover()", f"recover({str(tmp_path)!r})".encode()))
    environment = image_environment(MICROPYPATH=str(tmp_path))
    done = subprocess.run([IMAGE, main], env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    expected = "new user_main.py in place: firmware/__init__.py, firmware/boot/__init__.py False"
    assert done.stdout.strip() == expected, done.stderr
