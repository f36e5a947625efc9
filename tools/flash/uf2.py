"""Reads UF2 files, as far as flashing needs their content (UF2 specification, "File format")."""

import struct
from pathlib import Path

BLOCK = 512
MAGIC = (0x0A324655, 0x9E5D5157)
FAMILIES = {0xE48BFF56: "rp2040", 0xE48BFF59: "rp2350"}


class Uf2:
    """An image: the `chip` that it is for, the `address` of its first byte, and its `data`."""

    def __init__(self, path):
        content = Path(path).read_bytes()
        blocks = [content[start : start + BLOCK] for start in range(0, len(content), BLOCK)]
        if not blocks or any(len(block) < BLOCK or struct.unpack_from("<II", block) != MAGIC for block in blocks):
            raise ValueError(f"{path} is not a UF2 file.")
        self.chip = FAMILIES.get(struct.unpack_from("<I", blocks[0], 28)[0])
        self.address = struct.unpack_from("<I", blocks[0], 12)[0]
        self.data = b"".join(block[32 : 32 + struct.unpack_from("<I", block, 16)[0]] for block in blocks)
