"""`make release`: collects the built images in build/release/<version>/, with checksums and notes."""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ["firmware.uf2", "firmware.bin", "update.bin"]  # an image and an update of an ESP32 are two files
LIBRARY = ["lib/XAsyncSockets.py", "lib/XAsyncSockets.pyi"]


class ReleaseError(Exception):
    """The release cannot be made; the message says why."""


def version():
    return re.search('^VERSION = "(.*)"$', (ROOT / "firmware/__init__.py").read_text(), re.MULTILINE).group(1)


def changes(number, text):
    """Return the section of a version in the change log."""
    match = re.search(rf"^## {re.escape(number)}\b.*?\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if not match or not match.group(1).strip():
        raise ReleaseError(f"CHANGELOG.md has no section for {number}: write one with this title")
    return match.group(1).strip()


def images(build, board):
    """Return [(file, its name in the release)] for a board."""
    folder = build / board
    found = [name for name in IMAGES if (folder / name).exists()]
    if "firmware.uf2" in found:  # the .uf2 file has the same content
        found.remove("firmware.bin")
    if not found:
        raise ReleaseError(f"{folder} has no image: make firmware BOARD={board}")
    return [(folder / name, name.replace("firmware", board).replace("update", f"{board}-update")) for name in found]


def collect(build, boards, left_out, log):
    """Fill the release's folder, and return it."""
    number = version()
    said = changes(number, log)
    files = [pair for board in boards for pair in images(build, board)]
    files += [(ROOT / name, Path(name).name) for name in LIBRARY]
    folder = build / "release" / number
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sums = {}
    for source, name in files:
        shutil.copy(source, folder / name)
        sums[name] = hashlib.sha256(source.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    sizes = {name: (folder / name).stat().st_size for name in sums}
    (folder / "NOTES.md").write_text(notes(number, said, sizes, left_out), encoding="utf-8")
    return folder


def notes(number, said, sizes, left_out):
    lines = [f"# XAsyncSockets {number}", "", said, "", "## Files", "", "| file | bytes |", "| --- | --- |"]
    lines += [f"| {name} | {size} |" for name, size in sizes.items()]
    if left_out:
        lines += ["", f"Not built here: {', '.join(left_out)}. docs/release.md says what they need."]
    lines += ["", f"Built from {commit()}. `sha256sum -c SHA256SUMS` checks the files."]
    return "\n".join(lines) + "\n"


def commit():
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=, with changes that are not committed", "--abbrev=12"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return "commit " + done.stdout.strip() if done.returncode == 0 else "an unknown commit"


def main():
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("boards", nargs="*")
    parser.add_argument("--left-out", nargs="*", default=[], metavar="BOARD", help="boards that are not built here")
    parser.add_argument("--check", action="store_true", help="only check that CHANGELOG.md has the version")
    options = parser.parse_args()
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        if options.check:
            changes(version(), log)
            return
        folder = collect(ROOT / "build", options.boards, options.left_out, log)
    except ReleaseError as error:
        sys.exit(f"make release: {error}")
    print((folder / "NOTES.md").read_text(encoding="utf-8"))
    print(f"The release is in {folder.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
