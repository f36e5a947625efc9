"""`make check`: runs the tests that belong to the changed files, the fastest first, until the time is over.

    python -m tools.check [--since COMMIT] [--seconds 40] [--list]

A file is changed if it differs from COMMIT. By default these are the files that are not committed, or else those of the
last commit. AREAS says which tests belong to a file. The second half of this module is a pytest plugin: it orders the
tests by their last times, and skips those that cannot start in time.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 40
MARGIN_S = 1.0  # A test that takes longer does not start in the last seconds.
NO_TIME = "no time left for it"

# The tests in tests_host/ that belong to a folder. The first line that fits counts. If tests_host/ has a folder with
# the name of the part, such as tests_host/emulator for tools/emulator, it is added.
AREAS = [
    ("lib/", "contract test_surface.py test_reference.py test_docs_library.py"),
    ("firmware/", "firmware"),
    ("boards/", "boards test_esp32_image.py"),
    ("examples/", "examples"),
    ("tools/board/", "tools"),
    ("tools/flash/", "image tools/test_flash_parts.py tools/test_deploy.py"),
    ("tools/weigh/", "image"),
    ("tools/setup/", "test_requirements.py"),
    ("tools/bench/", "test_cost.py test_performance.py"),
    ("tools/emulator/", ""),
    ("tools/image/", ""),
    ("tools/", "test_release.py test_reference.py test_make.py"),
    ("docs/", "firmware/test_documentation.py test_docs_library.py test_reference.py"),
    ("tests_device/", "boards/test_device_suite.py"),
    ("", "test_make.py test_requirements.py"),
]

# Always run: one file of each kind. They take a few seconds.
ALWAYS = ["contract/test_pool.py", "firmware/test_end_to_end.py", "tools/test_board_call.py", "test_surface.py"]


def git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make check: {done.stderr.strip()}")
    return done.stdout.splitlines()


def changed(since=None):
    """Return (the commit that is compared with, the paths of changed and new files)."""
    new = git("ls-files", "--others", "--exclude-standard")
    for commit in [since] if since else ["HEAD", "HEAD~1"]:
        paths = git("diff", "--name-only", commit) + new
        if paths:
            break
    return commit, paths


def tests_for(path):
    """Return the test files and folders in tests_host/ that belong to a changed file."""
    folder, *rest = path.split("/")
    if folder == "tests_host":
        is_test = rest[-1].startswith("test_") and path.endswith(".py")
        return ["/".join(rest)] if is_test else [rest[0] if len(rest) > 1 else "contract"]
    own = [rest[0]] if len(rest) > 1 and (ROOT / "tests_host" / rest[0]).is_dir() else []
    return own + next(tests for area, tests in AREAS if path.startswith(area)).split()


def chosen(paths):
    """Return the arguments for pytest: the tests of the changed files, then one file of each kind."""
    names = [name for path in paths for name in tests_for(path)] + ALWAYS
    return [f"tests_host/{name}" for name in dict.fromkeys(names) if (ROOT / "tests_host" / name).exists()]


def main(words):
    parser = argparse.ArgumentParser(prog="check", description=__doc__.splitlines()[0])
    parser.add_argument("--since", help="the commit to compare with")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long tests may start")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--list", action="store_true", help="show the tests and do not run them")
    options = parser.parse_args(words)
    commit, paths = changed(options.since)
    tests = chosen(paths)
    print(f"{len(paths)} files differ from {commit}. Their tests: {' '.join(tests)}", flush=True)
    if options.list:
        return 0
    os.environ["CHECK_SECONDS"] = str(options.seconds)
    os.environ["CHECK_FIRST"] = " ".join(path for path in paths if path.startswith("tests_host/"))
    return pytest.main(["-q", "-n", options.jobs, "--dist", "loadgroup", "-p", "tools.check", *tests])


# --- the plugin, which runs in the processes that pytest starts

_end = None


def pytest_collection_modifyitems(config, items):
    """Sort the tests: changed test files first, then the fastest tests. A new test counts as fast."""
    global _end
    _end = time.monotonic() + float(os.environ["CHECK_SECONDS"])
    config.check_times = config.cache.get("check/times", {})
    first = os.environ["CHECK_FIRST"].split()
    items.sort(key=lambda item: (item.nodeid.split("::")[0] not in first, config.check_times.get(item.nodeid, 0)))


def pytest_runtest_setup(item):
    left = _end - time.monotonic()
    if left <= 0 or item.config.check_times.get(item.nodeid, 0) > left + MARGIN_S:
        pytest.skip(NO_TIME)


def pytest_terminal_summary(terminalreporter, config):
    """Remember the times, and report what was left out. Only the first process calls this."""
    times = config.cache.get("check/times", {})
    for report in terminalreporter.stats.get("passed", []):
        if report.when == "call":
            times[re.sub(r"@[\w ]+$", "", report.nodeid)] = round(report.duration, 3)  # without the name of its group
    config.cache.set("check/times", times)
    skipped = terminalreporter.stats.get("skipped", [])
    late = sum(NO_TIME in str(report.longrepr) for report in skipped)
    if late:
        terminalreporter.write_line(f"{late} slower tests were left out. make test-host runs all.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
