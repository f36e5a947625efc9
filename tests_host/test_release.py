"""tools/release.py, which `make release` runs once the images are built."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import release

ROOT = Path(__file__).resolve().parents[1]

LOG = "# Changes\n\n## {0}\n\n- A change.\n\n## 0.0.1\n\n- An older one.\n"


@pytest.fixture
def build(tmp_path):
    """A build folder with the images of an RP2040 and of an ESP32."""
    for board, names in (("PICO_W", ["firmware.uf2", "firmware.bin"]), ("ESP32", ["firmware.bin", "update.bin"])):
        (tmp_path / board).mkdir()
        for name in [*names, "size.txt"]:
            (tmp_path / board / name).write_text(f"{name} of {board}")
    return tmp_path


def test_a_release_has_images_library_checksums_and_notes(build):
    folder = release.collect(build, ["ESP32", "PICO_W"], ["PICO2_W"], LOG.format(release.version()))
    assert folder == build / "release" / release.version()
    files = ["ESP32.bin", "ESP32-update.bin", "PICO_W.uf2", "XAsyncSockets.py", "XAsyncSockets.pyi"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*files, "SHA256SUMS", "NOTES.md"])
    assert (folder / "ESP32-update.bin").read_text() == "update.bin of ESP32"
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    assert done.stdout == "".join(f"{name}: OK\n" for name in files)
    notes = (folder / "NOTES.md").read_text()
    assert "- A change." in notes and "older" not in notes
    assert "| PICO_W.uf2 | 22 |" in notes and "Not built here: PICO2_W." in notes


def test_files_of_an_earlier_release_are_removed(build):
    folder = release.collect(build, ["ESP32", "PICO_W"], [], LOG.format(release.version()))
    release.collect(build, ["ESP32"], [], LOG.format(release.version()))
    assert not (folder / "PICO_W.uf2").exists()


@pytest.mark.parametrize("log", [LOG.format("9.9.9"), "# Changes\n\n## {0}\n\n## 0.0.1\n\n- An older one.\n"])
def test_a_version_without_changes_is_not_released(build, log):
    with pytest.raises(release.ReleaseError, match="CHANGELOG.md has no section for"):
        release.collect(build, ["ESP32"], [], log.format(release.version()))
    assert not (build / "release").exists()


def test_a_board_without_an_image_is_named(build):
    with pytest.raises(release.ReleaseError, match="make firmware BOARD=PICO_PPP"):
        release.collect(build, ["PICO_PPP"], [], LOG.format(release.version()))


def test_the_present_version_can_be_released():
    done = subprocess.run([sys.executable, "tools/release.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
