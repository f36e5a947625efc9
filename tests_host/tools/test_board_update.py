"""`update`: files onto the UNIX board, over the network."""

import pytest
from free_ports import free_port
from image import QUIET

TOKEN = QUIET["control"]["token"]


@pytest.fixture
def host(board):
    port = free_port()
    board.configure(control={"port": port, "requests_per_s": 4, "token": TOKEN})
    board.start()
    board.wait_for(r"^control +TCP")
    return f"127.0.0.1:{port}"


def test_files_arrive_and_the_board_starts_with_them(tool, board, host, tmp_path_factory):
    here = tmp_path_factory.mktemp("here")
    (here / "services").mkdir()
    (here / "services" / "mine.py").write_text("print('mine: loaded')\nclass Service:\n    pass\n" + "#" * 20000)
    (here / "empty").write_text("")
    code, _, errors = tool("update", host, here, "notes.txt=" + str(here / "empty"), "--token", TOKEN).wait()
    assert code == 0, errors
    assert "all of them or none" in errors and errors.endswith("updated\n")
    assert "mine: loaded\n" in board.output
    assert (board.folder / "services" / "mine.py").stat().st_size > 20000
    assert (board.folder / "notes.txt").exists() and not (board.folder / "update").exists()


def test_without_the_token_nothing_is_sent(tool, board, host, tmp_path):
    (tmp_path / "x.py").write_text("")
    code, _, errors = tool("update", host, "x.py=" + str(tmp_path / "x.py")).wait()
    assert (code, errors) == (2, "board: this needs the board's token: --token-file or BOARD_TOKEN\n")


def test_an_image_is_for_boards_that_have_room_for_two(tool, host, tmp_path):
    (tmp_path / "update.bin").write_bytes(b"\xe9" + bytes(100))
    code, _, errors = tool("update", host, tmp_path / "update.bin", "--token", TOKEN).wait()
    assert code == 1 and "has one place for its image only, and takes files" in errors
    (tmp_path / "update.bin").write_bytes(b"MZ")
    code, _, errors = tool("update", host, tmp_path / "update.bin", "--token", TOKEN).wait()
    assert code == 2 and "is no image of an ESP32" in errors


def test_where_a_file_belongs_has_to_be_said(tool, host, tmp_path):
    code, _, errors = tool("update", host, tmp_path / "x.py", "--token", TOKEN).wait()
    assert code == 2 and "what is it called on the board?" in errors
    code, _, errors = tool("update", host, "no-such-file.py", "--token", TOKEN).wait()
    assert code == 2 and "no-such-file.py: No such file" in errors
