#!/usr/bin/env python3
"""Prints the flash and RAM that an image takes: in total, and our part.

    size_report.py firmware.elf

Fails if the image reaches into the filesystem; nothing else checks this.
"""

import re
import subprocess
import sys
from pathlib import Path

# Frozen modules are C data; their names consist of a kind and the names of the module and the function (mpy-tool.py).
FROZEN = re.compile(
    r"^(?:fun_data|children|proto_fun|raw_code|const_(?:obj|qstr)_table_data|const_obj|frozen_module)_(\w+)$")
OURS = {"the library": ("XAsyncSockets",), "the firmware": ("firmware_", "main", "board_support")}
LWIP_POOL = re.compile(r"^(?:memp_memory_\w+_base|ram_heap)$")
FULL = 0.95  # share of the firmware's flash; warn above this


def tool(name, *arguments):
    command = [f"arm-none-eabi-{name}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def symbols(elf):
    """Return [(name, address, size)]."""
    for line in tool("nm", "--print-size", elf).splitlines():
        address, *size, _, name = line.split()
        yield name, int(address, 16), int(size[0], 16) if size else 0


def sections(elf):
    """Return {name: size}."""
    lines = tool("size", "--format=sysv", elf).splitlines()[2:]
    return {fields[0]: int(fields[1]) for fields in map(str.split, lines) if len(fields) == 3}


def total(table, pattern, prefixes=("",)):
    matches = ((pattern.match(name.split(".")[0]), size) for name, _, size in table)
    return sum(size for match, size in matches if match and (not match.groups() or match[1].startswith(prefixes)))


def filesystem_start(elf, address):
    """Return the address of the filesystem in flash: the second word of the port's block device (rp2_flash.c)."""
    device = address["rp2_flash_obj"]
    dump = tool("objdump", "--full-contents", f"--start-address={device}", f"--stop-address={device + 8}", elf)
    words = dump.splitlines()[-1].split()[1:3]
    return int.from_bytes(bytes.fromhex(words[1]), "little")


def report(name, size, of=None):
    print(f"{name:26}{size:>9,} B" + (f" of {of:,}" if of else ""))


def main():
    elf = Path(sys.argv[1])
    table = list(symbols(elf))
    address = {name: at for name, at, _ in table}
    size = sections(elf)
    room = filesystem_start(elf, address)
    image = elf.with_suffix(".bin").stat().st_size
    report("flash", image, room)
    for what, prefixes in OURS.items():
        report(f"  of which {what}", total(table, FROZEN, prefixes))
    report("RAM, static", size[".data"] + size[".bss"])
    report("  of which lwIP's pools", total(table, LWIP_POOL))
    heap_end = min(address["__GcHeapEnd"], address["__StackBottom"])  # boards/rp2/stack.c
    report("RAM, Python's heap", heap_end - address["__GcHeapStart"])
    if image > room:
        over = image - room
        sys.exit(f"The image reaches {over:,} B into the filesystem: MICROPY_HW_FLASH_STORAGE_BYTES is too large.")
    if image > FULL * room:
        print(f"Only {room - image:,} B are left for the firmware: see MICROPY_HW_FLASH_STORAGE_BYTES.")


if __name__ == "__main__":
    main()
