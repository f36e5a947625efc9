"""Reads a tar archive piece by piece (POSIX ustar, as Python's tarfile and `tar --format=ustar` write it)."""

from firmware import const

_BLOCK = const(512)
_FILES = const(b"0\0")  # the types of a plain file
_FOLDER = const(b"5")
_DELETE = const(b"R")  # one of the letters that POSIX reserves for applications


def _text(field):
    return bytes(field).split(b"\0", 1)[0].decode()


class TarReader:
    """Accepts an archive in pieces of any length. `create(name)` returns a binary file for each file in it.
    `delete(name)` is called for each entry that deletes a file."""

    def __init__(self, create, delete):
        self._create = create
        self._delete = delete
        self._header = bytearray(_BLOCK)
        self._filled = 0  # bytes of the header that have arrived
        self._file = None
        self._left = 0  # bytes of the file that are missing
        self._padding = 0  # ... and of the padding after it
        self.complete = False  # whether the end mark has arrived

    def write(self, data):
        """Handle the next piece. Raises ValueError if it is not such an archive, OSError if a file cannot be
        written."""
        data = memoryview(data)
        while len(data) and not self.complete:
            wanted = self._left or self._padding or _BLOCK - self._filled
            piece = data[:wanted]
            data = data[wanted:]
            if self._left:
                self._take_content(piece)
            elif self._padding:
                self._padding -= len(piece)
            else:
                self._take_header(piece)

    def close(self):
        """Close the file that is incomplete."""
        if self._file:
            self._file.close()
            self._file = None

    def _take_content(self, piece):
        self._file.write(piece)
        self._left -= len(piece)
        if not self._left:
            self.close()

    def _take_header(self, piece):
        end = self._filled + len(piece)
        self._header[self._filled : end] = piece
        self._filled = end % _BLOCK
        if not self._filled:
            self._read_header(self._header)

    def _read_header(self, header):
        if not any(header):
            self.complete = True
            return
        try:
            checksum = int(_text(header[148:156]), 8)
            size = int(_text(header[124:136]) or "0", 8)
        except ValueError:
            raise ValueError("not a tar archive") from None
        if checksum != sum(header) - sum(header[148:156]) + 8 * 32:  # the checksum's own field counts as spaces
            raise ValueError("not a tar archive, or damaged")
        prefix, name = _text(header[345:500]), _text(header[:100])
        if header[156] in _FOLDER:
            return
        name = f"{prefix}/{name}" if prefix else name
        if header[156] in _DELETE:
            self._delete(name)
            return
        if header[156] not in _FILES:
            raise ValueError(f"{name} is not a plain file")
        self._file = self._create(name)
        self._left = size
        self._padding = -size % _BLOCK
        if not size:
            self.close()
