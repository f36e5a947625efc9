"""`update` sends files to the UNIX board over the network."""

import base64
import json

import pytest
from free_ports import free_port
from image import QUIET, until

from tools.board import update, verdict
from tools.board.errors import ToolError, Unreachable, UsageError

TOKEN = QUIET["control"]["token"]
SYNTAX_ERROR = "class Service\n"


@pytest.fixture
def host(board):
    port = free_port()
    board.configure(control={"port": port, "requests_per_s": 20, "token": TOKEN}, boot={"steady_s": 2})
    board.start()
    board.wait_for(r"^control +TCP")
    return f"127.0.0.1:{port}"


def test_files_arrive_and_the_board_restarts_with_them(tool, board, host, tmp_path_factory):
    here = tmp_path_factory.mktemp("here")
    (here / "services").mkdir()
    (here / "services" / "mine.py").write_text("print('mine: loaded')\nclass Service:\n    pass\n" + "#" * 20000)
    (here / "empty").write_text("")
    (here / "services" / "__pycache__").mkdir()
    (here / "services" / "__pycache__" / "mine.pyc").write_text("")
    code, _, errors = tool("update", host, here, "notes.txt=" + str(here / "empty"), "--token", TOKEN).wait()
    assert code == 0, errors
    assert "restarts with the new files" in errors
    assert errors.endswith("updated, on the board: empty, services/mine.py, notes.txt\n")
    board.wait_for("^mine: loaded$")
    assert (board.folder / "services" / "mine.py").stat().st_size > 20000
    assert not (board.folder / "services" / "__pycache__").exists()
    assert (board.folder / "notes.txt").exists() and not (board.folder / "update").exists()


@pytest.mark.parametrize(
    "source, said",
    [
        (SYNTAX_ERROR, "boom.py: SyntaxError: invalid syntax"),
        ("import no_such_module\n", "boom.py: ImportError: no module named 'no_such_module'"),
        ("class Other: pass\n", "boom.py defines no class Service"),
        ("class Service:\n def start(self, app): raise OSError('no door')\n", "service boom: start: OSError: no door"),
        ("class Service:\n def __init__(self): 1 / 0\n", "boom: ZeroDivisionError: divide by zero"),
    ],
)
def test_a_file_that_does_not_work_is_reported_by_its_error_and_the_exit_code(tool, host, tmp_path, source, said):
    (tmp_path / "mine.py").write_text(source)
    for _ in range(2 if source is SYNTAX_ERROR else 1):  # the same error is reported again
        code, _, errors = tool("update", host, f"services/boom.py={tmp_path / 'mine.py'}", "--token", TOKEN).wait()
        assert code == 1 and said in errors.splitlines()[-1], errors
        assert "updated" not in errors


NO_ROOM_AT_FIRST = """
class Service:
    def start(self, app):
        self.get, self.asked = app.config.get, 0
        app.config.get = self.get_later
    def get_later(self, key):
        self.asked += 1
        if self.asked < 3:
            raise MemoryError("memory allocation failed")
        print("mine: asked", self.asked)
        return self.get(key)
"""


def test_a_board_without_memory_just_after_its_start_is_asked_again(tool, board, host, tmp_path):
    (tmp_path / "mine.py").write_text(NO_ROOM_AT_FIRST)
    code, _, errors = tool("update", host, f"services/mine.py={tmp_path / 'mine.py'}", "--token", TOKEN).wait()
    assert code == 0, errors
    board.wait_for("^mine: asked 3$")


def test_a_board_that_ends_in_safe_mode_is_reported(tool, host, tmp_path):
    (tmp_path / "boom.py").write_text("import sys\nclass Service:\n def tick(self): sys.exit()\n")
    code, _, errors = tool("update", host, f"services/boom.py={tmp_path / 'boom.py'}", "--token", TOKEN).wait()
    assert code == 1 and "is in safe mode, without your files: " in errors.splitlines()[-1], errors


def test_settings_are_confirmed_by_a_login_with_their_own_token(tool, board, host, tmp_path):
    settings = json.loads((board.folder / "config.json").read_text())
    settings["control"]["token"] = "another token of tests"
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8-sig")
    code, _, errors = tool("update", host, f"config.json={tmp_path / 'config.json'}", "--token", TOKEN).wait()
    assert code == 0 and errors.endswith("updated, on the board: config.json\n"), errors
    board.wait_for("the new settings stay")
    until(lambda: not (board.folder / "trial.json").exists())


def test_settings_that_make_a_board_unreachable_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(update, "RESTART_S", 0.1)
    monkeypatch.setattr(update, "POLL_S", 0.01)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Unreachable, match="its old settings come back after 10 minutes"):
        update.update(Esp32("kept", *[None] * 1000), [f"config.json={tmp_path / 'config.json'}"], say=print)


def test_settings_that_a_board_refuses_are_reported(tool, board, host, tmp_path):
    settings = (board.folder / "config.json").read_text()
    (tmp_path / "config.json").write_text(settings.replace('"steady_s": 2', '"steady_s": "two"'))
    code, _, errors = tool("update", host, f"config.json={tmp_path / 'config.json'}", "--token", TOKEN).wait()
    assert code == 1 and "boot.steady_s: 'two' is not" in errors.splitlines()[-1], errors


def test_files_are_deleted(tool, board, host, tmp_path):
    board.write("services/boom.py", "class Service: pass\n")
    (tmp_path / "notes.py").write_bytes(b"\xef\xbb\xbfprint('here')\n")
    delete = ("update", host, "--delete", "services/boom.py", "--token", TOKEN)
    code, _, errors = tool(*delete, f"notes.py={tmp_path / 'notes.py'}").wait()
    assert code == 0 and errors.endswith("updated, on the board: notes.py, deleted: services/boom.py\n"), errors
    assert not (board.folder / "services" / "boom.py").exists()
    assert (board.folder / "notes.py").read_text() == "print('here')\n"
    code, _, errors = tool(*delete).wait()
    assert code == 1 and "services/boom.py: there is no such file on the board" in errors, errors


def test_a_place_that_is_taken_is_reported_before_anything_changes(tool, board, host, tmp_path):
    """Such an update once made every boot fail."""
    board.write("services/old.py", "class Service: pass\n")
    (tmp_path / "door.py").write_text("")
    words = [f"{name}={tmp_path / 'door.py'}" for name in ("first.py", "services")]
    code, _, errors = tool("update", host, *words, "--token", TOKEN).wait()
    assert code == 1 and "services is a folder on the board" in errors.splitlines()[-1], errors
    assert not (board.folder / "first.py").exists() and not (board.folder / "update").exists()


def test_a_path_that_the_firmware_does_not_read_gets_a_warning():
    names = ["build/disk/sensors/soil.py", "services/door.py", "main.py", "lib/a/b.py", "www/a.html", "x/y.py"]
    assert verdict.never_loaded(names) == [("build/disk/sensors/soil.py", "sensors/soil.py"), ("x/y.py", None)]


@pytest.mark.parametrize("name", ["random.py", "lib/json.mpy", "socket.py"])
def test_a_name_of_micropythons_own_modules_is_refused(tmp_path, name):
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match=f"{name}: the firmware would load this as"):
        update.update(None, [f"{name}={tmp_path / 'x'}"])


class Esp32:
    """A client of a board with room for two images. `then` has its status at each request, or None."""

    def __init__(self, *then):
        self.then = [{"kinds": ["image", "files"], "last": last, "running": "ota_1"} if last else None for last in then]
        self.sent = b""

    def __str__(self):
        return "the board"

    def prove(self, purpose, asked):
        return asked

    def hang_up(self):
        pass

    def call(self, method, params=None, shape=object):
        if method == "info":
            return {"uptime": 99, "safe_mode": None, "services": {}, "config": {"faults": []}}
        if method == "log.tail":
            return []
        if method == "config.get":
            return 30
        if method == "update.end":
            return "starts again"
        if method == "update.begin":
            return {"chunk": 100, "into": "ota_1"}
        if method == "update.write":
            self.sent += base64.b64decode(params["data"])
        if method == "uptime" and not self.then[0]:
            self.then.pop(0)
            raise Unreachable("it starts")
        if method == "update.status":
            return self.then.pop(0) if len(self.then) > 1 else self.then[0]
        return 0


@pytest.fixture
def image(tmp_path, monkeypatch):
    monkeypatch.setattr(update, "POLL_S", 0.01)
    path = tmp_path / "update.bin"
    path.write_bytes(b"\xe9" + bytes(range(250)) * 4)
    return path


def test_an_image_is_sent_and_its_first_boot_watched(image):
    board, said = Esp32("kept", None, None, "on trial", "on trial", "kept"), []
    update.update(board, [str(image)], say=said.append)
    assert board.sent == image.read_bytes() and len(board.then) == 1
    assert " 50 %" in said and "100 %" not in said
    assert said[-3::2] == ["the new image runs on trial in ota_1", "the board: updated"]


def test_an_image_that_does_not_last_is_reported(image):
    with pytest.raises(ToolError, match="did not last: the board is back in ota_1"):
        update.update(Esp32("kept", None, "on trial", "went back"), [str(image)], say=print)


def test_a_board_that_does_not_come_back(image, monkeypatch):
    monkeypatch.setattr(update, "RESTART_S", 0.1)
    with pytest.raises(Unreachable, match="the board did not come back within 0.1 s"):
        update.update(Esp32("kept", *[None] * 1000), [str(image)], say=print)


def test_without_the_token_nothing_is_sent(tool, board, host, tmp_path):
    (tmp_path / "x.py").write_text("")
    code, _, errors = tool("update", host, "x.py=" + str(tmp_path / "x.py")).wait()
    assert (code, errors) == (2, "board: this needs the board's token: give it with --token-file or BOARD_TOKEN\n")


def test_an_image_is_for_boards_that_have_room_for_two(tool, host, tmp_path):
    (tmp_path / "update.bin").write_bytes(b"\xe9" + bytes(100))
    code, _, errors = tool("update", host, tmp_path / "update.bin", "--token", TOKEN).wait()
    assert code == 1 and "cannot update its image over the network; send files instead" in errors
    (tmp_path / "update.bin").write_bytes(b"MZ")
    code, _, errors = tool("update", host, tmp_path / "update.bin", "--token", TOKEN).wait()
    assert code == 2 and "is not an image for an ESP32" in errors


def test_the_path_on_the_board_has_to_be_given(tool, host, tmp_path):
    code, _, errors = tool("update", host, tmp_path / "x.py", "--token", TOKEN).wait()
    assert code == 2 and "give its name on the board as well" in errors
    code, _, errors = tool("update", host, "no-such-file.py", "--token", TOKEN).wait()
    assert code == 2 and "no-such-file.py: No such file" in errors
