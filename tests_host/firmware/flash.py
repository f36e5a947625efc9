"""A board's flash: littlefs as in MicroPython, with a power switch and a fixed size.

The firmware's own modules run on it in this process: it replaces their `os` and `open`.
"""

import errno

import littlefs
import pytest

from firmware import board, hardware, staged_files
from firmware.boot import failed_boots, start, unclaim
from firmware.config import file
from firmware.control import tls
from firmware.update import trial

IO_ERROR = -5
MODULES = (board, file, failed_boots, hardware, staged_files, start, tls, trial, unclaim)


class PowerCut(BaseException):
    """A power failure. It is not an error that a program could handle."""


class Flash(littlefs.UserContext):
    """A littlefs like MicroPython's. It replaces `os` and `open`. Its power can fail in the middle of an operation."""

    BLOCKS = 32

    def __init__(self, content=None, **fault):
        super().__init__(self.BLOCKS * 4096)
        if content:
            self.buffer[:] = content
        self.arm(**fault)
        self.struck = False  # whether the fault has happened
        self._is_off = False
        self._opened = []
        shape = {"block_size": 4096, "block_count": self.BLOCKS, "read_size": 32, "prog_size": 32, "cache_size": 128}
        self._fs = littlefs.LittleFS(self, mount=False, lookahead_size=32, **shape)
        if not content:
            self._fs.format()
        self._fs.mount()

    def copy(self, **fault):
        """Return a board with this content, switched on again."""
        return Flash(self.buffer, **fault)

    def arm(self, cut_at=None, fail_at=None, raises=None):
        """From now on the power fails in the middle of the flash operation with the number `cut_at`, or the function
        with the number `fail_at` of those that change something raises `raises` instead of what it should do.
        """
        self.operations = 0
        self.calls = 0
        self._cut_at = cut_at
        self._fail_at = fail_at
        self._raises = raises or OSError(errno.ENOSPC)

    def fill(self, free):
        """Fill the flash up to so many free blocks."""
        size = (self.BLOCKS - self._fs.used_block_count - free) * 4096
        while size > 0:
            try:
                with self._fs.open("filler", "wb", buffering=0) as file:
                    file.write(bytes(size))
                return
            except littlefs.LittleFSError:
                size -= 1024

    def run(self, function):
        """Run `function` on the board. Return False if the power failed."""
        with pytest.MonkeyPatch.context() as patch:
            for module in MODULES:
                patch.setattr(module, "os", self, raising=False)
                patch.setattr(module, "open", self.open, raising=False)
            try:
                function()
                return True
            except PowerCut:
                for file in self._opened:
                    file.close = lambda: None  # otherwise it would be closed later, on a dead filesystem
                return False

    def files(self):
        """Return {name: text}."""
        found = {}
        for folder, _, names in self._fs.walk("/"):
            for name in names:
                path = f"{folder}/{name}".lstrip("/")
                with self._fs.open(path) as file:
                    found[path] = file.read()
        return found

    # --- the functions of the flash that littlefs calls

    def _operate(self, whole, half):
        if self._is_off:
            return IO_ERROR
        if self.operations == self._cut_at:
            self._is_off = self.struck = True
            half()
            return IO_ERROR
        self.operations += 1
        return whole()

    def prog(self, cfg, block, off, data):
        prog = super().prog
        half = data[: len(data) // 2]
        return self._operate(lambda: prog(cfg, block, off, data), lambda: prog(cfg, block, off, half))

    def erase(self, cfg, block):
        erase = super().erase
        start = block * 4096
        half = slice(start, start + 2048)
        return self._operate(lambda: erase(cfg, block), lambda: self.buffer.__setitem__(half, b"\xff" * 2048))

    def sync(self, cfg=None):
        """Do nothing, because everything is already written. This also replaces the firmware's `os.sync`."""
        return 0

    # --- the functions of the filesystem that the firmware calls

    def _call(self, function, *args, **options):
        try:
            return function(*args, **options)
        except littlefs.LittleFSError as error:
            raise OSError(-error.code) from error
        finally:
            if self._is_off:
                raise PowerCut

    def _change(self, function, *args, **options):
        self.calls += 1
        if self.calls - 1 == self._fail_at:
            self.struck = True
            raise self._raises
        return self._call(function, *args, **options)

    def open(self, path, mode="r"):
        call = self._call if "r" in mode else self._change
        self._opened.append(call(self._fs.open, path, mode[0] + "b", buffering=0))
        return File(self, self._opened[-1], mode)

    def stat(self, path):
        found = self._call(self._fs.stat, path)
        return (0x4000 if found.type == 2 else 0x8000, 0, 0, 0, 0, 0, found.size)

    def listdir(self, path):
        return self._call(self._fs.listdir, path)

    def rename(self, old, new):
        self._change(self._fs.rename, old, new)

    def remove(self, path):
        self._change(self._fs.remove, path)

    def mkdir(self, path):
        self._change(self._fs.mkdir, path)

    def rmdir(self, path):
        self._change(self._fs.rmdir, path)


class File:
    """A file on a Flash."""

    def __init__(self, flash, file, mode):
        self._flash = flash
        self._file = file
        self._is_text = "b" not in mode
        self._writes = "r" not in mode

    def write(self, data):
        return self._flash._change(self._file.write, data.encode() if self._is_text else bytes(data))

    def read(self, size=-1):
        data = self._flash._call(self._file.read, size)
        return data.decode() if self._is_text else data

    def close(self):
        call = self._flash._change if self._writes else self._flash._call
        try:
            call(self._file.close)
        finally:
            self._file.close = lambda: None  # a file that cannot be closed must not be written later

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not PowerCut:
            self.close()
