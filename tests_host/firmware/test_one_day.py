"""A day of the board's time does not use up the heap."""

import json
import subprocess
from pathlib import Path

from image import IMAGE, image_environment


def test_a_day_of_telemetry_and_control_leaves_the_heap_flat(tmp_path):
    done = subprocess.run(
        [IMAGE, str(Path(__file__).with_name("one_day.py"))],
        cwd=tmp_path,
        env=image_environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    day = json.loads(done.stdout.splitlines()[-1])
    assert day["uptime"] == 24 * 3600
    assert min(day["lines"], day["answers"], day["notes"]) >= 24 * 90
    assert not day["errors"]
    used = day["used"][2:]  # the first two hours fill the tables of fixed size
    assert max(used) - min(used) < 256, used
