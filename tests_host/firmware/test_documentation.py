"""Checks the documentation: compares its tables with the firmware, and runs its programs."""

import json
import re
import subprocess
import sys

from image import PATIENCE_S, ROOT

from firmware.config.defaults import SCHEMA

DOCS = ROOT / "docs"


def rows(page, start):
    """Return the cells of the table rows whose first cell is code that begins with `start`."""
    for line in (DOCS / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and re.match(start, cells[0]):
            yield cells


def test_every_key_of_the_configuration_is_explained_with_its_default():
    defaults = {
        f"{section}.{key}": json.dumps(value)
        for section, values in SCHEMA.fill({}).items()
        for key, value in values.items()
    }
    documented = {
        cells[0].strip("`"): cells[1].strip("`") for cells in rows("configuration.md", r"`[a-z]+\.[a-z0-9_]+`")
    }
    assert documented == defaults


def test_every_method_is_listed_with_its_parameters_and_its_access(board):
    board.start()
    with board.client() as client:
        lines = client.result("help")
    offered = {}
    for line in lines:
        usage = line.split(": ")[0]
        words = usage.replace(" (token)", "").split()
        offered[words[0]] = (words[1:], "(token)" in usage)
    documented = {}
    for cells in rows("control.md", r"`[a-z_.]+`( 🔒)?$"):
        name = re.match("`([a-z_.]+)`", cells[0]).group(1)
        params = cells[1].strip("`").split() if cells[1].startswith("`") else []
        documented[name] = (params, "🔒" in cells[0])
    assert documented == offered


def test_the_login_example_works(board):
    board.configure(control={"port": 0, "token": "a long secret of your own"})
    board.start()
    source = re.search(r"```python\n(.*?)```", (DOCS / "control.md").read_text(), re.DOTALL).group(1)
    done = subprocess.run(
        [sys.executable, "-c", source.replace("8095", str(board.port))],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout == "1\n", done.stderr


def pages():
    return [*DOCS.glob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").rglob("README.md")]


def anchors(page):
    """Return the targets of links into a page: its headings, named as on Markdown web pages."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_the_pages_are_valid():
    for page in pages():
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def test_every_command_of_make_has_a_target():
    makefiles = [ROOT / "Makefile", *ROOT.glob("boards/*.mk"), ROOT / "tools" / "emulator" / "emulator.mk"]
    text = "".join(makefile.read_text() for makefile in makefiles)
    targets = set(re.findall(r"^([a-z0-9-]+):", text, re.MULTILINE))
    for page in pages():
        for target in re.findall(r"^    (?:\$ )?make ([a-z][a-z0-9-]*)", page.read_text(), re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"


def test_every_page_is_in_the_index_once_and_the_index_in_the_readme():
    linked = re.findall(r"\]\(([a-z0-9-]+\.md)\)", (DOCS / "index.md").read_text())
    assert sorted(linked) == sorted(page.name for page in DOCS.glob("*.md") if page.name != "index.md")
    assert "](docs/index.md)" in (ROOT / "README.md").read_text()


def test_the_readme_fits_on_a_screen_and_a_half():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90
