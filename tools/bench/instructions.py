"""Counts the instructions that a server executes for one piece of work. Without a clock there is no noise.

Valgrind's callgrind counts what the process executes itself (not the kernel). Two runs that differ only in the amount
of work are subtracted, so start-up and exit drop out. With `--profile` the difference is shown per C function.

    python tools/bench/instructions.py [--work echo] [--count 2000] [--conns 1] [--profile] [SIDE ...]
"""

import argparse
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import runner
from rows import ASYNCIO, BARE, OURS
from runner import Failed, Side, Skipped

BULK = 4096  # bytes of a piece of bulk data


@dataclass
class Work:
    """A kind of work: the mode and the options of the load, and the sides that do it."""

    mode: str
    piece: str
    sides: dict
    load: dict = field(default_factory=dict)


ECHO = {
    "bare": Side(BARE, "mp_bare_echo.py"),
    "floor": Side("the interface alone", "mp_floor_echo.py"),
    "ours": Side(OURS, "xas_echo.py", (256,)),
    "timeout": Side(OURS + ", timeout", "xas_echo.py", (256, 30)),
    "asyncio": Side(ASYNCIO, "mp_asyncio_echo.py"),
}
WORKS = {
    "echo": Work("echo", "message", ECHO),
    "lines": Work("lines", "line", {"asyncio": Side(ASYNCIO, "mp_asyncio_lines.py"),
                                    "ours": Side(OURS, "xas_lines.py", (64,))}, {"size": 40, "depth": 16}),
    "udp": Work("udp", "datagram", {"bare": Side(BARE, "mp_bare_udp.py", ("poll",)), "ours": Side(OURS, "xas_udp.py")},
                {"depth": 16}),
    "upload": Work("upload", f"{BULK} B", {"bare": Side(BARE, "mp_bare_upload.py"),
                                           "ours": Side(OURS, "xas_upload.py")}),
    "download": Work("download", f"{BULK} B", {"bare": Side(BARE, "mp_bare_download.py"),
                                               "ours": Side(OURS, "xas_download.py")}),
    "churn": Work("churn", "connection", ECHO),
}


def profile(side, work, count, load):
    """Have `count` pieces served under callgrind; return the instructions of each C function and its calls."""
    amount = {"count": count}
    if work.mode in ("upload", "download"):
        amount = {"bytes": count * BULK}
        side = replace(side, args=(count * BULK,))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--log-file={folder}/log"]
        with runner.serving(side, wrapper=wrapper) as (process, port):
            runner.generate(work.mode, port, **work.load, **amount, **load)
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        return parse(out.read_text())


def parse(text):
    """Return what each function executed itself, and how often it was called, from a callgrind output file."""
    names, costs, calls = {}, Counter(), Counter()
    function = callee = ""
    called = False
    for line in text.splitlines():
        found = re.match(r"(c?)fn=(\(\d+\))(?: (.*))?", line)
        if found:
            name = names.setdefault(found[2], (found[3] or "").split("'")[0])  # 'f'2' is the function f, called by f
            if found[1]:
                callee = name
            else:
                function = name
        elif line.startswith("calls="):
            calls[callee] += int(line[6:].split()[0])
            called = True  # the next line counts the callee, which also has lines of its own
        elif line[:1] in tuple("+-*0123456789"):
            if not called:
                costs[function] += int(line.split()[1])
            called = False
    return costs, calls


def per_piece(side, work, count, **load):
    """Return the instructions per piece of work, and for each C function its own instructions and its calls."""
    less = profile(side, work, count // 2, load)
    more = profile(side, work, count, load)
    for whole, half in zip(more, less):
        whole.subtract(half)
    pieces = count - count // 2
    costs, calls = more
    functions = {name: (cost / pieces, calls[name] / pieces) for name, cost in costs.items()}
    return sum(costs.values()) / pieces, functions


def main():
    """Count for the selected sides and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sides", nargs="*", metavar="SIDE", help="sides to measure; by default all of the work")
    parser.add_argument("--work", choices=WORKS, default="echo")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--conns", type=int, default=1)
    parser.add_argument("--library", metavar="FOLDER", type=Path, default=runner.ROOT / "lib")
    parser.add_argument("--frozen", action="store_true", help="the library that is frozen into MicroPython, not lib/")
    parser.add_argument("--profile", action="store_true", help="show each C function, if the interpreter has symbols")
    options = parser.parse_args()
    work = WORKS[options.work]
    unknown = set(options.sides) - set(work.sides)
    if unknown:
        parser.error(f"--work {options.work} has the sides {' '.join(work.sides)}, not {' '.join(unknown)}")
    if not shutil.which("valgrind"):
        sys.exit("SKIPPED: valgrind is not installed")
    runner.FROZEN = options.frozen
    runner.prepare(options.library)
    base = 0
    for side in [work.sides[name] for name in options.sides or work.sides]:
        try:
            total, functions = per_piece(side, work, options.count, conns=options.conns)
        except (Skipped, Failed) as reason:
            print(f"{side.name:24} skipped: {reason}")
            continue
        base = base or total
        print(f"{side.name:24} {total:10,.1f} instructions per {work.piece}   {total / base:5.2f} x the first")
        if options.profile:
            for function, (cost, calls) in sorted(functions.items(), key=lambda item: -item[1][0])[:25]:
                print(f"    {cost:10,.1f} in {calls:7.2f} calls  {function}")


if __name__ == "__main__":
    main()
