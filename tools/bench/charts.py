"""Draws docs/performance/*.svg and the tables of the two pages on performance from one run of the benchmark.

    python3 tools/bench/charts.py [RESULTS]

RESULTS (build/bench/results.json) is copied to docs/performance.json, and everything is drawn from the copy.
"""

import json
import re
import shutil
import statistics
import sys
from pathlib import Path

from rows import ASYNCIO, BARE, OURS
from runner import BUILD, ROOT
from svg import GRID, INK, PAPER, Picture

DOCS = ROOT / "docs"
DATA = "performance.json"
VERDICTS = {True: "met", False: "**missed**", None: "not measured"}

# Colours safe for the colour-blind (Okabe and Ito). White text is legible on the dark ones.
COLOURS = {OURS: "#0072b2", "bare": "#767676", "asyncio": "#e69f00", "uvloop": "#009e73", "2024": "#cc79a7"}
DARK = (COLOURS[OURS], COLOURS["bare"])

WIDTH = 820
PLOT_LEFT, PLOT_RIGHT = 330, 790
BAR = 18

SUMMARY = ("tcp-echo-64-1", "tcp-echo-64-50", "tcp-echo-64-500", "tcp-echo-4096-50", "idle-1000", "lines-16", "udp",
           "churn", "cpython-echo-50", "cpython-echo-500")  # fmt: skip
SUMMARY_SIDES = {"XAsyncSockets": OURS, "asyncio streams": ASYNCIO, "asyncio `Protocol`": "asyncio Protocol",
                 "uvloop `Protocol`": "uvloop Protocol", "bare loop": "bare"}  # fmt: skip


def colour(side):
    """Return the colour of a side: the same in every chart."""
    return next(value for name, value in COLOURS.items() if side.startswith(name))


class Scale:
    """Places on a horizontal axis that begins at 0."""

    def __init__(self, top):
        self.top = top

    def at(self, value):
        """Return the place of `value`; a value beyond the axis is at its end."""
        return PLOT_LEFT + (PLOT_RIGHT - PLOT_LEFT) * min(value / self.top, 1)

    def draw(self, picture, first, last, ticks, label):
        """Draw the grid from `first` down to `last`, the ticks and the label of the axis."""
        for value in ticks:
            picture.path([(self.at(value), first), (self.at(value), last)], GRID)
            picture.text(self.at(value), last + 16, f"{value:g}", "middle")
        picture.text((PLOT_LEFT + PLOT_RIGHT) / 2, last + 36, label, "middle")


def draw_bar(picture, scale, y, side, middle, least, most):
    """Draw a bar with the range of its rounds. The number is inside the bar, or after the range of a short one."""
    fill = colour(side)
    picture.box(PLOT_LEFT, y, scale.at(middle) - PLOT_LEFT, BAR, fill)
    centre = y + BAR / 2
    if middle <= scale.top:
        picture.path([(scale.at(least), centre), (scale.at(most), centre)])
        picture.path([(scale.at(least), centre - 4), (scale.at(least), centre + 4)])
    end = scale.at(most)
    if most <= scale.top:
        picture.path([(end, centre - 4), (end, centre + 4)])
    else:
        draw_beyond(picture, end, centre)
    number = f"{middle:.2f}" if scale.top < 5 else f"{middle:.1f}"
    inside = scale.at(least) - PLOT_LEFT > 42
    if inside:
        picture.text(PLOT_LEFT + 6, centre + 4, number, colour=PAPER if fill in DARK else INK)
    else:
        picture.box(end + 4, y, 34, BAR, PAPER)
        picture.text(end + 6, centre + 4, number)


def draw_beyond(picture, x, y):
    """Draw the arrow of a range that continues beyond the scale."""
    picture.path([(x, y - 5), (x + 7, y), (x, y + 5)], width=1.5)


def draw_key(picture, y, entries):
    """Draw the key of the colours, in one line."""
    x = 12
    for side, words in entries:
        picture.box(x, y - 10, 12, 12, colour(side))
        picture.text(x + 18, y, words)
        x += 40 + 7.2 * len(words)
    picture.text(x, y, "line: least to greatest of all rounds; arrow: beyond the scale", colour="#57606a")


def relative(result, side, other):
    """Return the processor time of `other` divided by that of `side`: median, least and greatest of the rounds."""
    ratios = [one[other]["cpu"] / one[side]["cpu"] for one in result["rounds"] if side in one and other in one]
    return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def draw_relative(results, path):
    """MicroPython: draw how much of the bare loop's speed is left."""
    rows = [one for one in results if BARE in one["sides"] and OURS in one["sides"] and one["name"] != "open-4000"]
    groups = [[side for side in (OURS, ASYNCIO) if side in row["sides"]] for row in rows]
    gap, top = 12, 66
    bottom = top + sum(gap + BAR * len(sides) for sides in groups) + gap / 2
    picture = Picture(WIDTH, bottom + 48, "MicroPython: speed compared with the bare loop")
    draw_key(picture, 50, ((OURS, OURS), (ASYNCIO, ASYNCIO)))
    scale = Scale(1.2)
    scale.draw(picture, top, bottom, (0, 0.2, 0.4, 0.6, 0.8, 1, 1.2), "work per processor time, bare loop = 1")
    picture.path([(scale.at(1), top), (scale.at(1), bottom)], COLOURS["bare"], 1.5)
    y = top + gap / 2
    for row, sides in zip(rows, groups):
        picture.text(PLOT_LEFT - 10, y + BAR * len(sides) / 2 + 4, short(row["title"]), "end")
        for side in sides:
            draw_bar(picture, scale, y, side, *relative(row, side, BARE))
            y += BAR
        y += gap
    picture.save(path)


def short(title):
    """Return a row's title, short enough to fit beside its bars."""
    return title.replace("TCP echo, 64 B, 20 busy beside", "echo, 20 busy beside").replace(", 200 MB", "").replace(
        "connections opened, served once and closed, 16 at a time", "connections opened, served, closed").replace(
        "UDP datagrams in and out, 64 B, 64 under way", "UDP datagrams in and out, 64 B")  # fmt: skip


def draw_open(result, path):
    """MicroPython: draw the cost of a message beside idle connections."""
    left, right, top, bottom, most, widest = 70, 640, 66, 346, 120, 4000
    picture = Picture(WIDTH, bottom + 50, "MicroPython: what idle connections cost")

    def place(idle, cost):
        return left + (right - left) * idle / widest, bottom - (bottom - top) * min(cost / most, 1)

    for cost in range(0, most + 1, 20):
        picture.path([place(0, cost), place(widest, cost)], GRID)
        picture.text(left - 8, place(0, cost)[1] + 4, str(cost), "end")
    for idle in range(0, widest + 1, 1000):
        picture.text(place(idle, 0)[0], bottom + 18, f"{idle:,}", "middle")
    picture.text((left + right) / 2, bottom + 40, "idle connections beside 20 busy ones", "middle")
    picture.text(12, top - 20, "processor time per message, µs")
    for shift, family in ((-2, BARE), (2, OURS)):
        points = []
        for name, figures in result["sides"].items():
            if name.startswith(family):
                idle, cpu = int(re.search(r"(\d+) idle", name)[1]), figures["cpu"]
                x, y = place(idle, cpu["median"])
                points.append((x + shift, y))
                ends = [(x + shift, place(idle, cpu[end])[1]) for end in ("min", "max")]
                picture.path(ends)
                for end_x, end_y in ends:
                    picture.path([(end_x - 4, end_y), (end_x + 4, end_y)])
        picture.path(points, colour(family), 2, None if family == OURS else "6 4")
        for x, y in points:
            picture.dot(x, y, colour(family))
        picture.text(right + 16, points[-1][1] + 4, f"{family}: {cpu_of(result, family):.0f} µs")
    picture.save(path)


def cpu_of(result, family):
    """Return the median cost of a family's last side, the one with the most connections."""
    return [figures["cpu"]["median"] for name, figures in result["sides"].items() if name.startswith(family)][-1]


def draw_cpython(results, path):
    """CPython: draw the cost of a message with every peer."""
    step, top = BAR + 6, 66
    height = sum(34 + step * len(one["sides"]) for one in results)
    picture = Picture(WIDTH, top + height + 48, "CPython: processor time per message, TCP echo of 64 B")
    draw_key(picture, 50, ())
    scale = Scale(20)
    scale.draw(picture, top, top + height, range(0, 21, 5), "µs per message (less is better)")
    y = top + 8
    for result in results:
        picture.text(PLOT_LEFT - 10, y + 14, f"{result['load']['conns']} connections", "end", size=13)
        y += 26
        for name, figures in sorted(result["sides"].items(), key=lambda item: item[1]["cpu"]["median"]):
            cpu = figures["cpu"]
            picture.text(PLOT_LEFT - 10, y + BAR / 2 + 4, name, "end")
            draw_bar(picture, scale, y, name, cpu["median"], cpu["min"], cpu["max"])
            y += step
        y += 8
    picture.save(path)


def summary(by_name):
    """Return a Markdown table for users: pieces of work per second."""
    lines = [f"| per second, on one core | {' | '.join(SUMMARY_SIDES)} |", f"|---|{'---|' * len(SUMMARY_SIDES)}"]
    for row in (by_name[name] for name in SUMMARY):
        cells = []
        for wanted in SUMMARY_SIDES.values():
            found = [figures for name, figures in row["sides"].items() if name.startswith(wanted)]
            cells.append(f"{found[0]['rate']['median']:,.0f}" if found else "")
        title = row["title"] if row["title"].startswith("CPython") else f"MicroPython: {row['title']}"
        lines.append(f"| {title} | **{cells[0]}** | {' | '.join(cells[1:])} |")
    return "\n".join(lines)


def amount(value):
    """Return a number with its significant digits."""
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
    """Return the conditions of the measurement as one sentence."""
    return (f"Measured on {found['date']}: {found['processor']}, {found['cores']} cores, {found['system']};"
            f" MicroPython {found['micropython'].removeprefix('MicroPython ')}, CPython {found['cpython']}; the library"
            f" {'frozen' if found['library'] == 'frozen' else 'from lib/'}; {found['rounds']} rounds of"
            f" {found['seconds']} s.")


def fill(path, **parts):
    """Replace the text between the two comments of each name in the page `path`."""
    page = path.read_text(encoding="utf-8")
    for mark, text in parts.items():
        pattern = rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)"
        page, count = re.subn(pattern, lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)  # noqa: B023
        if not count:
            sys.exit(f"{path} has no place called {mark}")
    path.write_text(page, encoding="utf-8")


def draw(docs):
    """Draw the charts and fill the tables of the folder `docs` from its performance.json."""
    data = json.loads((docs / DATA).read_text(encoding="utf-8"))
    results = data["results"]
    by_name = {result["name"]: result for result in results}
    pictures = docs / "performance"
    pictures.mkdir(exist_ok=True)
    draw_relative([one for one in results if one["kind"] == "row"], pictures / "micropython.svg")
    draw_open(by_name["open-4000"], pictures / "open.svg")
    draw_cpython([by_name[name] for name in ("cpython-echo-50", "cpython-echo-500")], pictures / "cpython.svg")
    fill(docs / "performance.md", conditions=conditions(data["conditions"]), summary=summary(by_name))
    fill(docs / "performance-notes.md", comparisons=table(results), gauges=gauge_table(results))


def main():
    """Copy the results and draw everything from the copy."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILD / "results.json"
    names = {result["name"] for result in json.loads(source.read_text(encoding="utf-8"))["results"]}
    missing = {"open-4000", *SUMMARY} - names
    if missing:
        sys.exit(f"{source} lacks {', '.join(sorted(missing))}: run make bench, without QUICK=1")
    if source.resolve() != (DOCS / DATA).resolve():
        shutil.copy(source, DOCS / DATA)
    draw(DOCS)


if __name__ == "__main__":
    main()
