"""`make check`: the tests that it chooses, and its time limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import check

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests_host"

PROGRAM = """
import time

def test_slow():
    time.sleep(1.5)

def test_fast():
    pass
"""


@pytest.mark.parametrize(
    "path, tests",
    [
        ("lib/XAsyncSockets.py", ["contract", "test_surface.py", "test_reference.py", "test_docs_library.py"]),
        ("firmware/control/session.py", ["firmware"]),
        ("tools/board/watch.py", ["tools"]),
        ("tools/emulator/board.py", ["emulator"]),
        ("tests_host/firmware/test_log.py", ["firmware/test_log.py"]),
        ("tests_host/firmware/image.py", ["firmware"]),
        ("tests_host/harness.py", ["contract"]),
        ("Makefile", ["test_make.py", "test_requirements.py"]),
    ],
)
def test_the_tests_that_belong_to_a_file(path, tests):
    assert check.tests_for(path) == tests


def test_all_named_tests_exist():
    named = {name for _, tests in check.AREAS for name in tests.split()} | set(check.ALWAYS)
    assert [name for name in named if not (TESTS / name).exists()] == []
    assert [area for area, _ in check.AREAS if not (ROOT / area).exists()] == []


def test_every_folder_of_the_repository_has_tests():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is not a clone")
    for path in done.stdout.splitlines():
        assert all((TESTS / name).exists() for name in check.tests_for(path)), path


def test_uncommitted_and_new_files_are_changed_and_else_the_last_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "ROOT", tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@example.com")
    check.git("init", "--quiet")
    for name in ("first", "second"):
        (tmp_path / name).write_text("")
        check.git("add", name)
        check.git("commit", "--quiet", "--message", name)
    assert check.changed() == ("HEAD~1", ["second"])
    (tmp_path / "first").write_text("changed")
    (tmp_path / "new").write_text("")
    assert check.changed() == ("HEAD", ["first", "new"])
    assert check.changed("HEAD~1") == ("HEAD~1", ["first", "second", "new"])
    with pytest.raises(SystemExit, match="make check: .*no-such-commit"):
        check.changed("no-such-commit")


def test_the_fastest_come_first_and_the_rest_is_left_out_when_the_time_is_over(tmp_path):
    (tmp_path / "test_some.py").write_text(PROGRAM)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(seconds):
        command = [sys.executable, "-m", "pytest", "-p", "tools.check", "-v", "--rootdir", tmp_path, tmp_path]
        environment = {**os.environ, "CHECK_SECONDS": str(seconds), "CHECK_FIRST": ""}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).stdout

    assert "2 passed" in run(10)
    again = run(10)
    assert again.index("test_fast PASSED") < again.index("test_slow PASSED")
    in_time = run(0.4)
    assert "test_fast PASSED" in in_time and "test_slow SKIPPED" in in_time
    assert "1 slower tests were left out. make test-host runs all." in in_time
