"""Updates over the network: a new image for the inactive partition, or a set of files.

Both are sent in the same way: `update.begin` announces the data, `update.write` sends it, `update.end` checks and
commits it. Until then nothing changes; afterwards the board restarts. The bootloader decides about an image: if the
board is reset before its boot counts as good (boot.steady_s), the image is not started a second time.
"""

import binascii
import hashlib

from firmware import borrow, const
from firmware.log import describe
from firmware.staged_files import Staging
from firmware.update.tar import TarReader

IMAGE = "image"
FILES = "files"

_LONGEST_CHUNK = const(1536)  # bytes in one update.write
_REQUEST_BYTES = const(128)  # the line of update.write without its data
_BLOCK = const(4096)  # of flash
_APP_MAGIC = const(b"\x32\x54\xcd\xab")  # of ESP-IDF's esp_app_desc_t, which only its images have here
_APP_MAGIC_AT = const(32)


def _trial():
    return borrow("firmware.update.trial", "firmware.config.file", "firmware.jsontext")


class ImageTarget:
    """An image for the inactive partition. The blocks are erased and written as the image arrives."""

    def __init__(self, partition, size):
        if size > partition.info()[3]:
            raise ValueError(f"size: the partition has {partition.info()[3]} bytes")
        self._partition = partition
        self._block = bytearray(_BLOCK)
        self._filled = 0
        self._number = 0
        self.into = partition.info()[4]

    def write(self, data):
        """Take the next piece."""
        data = memoryview(data)
        while len(data):
            used = min(_BLOCK - self._filled, len(data))
            self._block[self._filled : self._filled + used] = data[:used]
            self._filled += used
            data = data[used:]
            if self._filled == _BLOCK:
                self._write_block()

    def _write_block(self):
        if self._number == 0 and self._block[_APP_MAGIC_AT : _APP_MAGIC_AT + 4] != _APP_MAGIC:
            raise ValueError("not an application image (builds have update.bin)")
        for index in range(self._filled, _BLOCK):
            self._block[index] = 0xFF
        self._partition.writeblocks(self._number, self._block)
        self._number += 1
        self._filled = 0

    def commit(self):
        """Boot this image next. ESP-IDF first checks its chip, its segments and its hash."""
        if self._filled:
            self._write_block()
        self._partition.set_boot()

    def abort(self):
        """Do nothing: the image is in a partition that is not booted."""


class FilesTarget:
    """Files in a tar archive. They are staged until the next boot."""

    def __init__(self, root):
        self.staging = Staging(root)
        self._reader = TarReader(self.staging.create, self.staging.delete)
        self.into = root

    def write(self, data):
        """Take the next piece."""
        self._reader.write(data)

    def check(self):
        """Raise ValueError if something is missing."""
        if not self._reader.complete:
            raise ValueError("the archive is cut off")
        if not self.staging.names:
            raise ValueError("the archive is empty")

    def commit(self):
        """Let the next boot move the files into place."""
        self.staging.commit()

    def abort(self):
        """Remove the staged files."""
        self._reader.close()
        self.staging.clear()


class _Transfer:
    """One update in progress."""

    def __init__(self, session, kind, target, size, sha256):
        self.session = session
        self.kind = kind
        self.target = target
        self.size = size
        self.sha256 = sha256
        self.hash = hashlib.sha256()
        self.received = 0


class Update:
    """The service that offers updates."""

    name = "update"

    def __init__(self):
        self._app = None
        self._transfer = None

    def start(self, app):
        """Offer the methods."""
        self._app = app
        add = app.methods.add
        add("update.status", self._status)
        add("update.begin", self._begin, "kind size sha256 signature", writes=True)
        add("update.write", self._write, "offset data", writes=True)
        add("update.end", self._end, writes=True)
        add("update.abort", self._abort, writes=True)

    def stop(self):
        """Abort an unfinished update."""
        self._drop()

    def _kinds(self):
        return [IMAGE, FILES] if self._app.board.other_partition() else [FILES]

    def _status(self, _session):
        transfer = self._transfer
        return {
            "kinds": self._kinds(),
            "running": self._app.board.running_partition(),
            "last": self._app.board.last_update,
            "receiving": transfer.kind if transfer else None,
            "received": transfer.received if transfer else 0,
            "size": transfer.size if transfer else 0,
        }

    def _begin(self, session, kind, size, sha256, signature):
        if kind not in self._kinds():
            raise ValueError(f"kind: this board takes {' or '.join(self._kinds())}")
        if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
            raise ValueError("size: the number of bytes that will come")
        sha256 = str(sha256).lower()
        from firmware.control.access import prove

        prove(session, "update", f"{kind} {size} {sha256}", signature)
        board = self._app.board
        if board.last_update in ("on trial", "complete"):
            raise ValueError(f"the last update is {board.last_update}: try again later")
        self._drop()
        target = ImageTarget(board.other_partition(), size) if kind == IMAGE else FilesTarget(board.files)
        self._transfer = _Transfer(session, kind, target, size, sha256)
        session.unlimited = True
        self._app.log.info("update", f"{kind}, {size} bytes from {session.address}")
        line = self._app.config["control"]["line_bytes"]
        return {"into": target.into, "chunk": max(1, min(_LONGEST_CHUNK, (line - _REQUEST_BYTES) // 4 * 3))}

    def _current(self, session):
        if not self._transfer:
            raise ValueError("no update was begun")
        if self._transfer.session is not session:
            raise ValueError("another client's update is under way")
        return self._transfer

    def _write(self, session, offset, data):
        transfer = self._current(session)
        if offset != transfer.received:
            raise ValueError(f"offset: {transfer.received} bytes have arrived")
        try:
            piece = binascii.a2b_base64(data)
        except (ValueError, TypeError):
            raise ValueError("data: not base64") from None
        if transfer.received + len(piece) > transfer.size:
            raise ValueError("data: more than announced")
        self._guarded(transfer.target.write, piece)
        transfer.hash.update(piece)
        transfer.received += len(piece)
        return transfer.received

    def _guarded(self, function, *args):
        """Call `function`. A failure ends the update and changes nothing."""
        try:
            return function(*args)
        except Exception as error:
            self._app.log.warning("update", f"given up: {describe(error)}")
            self._drop()
            raise

    def _end(self, session):
        transfer = self._current(session)
        if transfer.received != transfer.size:
            raise ValueError(f"{transfer.size - transfer.received} bytes are still to come")
        self._guarded(self._check, transfer)
        if transfer.kind == IMAGE:
            self._guarded(_trial().announce, self._app.board, "partition", transfer.target.into)
        else:
            lockout = borrow(
                "firmware.config.lockout", "firmware.update.trial", "firmware.config.file", "firmware.jsontext"
            )
            self._guarded(lockout.check_files, self._app, transfer.target.staging)
        self._guarded(transfer.target.commit)
        self._transfer = None
        self._app.board.last_update = "complete"
        self._app.log.info("update", f"{transfer.kind}: complete, restarting")
        self._app.restart_later()
        if transfer.kind == IMAGE:
            steady = self._app.config["boot"]["steady_s"]
            return f"the board restarts from {transfer.target.into}, and goes back if that fails within {steady} s"
        return "the board restarts with the new files; it keeps no copy of the old ones"

    def _check(self, transfer):
        if binascii.hexlify(transfer.hash.digest()).decode() != transfer.sha256:
            raise ValueError("sha256: not that of the data")
        if transfer.kind == FILES:
            transfer.target.check()

    def _abort(self, session):
        self._current(session)
        self._drop()
        return True

    def _drop(self):
        transfer = self._transfer
        self._transfer = None
        if transfer:
            transfer.session.unlimited = False
            transfer.target.abort()
            _trial().drop(self._app.board, "partition")
