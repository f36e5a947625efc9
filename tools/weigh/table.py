"""The figures of docs/weight.md: `make weigh` writes them; `make image` and `make deploy` read them."""

import re
from collections import namedtuple
from pathlib import Path

from tools.flash.ports import BoardProblem

PAGE = Path(__file__).resolve().parents[2] / "docs" / "weight.md"
HEAP = {
    "empty": "before our code is loaded",
    "peak": "the most in use at the end of an import",
    "used": "in use once the firmware runs, after a collection",
    "modem": "of it the buffer of PPP's modem",
    "free": "free then",
    "asked": "in use after `help`, `info`, `sensor.read` and `net.status`",
    "serving": "in use while 4 clients send requests and receive every measurement, one per second",
}
SHOWN = {  # nothing is computed from these
    "first": "milliseconds from reset to the first datagram",
    "image_used": "with our image: in use once the firmware runs",
    "image_free": "with our image: free then",
    "image_first": "with our image: milliseconds from reset to the first datagram",
}

Weight = namedtuple("Weight", "name file heap by_default")
Table = namedtuple("Table", "heap modules")  # {key of HEAP: bytes}, {name: Weight}


def read(page=None):
    """Return the `Table` of a page. Raises BoardProblem if the page does not have the form that `make weigh` writes."""
    page = page or PAGE
    try:
        text = page.read_text()
        cells = dict(_cells(_between(text, "heap")[1]))
        heap = {key: _number(cells[name]) for key, name in HEAP.items()}
        heap.update({key: _number(cells[name]) for key, name in SHOWN.items() if name in cells})
        modules = [
            Weight(name.strip("`"), _number(file), _number(taken), default == "yes")
            for name, file, taken, default in _cells(_between(text, "modules")[1])
            if name.startswith("`")
        ]
    except (OSError, ValueError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"its table is damaged ({error})"
        raise BoardProblem(f"{page.name}: {reason}; make weigh writes it again.") from error
    return Table(heap, {one.name: one for one in modules})


def write(table, page):
    """Put a `Table` into a page."""
    text = fill(page.read_text(), "heap", _heap_rows(table.heap))
    page.write_text(fill(text, "modules", _module_rows(table.modules.values())))


def fill(text, mark, content):
    """Return `text` with new `content` between the two comments called `mark`."""
    found = _between(text, mark)
    return f"{text[: found.start(1)]}\n{content}\n{text[found.end(1) :]}"


def _between(text, mark):
    found = re.search(rf"<!-- {mark} -->(\n.*?)<!-- /{mark} -->", text, re.DOTALL)
    if not found:
        raise ValueError(f"there is no place called {mark}")
    return found


def _cells(text):
    """Return the cells of each row below a table's head."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def _number(text):
    return int(text.replace(",", ""))


def _heap_rows(heap):
    rows = [f"| {name} | {heap[key]:,} |" for key, name in {**HEAP, **SHOWN}.items() if key in heap]
    return "\n".join(["| what | bytes |", "|---|---|"] + rows)


def _module_rows(weights):
    rows = ["| module | file | heap | loaded by default |", "|---|---|---|---|"]
    for one in sorted(weights, key=lambda one: (not one.by_default, -one.file)):
        rows.append(f"| `{one.name}` | {one.file:,} | {one.heap:,} | {'yes' if one.by_default else ''} |")
    own = [one for one in weights if one.name != "XAsyncSockets"]
    loaded = [one for one in own if one.by_default]
    rows.append(f"| all of the firmware | {sum(one.file for one in own):,} | | |")
    rows.append(
        f"| of it loaded by default | {sum(one.file for one in loaded):,} | {sum(one.heap for one in loaded):,} | yes |"
    )
    return "\n".join(rows)
