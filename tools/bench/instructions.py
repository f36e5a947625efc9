"""Counts the instructions that a server executes for one TCP message: no clock, hence no noise.

Valgrind's callgrind counts what the process executes itself (not the kernel). Two runs that differ only in the number
of messages are subtracted, so start-up, accept and exit drop out. With `--profile` the difference is shown per C
function.

    python tools/bench/instructions.py [--count 2000] [--conns 1] [--size 64] [--profile] [SIDE ...]
"""

import argparse
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import runner
from rows import ASYNCIO, BARE, OURS
from runner import Failed, Side, Skipped

SIDES = {
    "bare": Side(BARE, "mp_bare_echo.py"),
    "ours": Side(OURS, "xas_echo.py", (256,)),
    "timeout": Side(OURS + ", timeout", "xas_echo.py", (256, 30)),
    "asyncio": Side(ASYNCIO, "mp_asyncio_echo.py"),
}


def profile(side, count, load):
    """Serve `count` messages under callgrind; return the instructions of each C function and its calls."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--log-file={folder}/log"]
        with runner.serving(side, wrapper=wrapper) as (process, port):
            runner.generate("echo", port, count=count, **load)
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
            name = names.setdefault(found[2], (found[3] or "").split("'")[0])  # 'f'2' is f that f has called
            if found[1]:
                callee = name
            else:
                function = name
        elif line.startswith("calls="):
            calls[callee] += int(line[6:].split()[0])
            called = True  # the line after it counts the callee, which has lines of its own
        elif line[:1] in tuple("+-*0123456789"):
            if not called:
                costs[function] += int(line.split()[1])
            called = False
    return costs, calls


def per_message(side, count, conns=1, size=64):
    """Return the instructions per message, and for each C function those of its own and its calls."""
    load = {"conns": conns, "size": size}
    half = profile(side, count // 2, load)
    whole = profile(side, count, load)
    for more, less in zip(whole, half):
        more.subtract(less)
    messages = count - count // 2
    costs, calls = whole
    functions = {name: (cost / messages, calls[name] / messages) for name, cost in costs.items()}
    return sum(costs.values()) / messages, functions


def main():
    """Count for the sides asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sides", nargs="*", metavar="SIDE", help=" ".join(SIDES), default=["bare", "ours"])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--conns", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--library", metavar="FOLDER", type=Path, default=runner.ROOT / "lib")
    parser.add_argument("--profile", action="store_true", help="per C function, where the interpreter has its symbols")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("SKIPPED: valgrind is not installed")
    runner.prepare(options.library)
    base = 0
    for name in options.sides:
        side = SIDES[name]
        try:
            total, functions = per_message(side, options.count, options.conns, options.size)
        except (Skipped, Failed) as reason:
            print(f"{side.name:24} skipped: {reason}")
            continue
        base = base or total
        print(f"{side.name:24} {total:10,.1f} instructions per message   {total / base:5.2f} x the first")
        if options.profile:
            for function, (cost, calls) in sorted(functions.items(), key=lambda item: -item[1][0])[:25]:
                print(f"    {cost:10,.1f} in {calls:7.2f} calls  {function}")


if __name__ == "__main__":
    main()
