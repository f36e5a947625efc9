"""Takes the screenshots of the board's page for the docs: docs/web/*.png. `make screenshots` runs it."""

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
sys.path.append(str(HERE.parent / "firmware"))

import browser  # noqa: E402
from free_ports import free_port  # noqa: E402
from image import ROOT, BoardProcess  # noqa: E402

FOLDER = ROOT / "docs" / "web"
GREENHOUSE = """
from math import sin


class Sensor:
    name = "greenhouse"
    count = 0

    def read(self):
        self.count += 1
        day = sin(self.count / 11)
        return {
            "celsius": round(21.4 + 3.1 * day + 0.2 * sin(self.count), 1),
            "humidity": round(58 - 11 * day + 0.5 * sin(self.count * 1.7), 1),
            "hectopascal": round(1013.2 + 2 * sin(self.count / 29), 1),
        }
"""
SOIL = """
class Sensor:
    name = "soil"
    moisture = 0.62

    def read(self):
        self.moisture = 0.62 if self.moisture < 0.31 else self.moisture - 0.004
        return {"moisture": round(self.moisture, 3)}
"""


@contextmanager
def board(driver, **sections):
    """Return the page of a running board."""
    with tempfile.TemporaryDirectory() as folder:
        process = BoardProcess(Path(folder))
        port = free_port()
        process.configure(device={"name": "garden"}, http={"port": port}, sensors={"off": ["system"]}, **sections)
        process.write("sensors/greenhouse.py", GREENHOUSE)
        process.write("sensors/soil.py", SOIL)
        process.start()
        try:
            process.wait_for(r"^page ")
            with process.client() as client:
                if client.login().get("result"):
                    for pin in (2, 5, 16):
                        client.result("gpio.write", pin=pin, value=1)
            yield browser.Page(driver, f"http://127.0.0.1:{port}/")
        finally:
            process.end()


def take(page, name, size, dark):
    """Take one screenshot."""
    page.look(size, dark)
    path = FOLDER / f"{name}.png"
    page.driver.save_screenshot(str(path))
    print(path.relative_to(ROOT), path.stat().st_size, "bytes")


def main():
    """Take all screenshots."""
    reason = browser.missing()
    if reason:
        raise SystemExit(reason)
    FOLDER.mkdir(exist_ok=True)
    driver = browser.start()
    try:
        with board(driver) as page:
            page.open()
            page.find("svg[aria-label^='the last 90 readings']")
            for colours in ("light", "dark"):
                take(page, f"desk-{colours}", (1100, 580), colours == "dark")
                take(page, f"phone-{colours}", browser.PHONE, colours == "dark")
            page.go("pins")
            page.find("#view-pins [aria-checked=true]")
            take(page, "pins", browser.PHONE, False)
        os.environ["BOARD_WIFI"] = json.dumps({"home": "correct horse", "neighbours": "their secret", "cafe": ""})
        with board(driver, control={"port": 0, "token": ""}) as page:
            page.open()
            page.named("input", "home strong").click()
            take(page, "set-up", (360, 980), False)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
