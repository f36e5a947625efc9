"""The pages and charts on performance agree with docs/performance.json (tools/bench/charts.py)."""

import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["performance.md", "performance-notes.md"]
PICTURES = ["micropython.svg", "open.svg", "cpython.svg"]

sys.path.append(str(ROOT / "tools" / "bench"))
charts = pytest.importorskip("charts", reason="the benchmark needs Linux", exc_type=AttributeError)


def test_the_pages_and_the_charts_are_up_to_date(tmp_path):
    """If it fails: python3 tools/bench/charts.py docs/performance.json."""
    for name in [*PAGES, "performance.json"]:
        shutil.copy(ROOT / "docs" / name, tmp_path)
    charts.draw(tmp_path)
    for name in [*PAGES, *(f"performance/{picture}" for picture in PICTURES)]:
        assert (tmp_path / name).read_text() == (ROOT / "docs" / name).read_text(), name


@pytest.mark.parametrize("name", ["micropython.svg", "cpython.svg"])
def test_no_range_squeezes_the_bars(name):
    picture = (ROOT / "docs" / "performance" / name).read_text()
    bars = [float(width) for width in re.findall(rf'<rect x="{charts.PLOT_LEFT}.0" .*?width="([\d.]+)"', picture)]
    assert max(bars) > 0.75 * (charts.PLOT_RIGHT - charts.PLOT_LEFT)
    places = [float(x) for line in re.findall(r'points="([^"]+)"', picture) for x in re.findall(r"([\d.]+),", line)]
    assert charts.PLOT_LEFT <= min(places) and max(places) <= charts.WIDTH - 20


def test_every_chart_is_on_the_page():
    page = (ROOT / "docs" / "performance.md").read_text()
    assert re.findall(r"\]\(performance/(.*?)\)", page) == PICTURES
    assert sorted(path.name for path in (ROOT / "docs" / "performance").iterdir()) == sorted(PICTURES)
