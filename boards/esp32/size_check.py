#!/usr/bin/env python3
"""Prints how much of its partition an application leaves. Fails if this is too little for later changes.

    size_check.py partition-table.bin micropython.bin
"""

import struct
import sys
from pathlib import Path

LEAST = 0.03  # the smallest share of the partition that must stay free
ENTRY = struct.Struct("<HBBII16sI")  # ESP-IDF's documentation, "Partition Tables"
MAGIC, APPLICATION = 0x50AA, 0


def smallest_place(table):
    """Return the size of the smallest application partition, because an update may go into any of them."""
    entries = [ENTRY.unpack_from(table, at) for at in range(0, len(table) - ENTRY.size + 1, ENTRY.size)]
    sizes = [size for magic, kind, _, _, size, _, _ in entries if (magic, kind) == (MAGIC, APPLICATION)]
    if not sizes:
        sys.exit("The partition table has no place for an application.")
    return min(sizes)


def main():
    table, application = (Path(name).read_bytes() for name in sys.argv[1:])
    room, size = smallest_place(table), len(application)
    left = 1 - size / room
    print(f"application {size:,} B of {room:,}: {left:.1%} left")
    if left < LEAST:
        sys.exit(f"That is less than the {LEAST:.0%} that an image has to leave: see boards/esp32/partitions-*.csv.")


if __name__ == "__main__":
    main()
