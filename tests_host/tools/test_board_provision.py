"""`provision` checks a file as the board does, and writes it in one step with mpremote's own transport."""

import json
import subprocess
import sys

import pytest
from image import PATIENCE_S, ROOT

from tools.flash.config import config as make_config
from tools.flash.ports import BoardProblem

GOOD = json.dumps({"device": {"name": "attic"}, "control": {"token": "a secret of tests"}})
OLD = '{"device": {"name": "old"}}'


@pytest.mark.parametrize("text", ["{}", GOOD])
def test_a_good_file(tool, tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    assert tool("provision", "--check", path).wait() == (0, f"{path}: good\n", "")


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"device": {"name": "attic"},}', "line 1, column"),
        ('{"telemetry": {"interval_s": "fast"}}', "telemetry.interval_s: 'fast' is not a number from 0.1 to 86400"),
        ('{"telemetri": {}}', "telemetri: there is no such key; known here are ap"),
        ('{"control": {"token": "zebra"}}', "control.token: the value is not a secret of 8 to 64 bytes, or empty"),
        ("[]", "configuration: a list is not an object"),
        (b'{"device": {"name": "\xff"}}', "this is not UTF-8 but Latin-1"),
        ('{"x": 1}'.encode("utf-16"), "this is UTF-16; save it as UTF-8"),
        ("{}" + " " * 20000, "20002 bytes: a configuration has at most 16384"),
        ("", "line 1, column 1"),
        ("[" * 9000, "nested too deeply"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tool, tmp_path, text, said):
    path = tmp_path / "config.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, output, errors = tool("provision", "--check", path).wait()
    assert (code, output) == (1, "")
    assert f"{path}: {said}" in errors and errors.count("\n") == 1
    assert "zebra" not in errors


def test_all_faults_are_reported_at_once(tool, tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"telemetri": {}, "boot": {"button": "x"}}')
    _, _, errors = tool("provision", "--check", path).wait()
    assert f"{path}: telemetri: " in errors and f"{path}: boot.button: 'x' is not" in errors


def test_a_byte_order_mark_in_a_file_is_not_a_fault(tool, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert tool("provision", "--check", path).wait()[0] == 0


def test_a_missing_file(tool, tmp_path):
    code, _, errors = tool("provision", "--check", tmp_path / "none.json").wait()
    assert code == 2
    assert "none.json: No such file or directory; docs/configuration.md shows what to write into it" in errors


def test_a_missing_port(tool, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(GOOD)
    code, _, errors = tool("provision", tmp_path / "no-port", path).wait()
    assert code == 3
    assert "There is no port" in errors


def test_a_path_that_is_not_a_port(tool, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(GOOD)
    code, _, errors = tool("provision", path, path).wait()
    assert (code, errors) == (3, f"board: {path} cannot be opened: it is not a serial port.\n")


def test_a_check_needs_no_packages_for_serial_ports(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(GOOD)
    command = [sys.executable, "-S", ROOT / "tools" / "board", "provision"]
    done = subprocess.run([*command, "--check", path], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.stdout, done.stderr) == (f"{path}: good\n", "")
    done = subprocess.run([*command, "auto", path], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("board: this Python lacks the package serial: run make venv, then")


def test_neither_port_nor_check(tool):
    assert tool("provision").wait()[0] == 2


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "new.json"
    path.write_text(GOOD)
    return path


def test_it_is_written_beside_the_old_one_and_renamed_over_it(tool, serial_board, config):
    serial_board.write("config.json", OLD)
    code, output, errors = tool("provision", serial_board.port, config).wait()
    assert (code, errors) == (0, "")
    assert "written and read back" in output
    assert serial_board.files() == {"config.json": GOOD}
    opened = [code for code in serial_board.ran if "'wb'" in code]
    assert opened and all("/config.json.new" in code for code in opened)
    assert serial_board.wait_for_restart(PATIENCE_S)


def test_the_first_file_of_a_board(tool, serial_board, config):
    assert tool("provision", serial_board.port, config).wait()[0] == 0
    assert serial_board.files() == {"config.json": GOOD}


def test_an_identical_file_is_not_written(tool, serial_board, config):
    serial_board.write("config.json", GOOD)
    code, output, _ = tool("provision", serial_board.port, config).wait()
    assert code == 0
    assert "already has this config.json" in output
    assert not [code for code in serial_board.ran if "'wb'" in code]


def test_settings_over_the_serial_port_are_not_on_trial(tool, serial_board, config):
    serial_board.write("trial.json", '{"settings": false}')
    assert tool("provision", serial_board.port, config).wait()[0] == 0
    assert serial_board.files() == {"config.json": GOOD}


@pytest.mark.parametrize("step", ["'wb'", "w(b", "os.rename"])
def test_a_write_that_fails_leaves_the_old_one(tool, serial_board, config, step):
    serial_board.write("config.json", OLD)
    serial_board.fails_at = step
    code, _, errors = tool("provision", serial_board.port, config).wait()
    assert code == 1
    assert errors.startswith("board: ") and errors.count("\n") == 1
    assert serial_board.files()["config.json"] == OLD
    assert serial_board.wait_for_restart(PATIENCE_S)


def test_a_board_that_disappears_meanwhile(tool, serial_board, config):
    serial_board.leaves_at = "os.rename"
    code, _, errors = tool("provision", serial_board.port, config).wait()
    assert code == 1 and errors.count("\n") == 1
    assert f"The board at {serial_board.port} went away" in errors


def test_make_config_writes_settings_and_hides_secrets(serial_board, config):
    said = []
    for path in (None, config, config, None):
        make_config(path, serial_board.port, said.append)
    assert serial_board.wait_for_restart(PATIENCE_S)
    assert said[0] == "All defaults."
    assert "has its new settings" in said[1] and "already has these settings" in said[2]
    shown = json.loads(said[3])
    assert shown["device"]["name"] == "attic" and shown["control"]["token"] == "***"
    assert serial_board.files() == {"config.json": GOOD}


def test_bad_settings_on_a_board_are_reported(serial_board):
    serial_board.write("config.json", '{"telemetry": {"port": 0}}')
    with pytest.raises(BoardProblem, match="/config.json of the board at .*: telemetry.port: 0 is not"):
        make_config(port=serial_board.port)


def test_a_bad_file_does_not_reach_the_board(tool, serial_board, config):
    config.write_text('{"telemetry": {"port": 0}}')
    code, _, errors = tool("provision", serial_board.port, config).wait()
    assert code == 1
    assert "telemetry.port" in errors
    assert not serial_board.ran
