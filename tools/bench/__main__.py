"""Compares the library with a bare loop and with its peers: `make bench`, or `python tools/bench --help`."""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import runner
from gauges import Gauge, all_gauges
from rows import QUICK, all_rows
from runner import note_failure, spread


def rotated(sides, number):
    """Return the sides in the order of round `number`, which rotates."""
    shift = number % len(sides)
    return sides[shift:] + sides[:shift]


def without(rounds, absent):
    """Return the rounds without the sides that failed."""
    return [{name: value for name, value in one.items() if name not in absent} for one in rounds]


def judge(bar, rounds):
    """Return the result for `bar`: its ratios per round (above 1 is better than the other side) and the verdict."""
    found = {}
    for by in bar.by:
        pairs = [(one[bar.side][by], one[bar.other][by]) for one in rounds if bar.side in one and bar.other in one]
        if pairs:
            found[by] = spread([mine / other if by == "rate" else other / mine for mine, other in pairs])
    met = all(one["median"] >= bar.ratio for one in found.values()) if found else None
    return {"side": bar.side, "other": bar.other, "ratio": bar.ratio, "by": bar.by, "found": found, "met": met}


def run_row(row, count, timing):
    """Compare the sides of `row`."""
    absent = {}
    rounds = [runner.compare(row, rotated(row.sides, number), timing, absent) for number in range(count)]
    rounds = without(rounds, absent)
    sides = {}
    for name in rounds[0]:
        mine = [one[name] for one in rounds]
        sides[name] = {key: spread([one[key] for one in mine]) for key in mine[0]}
    return {"kind": "row", "name": row.name, "title": row.title, "unit": row.unit, "mode": row.mode, "load": row.load,
            "sides": {side.name: sides[side.name] for side in row.sides if side.name in sides},
            "bars": [judge(bar, rounds) for bar in row.bars], "absent": absent, "rounds": rounds}


def run_gauge(gauge, count):
    """Measure `gauge`."""
    rounds, absent = [], {}
    for _ in range(count):
        rounds.append({})
        for side in gauge.sides:
            if side.name not in absent:
                with note_failure(absent, side.name):
                    rounds[-1][side.name] = gauge.measure(side)
    rounds = without(rounds, absent)
    sides = {name: spread([one[name] for one in rounds]) for name in rounds[0]}
    bars = [{"side": name, "met": value["median"] <= gauge.limit} for name, value in sides.items()]
    bars += [{"side": name, "met": None} for name in absent]
    return {"kind": "gauge", "name": gauge.name, "title": gauge.title, "unit": gauge.unit, "limit": gauge.limit,
            "sides": sides, "absent": absent, "bars": bars}


VERDICTS = {True: "met", False: "MISSED", None: "not measured"}


def show(result):
    """Print one result."""
    print(f"\n{result['title']}  [{result['name']}]")
    for name, figures in result["sides"].items():
        if result["kind"] == "gauge":
            print(f"  {name:26} {figures['median']:.2f} {result['unit']} ({figures['min']:.2f}-{figures['max']:.2f})")
        else:
            print(f"  {name:26} {side_text(figures, result['unit'])}")
    for name, absent in result["absent"].items():
        print(f"  {name:26} {'FAILED' if absent['failed'] else 'skipped'}: {absent['reason']}")
    for bar in result["bars"]:
        print(f"  bar: {bar_text(result, bar)}  {VERDICTS[bar['met']]}")


def side_text(figures, unit):
    """Return the figures of one side as text."""
    rate, cpu = figures["rate"], figures["cpu"]
    if unit == "bytes":
        speed, cost = f"{rate['median'] / 1e6:8,.0f} MB/s", f"{cpu['median'] * 1e3:7.3f} ms/MB"
    else:
        speed, cost = f"{rate['median']:10,.0f} /s", f"{cpu['median']:8.2f} us"
    server, load = figures["server_busy"]["median"], figures["load_busy"]["median"]
    lost = f", lost {figures['lost']['median']:.0f}" if figures["lost"]["max"] else ""
    bound = ", LIMITED BY THE LOAD" if load > max(server, 0.9) else ""
    return (f"{speed}  {cost} (-{1 - cpu['min'] / cpu['median']:.0%} +{cpu['max'] / cpu['median'] - 1:.0%})"
            f"  busy: server {server:.0%}, load {load:.0%}{lost}{bound}")


def bar_text(result, bar):
    """Return a bar and its result as text."""
    if result["kind"] == "gauge":
        return f"{bar['side']} <= {result['limit']:g} {result['unit']}"
    if not bar["ratio"]:
        return f"{bar['side']} is served"
    parts = [f"by {by} {one['median']:.2f} ({one['min']:.2f}-{one['max']:.2f})" for by, one in bar["found"].items()]
    return f"{bar['side']} >= {bar['ratio']:.2g} x {bar['other']}: {'  '.join(parts)}"


def arguments():
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="rows whose name contains NAME (repeatable)")
    parser.add_argument("--rounds", type=int, help="rounds per row (7; 3 with --quick)")
    parser.add_argument("--seconds", type=float, help="length of a measured window (0.5; 0.2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="about a minute: fewer rows, shorter and fewer rounds")
    parser.add_argument("--library", metavar="FOLDER", type=Path, default=runner.ROOT / "lib",
                        help="where the XAsyncSockets.py to measure is (lib)")
    parser.add_argument("--frozen", action="store_true", help="the library that is frozen into MicroPython, not lib/")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.seconds = options.seconds or (0.2 if options.quick else 0.5)
    return options


def selected(rows, names):
    """Return the rows with one of the `names`. A name that is not a full name selects all rows that contain it."""
    if not names:
        return rows
    full = {row.name for row in rows}
    return [row for row in rows if any(name == row.name if name in full else name in row.name for name in names)]


def main():
    """Run the selected rows, print the table and write the results."""
    options = arguments()
    sys.stdout.reconfigure(line_buffering=True)
    rows = [row for row in all_rows() if row.name in QUICK or not options.quick]
    rows = selected([*rows, *all_gauges()], options.only)
    if options.list:
        print("\n".join(f"{row.name:24} {row.title}" for row in rows))
        return
    runner.FROZEN = options.frozen
    try:
        runner.prepare(options.library)
    except (OSError, subprocess.SubprocessError) as reason:
        sys.exit(f"tools/bench needs Linux, gcc and lib/XAsyncSockets.py: {reason}")
    timing = {"seconds": options.seconds, "warmup": options.seconds / 4}
    results = []
    for row in rows:
        gauge = isinstance(row, Gauge)
        results.append(run_gauge(row, 1 if options.quick else options.rounds) if gauge
                       else run_row(row, options.rounds, timing))
        show(results[-1])
    path = runner.BUILD / "results.json"
    path.write_text(json.dumps({"conditions": conditions(options), "results": results}, indent=1) + "\n")
    verdicts = [bar["met"] for result in results for bar in result["bars"]]
    print(f"\n{verdicts.count(True)} bars met, {verdicts.count(False)} missed, {verdicts.count(None)} not measured;"
          f" everything is in {path.relative_to(runner.ROOT)}")
    if any(absent["failed"] for result in results for absent in result["absent"].values()):
        sys.exit("a server or the load generator FAILED")


def conditions(options):
    """Return the conditions that are needed to compare these results with others."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    version = [str(runner.MICROPYTHON), "-c", "import sys; print(sys.version.split('; ')[1])"]
    micropython = subprocess.run(version, capture_output=True, text=True).stdout if shutil.which(version[0]) else ""
    return {"date": time.strftime("%Y-%m-%d"), "rounds": options.rounds, "seconds": options.seconds,
            "library": "frozen" if options.frozen else "lib/", "processor": processor[1] if processor else "?",
            "cores": len(runner.CORES), "system": f"{platform.system()} {platform.release()}",
            "cpython": platform.python_version(),
            "micropython": micropython.strip() or "?"}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: no results written")
