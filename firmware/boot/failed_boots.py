"""A file that stores the log of a boot, in case it fails. Only a boot after a failed one writes it."""

FILE = "boots.log"
_LONGEST = 3000  # bytes
_BEGINS = "- "  # the beginning of a line about a start


def keep(board, log):
    """Write each further line to the file too, before its step can fail."""
    path = board.path(FILE)
    lines = []

    def write(new, mode):
        try:
            with open(path, mode) as file:
                file.write("".join(line + "\n" for line in new))
        except OSError:
            log.also = None  # the filesystem is full

    def also(line):
        if line in lines or line.endswith((": stop", ": network_down")):  # repeated ticks, and calls at the end
            return
        lines.append(line)
        if sum(len(line) for line in lines) > _LONGEST:
            del lines[: len(lines) // 2 + 1]
            write(lines, "w")
        else:
            write([line], "a")

    write(lines, "w")
    log.also = also


def tell(board, log):
    """Copy the lines of the file into the log. Return what was started last, or None."""
    last = None
    try:
        with open(board.path(FILE)) as file:
            lines = file.read().split("\n")[:-1]
    except (OSError, ValueError):
        lines = ()
    for line in lines:
        log.info("failed boot", line)
        if line.startswith(_BEGINS):
            last = line[len(_BEGINS) :]
    return last
