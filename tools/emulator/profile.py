"""Shows which functions of the image a board's profile belongs to."""

import bisect
import subprocess
from collections import Counter


class Symbols:
    """The functions of an image, by address."""

    def __init__(self, elf):
        lines = subprocess.run(
            ["arm-none-eabi-nm", "--numeric-sort", str(elf)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        entries = [line.split() for line in lines]
        functions = [(int(entry[0], 16) & ~1, entry[2]) for entry in entries if entry[1] in "tTwW"]
        self._addresses = [address for address, _ in functions]
        self._names = [name for _, name in functions]

    def name(self, address):
        """Return the function that contains an address; the replaced boot ROM has none."""
        index = bisect.bisect_right(self._addresses, address) - 1
        return self._names[index] if index >= 0 else "boot ROM"

    def by_function(self, profile):
        """Return a Counter {function: instructions}."""
        result = Counter()
        for address, count in profile.items():
            result[self.name(address)] += count
        return result
