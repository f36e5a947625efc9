#!/usr/bin/env python3
"""Provides the third-party sources that images are built from, and the database that a test talks to.

    sources.py NAME...           fetch missing sources to build/src/<name>-<version>/
    sources.py --mpy-dir DIR     check a MicroPython checkout that is used instead

The sources are Debian's. apt downloads them from the computer's configured mirror, in a private root under
build/apt. This needs no root rights, does not touch the system's apt, and verifies every file with Debian's
keyring. The symbolic link build/src/<name> leads to the version in use; it is made last, so
that a name is either complete or absent after an interruption.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

# Can be fetched: the upstream tarball of a source package, or one folder of a binary package.
PACKAGES = {
    "micropython": {"source": "micropython"},
    "mbedtls": {"source": "mbedtls"},
    "lwip": {"source": "lwip"},
    "pico-sdk": {"binary": "pico-sdk-source", "folder": "usr/src/pico-sdk"},
    "tinyusb": {"binary": "tinyusb-source", "folder": "usr/src/tinyusb"},
    "influxdb": {"binary": "influxdb", "folder": "usr"},
}

# These are not submodules of MicroPython's repository.
APART = ("micropython", "influxdb")

# Debian's stable release, whatever the computer runs: its versions do not change.
SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

OLDEST_MICROPYTHON = (1, 25)

BUILD = Path(__file__).resolve().parents[2] / "build"
APT = BUILD / "apt"
SRC = BUILD / "src"

WAY_OUT = """\
MPY_DIR=/path/to/checkout builds from a MicroPython checkout (with its submodules);
MICROPYTHON=/path/to/micropython takes an interpreter that is already built."""


class SetupError(Exception):
    """An error, with a message for the user."""


# --- the private apt root


def apt_get(*arguments, cwd=None):
    """Run apt-get in the private root, show its progress, and return its output."""
    options = {
        "Dir::Etc::SourceList": APT / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": APT / "state",
        "Dir::State::status": APT / "state/status",
        "Dir::Cache": APT / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        # As root, apt would download as the user _apt, which may have no access to this folder.
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items()), *arguments]
    output = []
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout:
            output.append(line)
            if line.startswith(("Get:", "Fetched ")):
                print("  " + line, end="", flush=True)
    if process.returncode != 0:
        errors = [line for line in output if line.startswith(("E:", "Err:"))]
        raise SetupError("".join(errors or output).rstrip())
    return "".join(output)


def configured_mirrors():
    """Return the archives in the configuration of the computer's apt."""
    try:
        command = ["apt-get", "update", "--print-uris"]
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    archives = re.findall(r"^'(\S+)/dists/([^/\s]+)/InRelease'", listing, re.MULTILINE)
    partial = re.compile(r"-(security|updates|backports)$")
    return list(dict.fromkeys(mirror for mirror, suite in archives if not partial.search(suite)))


def open_archive():
    """Configure the private root with the first mirror that has SUITE, signed by Debian."""
    mirrors = configured_mirrors()
    if not mirrors or not os.path.exists(KEYRING):
        raise SetupError(f"The sources come from Debian, and this is not a Debian system.\n{WAY_OUT}")
    (APT / "state").mkdir(parents=True, exist_ok=True)
    (APT / "state/status").touch()
    kinds = {"source": "deb-src", "binary": "deb"}
    needed = sorted({kinds[kind] for package in PACKAGES.values() for kind in kinds if kind in package})
    errors = []
    for mirror in mirrors:
        print(f"Reading the package lists of Debian {SUITE} from {mirror}", flush=True)
        lines = (f"{kind} [signed-by={KEYRING}] {mirror} {SUITE} main\n" for kind in needed)
        (APT / "sources.list").write_text("".join(lines))
        try:
            apt_get("update", "--error-on=any")
            return
        except SetupError as error:
            errors.append(str(error))
    unreachable = "The sources to build from cannot be fetched from Debian's archive."
    raise SetupError("\n".join([*errors, unreachable, WAY_OUT]))


def download(name):
    """Download the package's file, or the rest of it; return its path and the upstream version."""
    package = PACKAGES[name]
    folder = APT / "download"
    folder.mkdir(parents=True, exist_ok=True)
    if "source" in package:
        request = ["source", "--download-only", "--tar-only", package["source"]]
    else:
        request = ["download", package["binary"]]
    listing = apt_get(*request, "--print-uris")
    file, size = re.search(r"^'\S+' (\S+) (\d+)", listing, re.MULTILINE).groups()
    version = re.search(r"_([^_]+?)(?:\.orig\.tar\.\w+|(?:-[^-_]+)?_\w+\.deb)$", file).group(1)
    print(f"Downloading {name} {version} ({int(size) / 1e6:.1f} MB)", flush=True)
    apt_get(*request, cwd=folder)
    return folder / file, version


def unpack(name, archive, folder):
    """Unpack the wanted part of the archive into the folder; return the top of the tree."""
    if "source" in PACKAGES[name]:
        with tarfile.open(archive) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # missing in early releases of 3.9 to 3.11
            tar.extractall(folder)
        (tree,) = folder.iterdir()
    else:
        subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)
        tree = folder / PACKAGES[name]["folder"]
    return tree


def fetch(name):
    archive, version = download(name)
    partial = SRC / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    print(f"Unpacking {name}", flush=True)
    tree = unpack(name, archive, partial)
    target = SRC / f"{name}-{version}"
    shutil.rmtree(target, ignore_errors=True)
    tree.rename(target)
    (partial / "link").symlink_to(target.name)
    (partial / "link").rename(SRC / name)
    shutil.rmtree(partial)
    archive.unlink()


def link_submodules():
    """Put the other packages into lib/, where MicroPython's repository has them as submodules."""
    lib = SRC / "micropython/lib"
    for name in PACKAGES:
        if name not in APART and not (lib / name).is_symlink():
            if (lib / name).exists():
                (lib / name).rmdir()
            (lib / name).symlink_to(f"../../{name}")
    # The build requires micropython-lib, which Debian does not have and our images do not need.
    (lib / "micropython-lib").mkdir(exist_ok=True)
    (lib / "micropython-lib/README.md").touch()


def provide(names):
    missing = [name for name in names if not (SRC / name).exists()]
    if missing:
        open_archive()
        for name in missing:
            fetch(name)
    if (SRC / "micropython").exists():
        link_submodules()


# --- a checkout


def micropython_version(tree):
    header = (tree / "py/mpconfig.h").read_text()
    return tuple(
        int(re.search(rf"#define MICROPY_VERSION_{part} \(?(\d+)", header).group(1))
        for part in ("MAJOR", "MINOR", "MICRO")
    )


def check_checkout(tree):
    if not (tree / "py/mpconfig.h").exists():
        raise SetupError(f"MPY_DIR={tree} is not a MicroPython checkout: it has no py/mpconfig.h.")
    version = micropython_version(tree)
    if version < OLDEST_MICROPYTHON:
        needed, found = (".".join(map(str, v)) for v in (OLDEST_MICROPYTHON, version))
        raise SetupError(f"MPY_DIR={tree} is MicroPython {found}: {needed} or later is needed.")
    for submodule, file in (("mbedtls", "library/ssl_tls.c"), ("micropython-lib", "README.md")):
        if not (tree / "lib" / submodule / file).exists():
            update = f"git -C {tree} submodule update --init lib/mbedtls lib/micropython-lib"
            raise SetupError(f"MPY_DIR={tree} lacks the submodule lib/{submodule}; this fetches it: {update}")


# --- command line


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PACKAGES))
    parser.add_argument("--mpy-dir", type=Path, help="a MicroPython checkout to use instead")
    parser.add_argument("--stamp", type=Path, help="a file to rewrite when another MicroPython is used")
    arguments = parser.parse_args()
    if arguments.mpy_dir:
        check_checkout(arguments.mpy_dir)
    else:
        provide(arguments.names)
    if arguments.stamp:
        tree = (arguments.mpy_dir or SRC / "micropython").resolve()
        text = "{} {}.{}.{}\n".format(tree, *micropython_version(tree))
        if not arguments.stamp.exists() or arguments.stamp.read_text() != text:
            arguments.stamp.parent.mkdir(parents=True, exist_ok=True)
            arguments.stamp.write_text(text)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"\n{error}\n")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: make continues here the next time")
