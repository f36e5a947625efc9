"""Runs an update of files in the image, and the next boot. The process is killed at one of its file operations.

    micropython kill_at.py FOLDER ARCHIVE NUMBER before|after

Prints the number of operations if the program reached its end.
"""

import os
import sys

from firmware import staged_files
from firmware.update.service import FilesTarget

folder, archive, number, where = sys.argv[1:]
done = 0


def die():
    """Kill this process, which is the shell's parent."""
    os.system("kill -9 $PPID")


def counted(function):
    def operation(*args):
        global done
        done += 1
        if done == int(number) and where == "before":
            die()
        try:
            return function(*args)
        finally:
            if done == int(number):
                die()

    return operation


class CountedFile:
    def __init__(self, file):
        self.write = counted(file.write)
        self.read = file.read
        self.close = counted(file.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class CountedOs:
    stat = os.stat
    listdir = os.listdir
    rename = staticmethod(counted(os.rename))
    remove = staticmethod(counted(os.remove))
    mkdir = staticmethod(counted(os.mkdir))
    rmdir = staticmethod(counted(os.rmdir))


open_file = counted(open)
staged_files.os = CountedOs
staged_files.open = lambda *args: CountedFile(open_file(*args))

target = FilesTarget(folder)
with open(archive, "rb") as source:
    piece = source.read(700)
    while piece:
        target.write(piece)
        piece = source.read(700)
target.commit()
staged_files.recover(folder)
print(done)
