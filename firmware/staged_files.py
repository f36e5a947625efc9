"""Files that replace others all together: staged in a folder, valid by one rename, put in place by the next boot.

    update/0, 1, ...     the contents of the new files
    update/files         their names, a line each. That it is there is the decision: it gets this name by a rename.

Whatever is cut off by a loss of power, the next boot finds the old files, or finishes what was decided. This module
imports nothing of the firmware's: it replaces the firmware's own files before one of them is imported. A later release
has to understand the record of an earlier one.
"""

import os

FOLDER = "update"
RECORD = "files"


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _make_folders(path):
    """The folders that the file `path` lies in."""
    end = path.find("/", 1)
    while end > 0:
        try:
            os.mkdir(path[:end])
        except OSError:
            pass  # it is there; if it cannot be, the rename says so
        end = path.find("/", end + 1)


def _move(old, new):
    _make_folders(new)
    try:
        os.rename(old, new)
    except OSError:
        # FAT does not rename over a file. A cut between these two lines is mended by the next boot.
        os.remove(new)
        os.rename(old, new)


class Staging:
    """The files of one update, below the folder `root`. Whatever an earlier one has left is removed."""

    def __init__(self, root):
        self._root = root.rstrip("/") + "/"
        self.names = []
        self.clear()

    def _path(self, name):
        return f"{self._root}{FOLDER}/{name}"

    def clear(self):
        """Forget everything; first the decision, if there was one."""
        self.names = []
        _remove(self._path(RECORD))
        try:
            for name in os.listdir(self._root + FOLDER):
                os.remove(self._path(name))
            os.rmdir(self._root + FOLDER)
        except OSError:
            pass  # there is none

    def create(self, name):
        """A binary file for the new content of `name`; close it. Raises ValueError for a name that cannot be."""
        parts = name.split("/")
        if "" in parts or "." in parts or ".." in parts or parts[0] == FOLDER or "\n" in name:
            raise ValueError(f"{name!r} is no name of a file on the board")
        if name in self.names:
            raise ValueError(f"{name} comes twice")
        if not self.names:
            _make_folders(self._path("0"))
        self.names.append(name)
        return open(self._path(str(len(self.names) - 1)), "wb")

    def commit(self):
        """From here on the next boot puts the files in place. Raises OSError."""
        with open(self._path("new"), "w") as file:
            file.write("\n".join(self.names) + "\n")
        if hasattr(os, "sync"):
            os.sync()
        os.rename(self._path("new"), self._path(RECORD))
        if hasattr(os, "sync"):
            os.sync()


def recover(root="/"):
    """Put in place what was decided; called by every boot. Returns the names. Raises OSError, to be tried again."""
    root = root.rstrip("/") + "/"
    folder = root + FOLDER + "/"
    if not _exists(root + FOLDER):
        return []
    try:
        # After a rename that was cut off, littlefs 2.11 does not show the file beside it. Any write mends that.
        open(folder + "new", "w").close()
    except OSError:
        pass  # it is full; what had to be mended is
    try:
        with open(folder + RECORD) as file:
            names = file.read().split("\n")[:-1]
    except OSError:
        names = []
    for number, name in enumerate(names):
        staged = folder + str(number)
        if _exists(staged):
            _move(staged, root + name)
    if hasattr(os, "sync"):
        os.sync()
    Staging(root)
    return names
