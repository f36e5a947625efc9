"""An update of several files, which are staged in a folder until the next boot moves all of them into place.

    update/0, 1, ...     the contents of the new files
    update/files         their names, a line each; "/" before a name means that the file is to be deleted

A rename creates `update/files`, and from then on the update is valid. After a power failure, the next boot finds the
old files, or completes the update. This module imports nothing from the firmware, because it replaces the firmware's
files before they are imported. A later release has to understand the record of an earlier one.
"""

import os

FOLDER = "update"
RECORD = "files"
REPL_FILE = "repl"  # with this file the firmware does not start (start.py), so it cannot be removed remotely
_FOLDER_BIT = 0x4000

_sync = getattr(os, "sync", int)  # int() does nothing


def _mode(path):
    """Return the mode from os.stat(); 0 if there is nothing."""
    try:
        return os.stat(path)[0]
    except OSError:
        return 0


def _obstacle(root, name):
    """Return a text that says what prevents a file `name` on the board, or None."""
    if _mode(root + name) & _FOLDER_BIT:
        return f"{name} is a folder on the board"
    while "/" in name:
        name = name.rpartition("/")[0]
        if _mode(root + name) & _FOLDER_BIT:
            break
        if _mode(root + name):
            return f"{name} is a file on the board"
    return None


def _make_folders(path):
    """Make the folders of the file `path`."""
    end = path.find("/", 1)
    while end > 0:
        if not _mode(path[:end]):
            os.mkdir(path[:end])
        end = path.find("/", end + 1)


class Staging:
    """The files of an update, below the folder `root`. Remains of an earlier update are removed."""

    def __init__(self, root):
        self._root = root.rstrip("/") + "/"
        self.names = []
        self.clear()

    def _path(self, name):
        return f"{self._root}{FOLDER}/{name}"

    def clear(self):
        """Remove everything, and `update/files` first."""
        self.names = []
        try:
            if _mode(self._path(RECORD)):
                os.remove(self._path(RECORD))
            for name in os.listdir(self._root + FOLDER):
                os.remove(self._path(name))
            os.rmdir(self._root + FOLDER)
        except OSError:
            pass  # there is none

    def create(self, name):
        """Return a binary file for the new content of `name`, which the caller closes. Raises ValueError for an
        invalid name."""
        self._add(name, name)
        return open(self._path(str(len(self.names) - 1)), "wb")

    def delete(self, name):
        """Delete the file `name` with this update. Raises ValueError if there is none."""
        self._add(name, "/" + name)
        if not _mode(self._root + name):
            raise ValueError(f"{name}: there is no such file on the board")

    def path(self, name):
        """Return the path that holds the content of `name` until the next boot; None if the file is to be deleted."""
        if name in self.names:
            return self._path(str(self.names.index(name)))
        return None if "/" + name in self.names else self._root + name

    def _add(self, name, line):
        parts = name.split("/")
        if "" in parts or "." in parts or ".." in parts or parts[0] in (FOLDER, REPL_FILE) or "\n" in name:
            raise ValueError(f"{name!r} is not a valid name in an update")
        obstacle = _obstacle(self._root, name)
        for other in self.names:
            other = other.lstrip("/")
            if (name + "/").startswith(other + "/") or other.startswith(name + "/"):
                obstacle = f"{name} and {other} take the same place"
        if obstacle:
            raise ValueError(obstacle)
        if not self.names:
            _make_folders(self._path("0"))
        self.names.append(line)

    def commit(self):
        """Make the update valid: the next boot moves the files into place without more space. Raises OSError."""
        for name in self.names:
            _make_folders(self._root + name)
        with open(self._path("new"), "w") as file:
            file.write("\n".join(self.names) + "\n")
        _sync()
        os.rename(self._path("new"), self._path(RECORD))
        _sync()


def _decided(folder):
    """Return the lines of the record in `folder`, or none if no update is valid."""
    try:
        with open(folder + RECORD) as file:
            return file.read().split("\n")[:-1]
    except (OSError, ValueError):
        return []


def recover(root="/"):
    """Move the files of a valid update into place. Every boot calls this. Return the result for the log, or None. Files
    that cannot be placed stay for the next boot; `left` returns them."""
    root = root.rstrip("/") + "/"
    folder = root + FOLDER + "/"
    if not _mode(root + FOLDER) & _FOLDER_BIT:
        return None
    try:
        # After an interrupted rename, littlefs 2.11 does not show the neighbouring file until the next write.
        open(folder + "new", "w").close()
    except OSError:
        pass  # the filesystem is full, but littlefs has repaired itself
    names = _decided(folder)
    for number, name in enumerate(names):
        _place(folder + str(number), root, name)
    _sync()
    if left(root):
        return None
    unfinished = os.listdir(folder)[1:]  # besides `new`
    Staging(root)
    if names:
        return "in place: " + ", ".join(names)
    return "not completed: nothing is changed" if unfinished else None


def _place(staged, root, name):
    try:
        if name.startswith("/"):
            os.remove(root + name[1:])
        elif _mode(staged):
            _make_folders(root + name)
            os.rename(staged, root + name)
    except OSError:
        pass  # a folder has this name, or the flash is faulty; the other files are placed anyway


def report(root, log, give_up):
    """Report the files that could not be placed. With `give_up` they are not tried again."""
    for text in left(root):
        log.error("update", f"not in place: {text}")
    if give_up:
        Staging(root)


def left(root="/"):
    """Return the reason for each file that is not in its place."""
    root = root.rstrip("/") + "/"
    folder = root + FOLDER + "/"
    return [
        _obstacle(root, name) or f"{name} cannot be changed"
        for number, name in enumerate(_decided(folder))
        if _mode(root + name if name.startswith("/") else folder + str(number))
    ]
