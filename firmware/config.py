"""The configuration: config.json on the board's filesystem over the frozen defaults.

Only what differs from the defaults is in the file. A file that is bad in any way is not used: the last good copy
is, then the defaults, and `faults` tells what was wrong. Files are replaced whole: a new one is written beside
the old one and renamed over it.
"""

import json
import os

from firmware import borrow
from firmware.log import describe

FILE = "config.json"
LAST_GOOD_FILE = "config.last.json"
LONGEST_FILE = 16384  # bytes; more than this is no configuration, and might not fit into the heap


def _read(path):
    """The text of a file; None where there is none."""
    try:
        size = os.stat(path)[6]
    except OSError:
        return None
    if size > LONGEST_FILE:
        raise ValueError(f"{size} bytes are more than the {LONGEST_FILE} of a configuration")
    with open(path) as file:
        return file.read()


def _is_whole(text):
    """False for JSON that breaks off: MicroPython's parser takes what there is of it (extmod/modjson.c)."""
    pieces = text.replace("\\\\", "").replace('\\"', "").split('"')
    outside = "".join(pieces[index] for index in range(0, len(pieces), 2))
    return outside.count("{") == outside.count("}") and outside.count("[") == outside.count("]")


def write_whole(path, text):
    """Replace a file so that after a power failure there is the old one or the new one, never half of one."""
    new_path = path + ".new"
    with open(new_path, "w") as file:
        file.write(text)
    if hasattr(os, "sync"):
        os.sync()
    # FAT removes the old one first (extmod/vfs_fat.c). Should the power fail there, the last good copy holds.
    os.rename(new_path, path)


class ConfigError(ValueError):
    """A value that a configuration cannot have."""

    def __init__(self, path, value, expected):
        text = repr(value)
        text = text if len(text) <= 40 else text[:37] + "..."
        super().__init__(f"{path or 'configuration'}: {text} is not {expected}")


def _schema():
    """The description of every key: for what is stored or shown, and gone again afterwards."""
    return borrow("firmware.defaults", "firmware.schema").SCHEMA


class Config:
    """What is configured: `config["telemetry"]["port"]`."""

    def __init__(self, board, log):
        self._board = board
        self._log = log
        self._given = {}  # what differs from the defaults
        self._values = None  # filled when first needed
        self.source = "defaults"
        self.faults = []
        self.unsaved = False

    def __getitem__(self, section):
        return self._values_now()[section]

    def _use(self, given, source):
        self._values = _schema().fill(given)
        self._given = given
        self.source = source

    def load(self):
        """Take the file, or if it is bad the last good copy; never raises."""
        self.faults = []
        for name in (FILE, LAST_GOOD_FILE):
            text = self._load_file(name)
            if text is not None:
                if name == FILE:
                    self._keep_good_copy(text)
                break
        for fault in self.faults:
            self._log.error("config", f"{fault}; using {self.source}")

    def _load_file(self, name):
        """The text of the file if it is now in use, else None."""
        try:
            text = _read(self._board.path(name))
            if text is None:
                return None
            try:
                given = json.loads(text)
                if not _is_whole(text):
                    raise ValueError
            except ValueError:
                raise ValueError("not JSON: half written, or a comma or quote is wrong") from None
            self._use(given, name)
            return text
        except Exception as error:
            says_enough = isinstance(error, ValueError)
            self.faults.append(f"{name}: {error if says_enough else describe(error)}")
            return None

    def _keep_good_copy(self, text):
        copy = self._board.path(LAST_GOOD_FILE)
        try:
            if _read(copy) != text:
                write_whole(copy, text)
        except (OSError, ValueError) as error:
            self._log.warning("config", f"no copy kept: {describe(error)}")

    def _values_now(self):
        if self._values is None:
            self._use({}, "defaults")
        return self._values

    def get(self, key=""):
        """The value of "section.key" (all of them for ""), its secrets hidden. Raises ConfigError."""
        return self._find(_schema().show(self._values_now()), key)

    def _find(self, value, key):
        for part in key.split(".") if key else ():
            try:
                value = value[int(part) if isinstance(value, list) else part]
            except (KeyError, ValueError, IndexError, TypeError):
                raise ConfigError(key, "this key", "a key of the configuration") from None
        return value

    def set(self, key, value):
        """Change "section.key" in memory. Raises ConfigError and changes nothing if it cannot be so."""
        self._change(borrow("firmware.edit").changed(self._given, key, value))

    def reset(self, key=""):
        """Back to the default of "section" or "section.key", or of all, in memory. Raises ConfigError."""
        if key:
            self._find(self._values_now(), key)
        self._change(borrow("firmware.edit").without(self._given, key) if key else {})

    def _change(self, given):
        self._use(given, self.source)
        self.unsaved = True

    def save(self):
        """Write what is configured to the board's filesystem. Raises OSError."""
        text = json.dumps(self._given)
        write_whole(self._board.path(FILE), text)
        self._keep_good_copy(text)
        self.source = FILE
        self.faults = []
        self.unsaved = False
