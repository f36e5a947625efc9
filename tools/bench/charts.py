"""Draws docs/performance/*.png and the tables of docs/performance.md from one run of the benchmark.

    build/venv/bin/python tools/bench/charts.py [RESULTS]

RESULTS (build/bench/results.json) is copied to docs/performance.json, from which everything is drawn.
"""

import json
import re
import shutil
import statistics
import sys
from pathlib import Path

from rows import ASYNCIO, BARE, OURS
from runner import BUILD, ROOT

try:
    import matplotlib
except ImportError:
    sys.exit("charts.py needs matplotlib: build/venv/bin/pip install -r tools/bench/requirements.txt")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

DOCS = ROOT / "docs"
DATA = DOCS / "performance.json"
PAGE = DOCS / "performance.md"
PICTURES = DOCS / "performance"
COLOURS = {OURS: "#1f6feb", BARE: "#6e7781", ASYNCIO: "#d9822b", "uvloop Protocol": "#2a9d6f", "2024": "#8250df"}
VERDICTS = {True: "met", False: "**missed**", None: "not measured"}


def colour(side):
    """Return the colour of a side: the same in every chart."""
    return next((value for name, value in COLOURS.items() if side.startswith(name)), "#e9c39b")


def figure(width, height):
    """Return a figure and its only axes, in the style of all charts."""
    fig, axes = pyplot.subplots(figsize=(width, height), dpi=150)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#d0d7de", linewidth=0.6)
    axes.set_axisbelow(True)
    return fig, axes


def save(fig, name):
    """Write one chart, without a date or a version in it: the same data give the same file."""
    fig.tight_layout()
    fig.savefig(PICTURES / name, metadata={"Software": None})
    pyplot.close(fig)


def relative(result, side, other):
    """Return the processor time of `other` divided by that of `side`: median, least and greatest of the rounds."""
    ratios = [one[other]["cpu"] / one[side]["cpu"] for one in result["rounds"] if side in one and other in one]
    return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def draw_relative(results):
    """MicroPython: how much of the bare loop's speed is left."""
    rows = [one for one in results if BARE in one["sides"] and OURS in one["sides"]][::-1]
    fig, axes = figure(8, 0.62 * len(rows) + 1.3)
    for shift, side in ((0.2, OURS), (-0.2, ASYNCIO)):
        for place, row in enumerate(rows):
            found = relative(row, side, BARE)
            if found:
                middle, least, most = found
                axes.barh(place + shift, middle, 0.36, color=colour(side), xerr=[[middle - least], [most - middle]],
                          error_kw={"ecolor": "#24292f", "elinewidth": 0.8, "capsize": 2},
                          label=side if place == len(rows) - 1 else None)
                axes.text(most + 0.015, place + shift, f"{middle:.2f}", va="center", fontsize=8)
    for place, row in enumerate(rows):
        for bar in row["bars"]:
            if bar["other"] == BARE and bar["side"] == OURS:
                axes.plot([bar["ratio"]] * 2, [place, place + 0.4], color="#cf222e", linewidth=1.5,
                          label="bar" if place == len(rows) - 1 else None)
    axes.axvline(1, color=COLOURS[BARE], linewidth=1.2, label=BARE)
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows], fontsize=8)
    axes.set_xlim(0)
    axes.set_xlabel("work per processor time, bare loop = 1")
    axes.set_title("MicroPython: how much of the bare loop's speed is left", loc="left", fontsize=11, pad=22)
    axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=4)
    save(fig, "micropython.png")


def draw_open(result):
    """MicroPython: the cost of a message beside idle connections."""
    fig, axes = figure(7, 4)
    axes.grid(axis="y", color="#d0d7de", linewidth=0.6)
    for family in (BARE, OURS):
        points = [(int(re.search(r"(\d+) idle", name)[1]), figures["cpu"]) for name, figures in result["sides"].items()
                  if name.startswith(family)]
        if points:
            axes.errorbar([idle for idle, _ in points], [cpu["median"] for _, cpu in points],
                          [[cpu["median"] - cpu["min"] for _, cpu in points],
                           [cpu["max"] - cpu["median"] for _, cpu in points]],
                          color=colour(family), marker="o", capsize=3, label=family)
    axes.set_ylim(0)
    axes.set_xlabel("idle connections beside 20 busy ones")
    axes.set_ylabel("processor time per message, µs")
    axes.set_title("MicroPython: what idle connections cost", loc="left", fontsize=11)
    axes.legend(fontsize=8, frameon=False)
    save(fig, "open.png")


def draw_cpython(results):
    """CPython: the cost of a message with every peer."""
    fig, axes = figure(8, 1.2 + 0.36 * sum(len(one["sides"]) for one in results))
    labels, place = [], 0
    for result in results[::-1]:
        for name, figures in sorted(result["sides"].items(), key=lambda item: -item[1]["cpu"]["median"]):
            cpu = figures["cpu"]
            axes.barh(place, cpu["median"], 0.7, color=colour("bare loop" if name.startswith("bare") else name),
                      xerr=[[cpu["median"] - cpu["min"]], [cpu["max"] - cpu["median"]]],
                      error_kw={"ecolor": "#24292f", "elinewidth": 0.8, "capsize": 2})
            axes.text(cpu["max"] + 0.4, place, f"{cpu['median']:.1f}", va="center", fontsize=8)
            labels.append((place, f"{name}, {result['load']['conns']}"))
            place += 1
        place += 0.6
    axes.set_yticks([at for at, _ in labels], [text for _, text in labels], fontsize=8)
    axes.set_xlim(0)
    axes.set_xlabel("processor time per message, µs (less is better)")
    axes.set_title("CPython: TCP echo of 64 B, by number of connections", loc="left", fontsize=11)
    save(fig, "cpython.png")


def amount(value):
    """Return a number with the digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def table(results):
    """Return the comparisons with their bars as a Markdown table."""
    lines = ["| work | side | per second | processor time | ratio to | by rate | by processor time | bar | |",
             "|---|---|---|---|---|---|---|---|---|"]
    for result in results:
        if result["kind"] != "row":
            continue
        title = result["title"]
        scale = (1e6, "MB", 1e3, "ns/KB") if result["unit"] == "bytes" else (1, "", 1, "µs")
        for name, figures in result["sides"].items():
            rate = f"{figures['rate']['median'] / scale[0]:,.0f} {scale[1]}".strip()
            cost = f"{amount(figures['cpu']['median'] * scale[2])} {scale[3]}"
            bars = [bar for bar in result["bars"] if bar["side"] == name] or [None]
            for bar in bars:
                lines.append(f"| {title} | {name} | {rate} | {cost} | {bar_cells(bar)} |")
                title = name = rate = cost = ""
    return "\n".join(lines)


def bar_cells(bar):
    """Return the cells of one bar."""
    if bar is None:
        return "| | | |"
    if not bar["ratio"]:
        return f"| | | served | {VERDICTS[bar['met']]}"
    cells = [f"{bar['found'][by]['median']:.2f} ({bar['found'][by]['min']:.2f}-{bar['found'][by]['max']:.2f})"
             if by in bar["found"] else "" for by in ("rate", "cpu")]
    return f"{bar['other']} | {cells[0]} | {cells[1]} | ≥ {bar['ratio']:.2g} | {VERDICTS[bar['met']]}"


def gauge_table(results):
    """Return the gauges as a Markdown table."""
    lines = ["| quantity | side | median (least-greatest) | bar | |", "|---|---|---|---|---|"]
    for result in results:
        if result["kind"] == "gauge":
            for bar in result["bars"]:
                if bar["met"] is None:
                    continue
                value, unit = result["sides"][bar["side"]], result["unit"]
                found = f"{value['median']:.4g} ({value['min']:.4g}-{value['max']:.4g}) {unit}"
                lines.append(f"| {result['title']} | {bar['side']} | {found} | ≤ {result['limit']:g} {unit}"
                             f" | {VERDICTS[bar['met']]} |")
    return "\n".join(lines)


def conditions(found):
    """Return under what conditions the figures were found, as one sentence."""
    return (f"Measured on {found['date']}: {found['processor']}, {found['cores']} cores, {found['system']};"
            f" MicroPython {found['micropython'].removeprefix('MicroPython ')}, CPython {found['cpython']}; the library"
            f" {'frozen' if found['library'] == 'frozen' else 'from lib/'}; {found['rounds']} rounds of"
            f" {found['seconds']} s.")


def fill(page, mark, text):
    """Return `page` with what stands between the two comments called `mark` replaced."""
    pattern = rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)"
    filled, count = re.subn(pattern, lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)
    if not count:
        sys.exit(f"{PAGE.relative_to(ROOT)} has no place called {mark}")
    return filled


def main():
    """Copy the results and draw everything from the copy."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILD / "results.json"
    data = json.loads(source.read_text())
    results = data["results"]
    by_name = {result["name"]: result for result in results}
    if not {"open-4000", "cpython-echo-50", "cpython-echo-500"} <= set(by_name):
        sys.exit(f"{source}: not the results of all rows")
    if source.resolve() != DATA.resolve():
        shutil.copy(source, DATA)
    PICTURES.mkdir(exist_ok=True)
    draw_relative([one for one in results if one["kind"] == "row" and one["name"] != "open-4000"])
    draw_open(by_name["open-4000"])
    draw_cpython([by_name[name] for name in ("cpython-echo-50", "cpython-echo-500")])
    page = fill(PAGE.read_text(), "conditions", conditions(data["conditions"]))
    page = fill(page, "comparisons", table(results))
    PAGE.write_text(fill(page, "gauges", gauge_table(results)))


if __name__ == "__main__":
    main()
