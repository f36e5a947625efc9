"""A headless Chromium that shows a board's page, as on a phone or on a desktop computer."""

import os
import shutil
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_S = 40  # a browser on a busy computer takes its time
PHONE, DESK = (360, 740), (1200, 800)
# Finds visible elements that may have the name, because asking the browser for the name of each would take long.
_MAYBE_NAMED = """
const [selector, name] = arguments, within = text => (text || "").includes(name);
return [...document.querySelectorAll(selector)].filter(one => one.checkVisibility() && (within(one.textContent)
  || within(one.getAttribute("aria-label")) || [...one.labels || []].some(label => within(label.textContent))));
"""
_TEXT = "const e = document.querySelector(arguments[0]); return e && e.checkVisibility() ? e.innerText : ''"
_PATH = os.environ.get("PATH", "") + ":/usr/sbin"


def missing():
    """Return the reason why there is no browser, or None."""
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program, path=_PATH):
            return f"no {program}: make build/peers.stamp installs it"
    return None


def start():
    """Start a browser, and return its driver."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium", path=_PATH)
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-GB"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver", path=_PATH)))


class Page:
    """The page of the board at `url`."""

    def __init__(self, driver, url):
        self.driver = driver
        self.url = url
        self.look()

    def look(self, size=DESK, dark=False, scale=1):
        """Show the page in a window of that size, in a light or dark colour scheme."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, view=""):
        """Load the page again, and show that part of it."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}#{view}")
        self.until(lambda: "● live" in self.text("#state"))

    def go(self, view):
        """Follow the link to a part."""
        self.find(f"#to-{view}").click()

    def until(self, condition, patience_s=PATIENCE_S):
        """Wait until `condition()` is true, and return its value."""
        end = time.monotonic() + patience_s
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < end, f"the condition did not become true; the page:\n{self.text('body')}"
            time.sleep(0.05)

    def run(self, script, *args):
        """Run a script in the page, and return its value."""
        return self.driver.execute_script(script, *args)

    def text(self, selector):
        """Return the visible text of an element; "" if there is no element or it is hidden."""
        return self.run(_TEXT, selector)

    def find(self, selector):
        """Return the element as soon as it is visible."""

        def found():
            elements = self.driver.find_elements("css selector", selector)
            return next((one for one in elements if one.is_displayed()), None)

        return self.until(found)

    def named(self, kind, name, within="body"):
        """Return the element with this tag and this accessible name."""

        def found():
            elements = self.run(_MAYBE_NAMED, f"{within} {kind}", name.split()[0])
            return next((one for one in elements if one.accessible_name == name), None)

        return self.until(found)

    def press(self, name, within="body"):
        """Press a button."""
        self.click(self.named("button", name, within))

    def click(self, element):
        """Scroll to an element, and click it."""
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def unfold(self, selector):
        """Open a part of the settings."""
        self.run("arguments[0].open = true", self.find(selector))

    def fill(self, name, text, within="body"):
        """Type text into a field, and leave it."""
        entry = self.named(":is(input, textarea)", name, within)
        entry.clear()
        entry.send_keys(text)
        self.run("arguments[0].blur()", entry)

    def answer_login(self, token):
        """Enter the token into the dialog."""
        self.fill("Token", token, "dialog")
        self.press("Log in", "dialog")

    def log_in(self, token):
        """Log in with the button."""
        self.press("Log in", "header")
        self.answer_login(token)
        self.until(lambda: self.text("#who") == "Log out")

    def accessibility_faults(self):
        """Return the faults that axe-core finds, as text."""
        if not AXE.exists():
            pytest.skip("no axe-core: make tests_host/web/node_modules/.package-lock.json installs it")
        if not self.run("return !!window.axe"):
            self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text()})
        found = self.driver.execute_async_script("const done = arguments[0]; axe.run().then(done)")
        assert len(found["passes"]) > 10
        nodes = [(one["id"], node) for one in found["violations"] for node in one["nodes"]]
        return [f"{rule}: {node['html']}: {node['failureSummary']}" for rule, node in nodes]

    def complaints(self):
        """Return the browser's messages: errors of the page's scripts, and violations of its policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
