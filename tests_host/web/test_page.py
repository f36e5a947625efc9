"""The board's page in a browser, used like a user does."""

import contextlib
import hashlib
import hmac
import json
import re
import socket

import pytest
from browser import DESK, PATIENCE_S, PHONE, Page
from free_ports import free_port
from image import ROOT

TOKEN = "a token for tests"
NETWORK = {"ssid": "<b>home</b>", "password": "correct horse"}
HOSTILE = "<img src=x onerror=document.title=1>"
SENSORS = f"""
class Sensor:
    name = {HOSTILE!r}
    count = 0

    def read(self):
        Sensor.count += 1
        return {{"celsius": 20 + Sensor.count % 3, "<b>text</b>": "<i>wet</i>", "broken": OSError({HOSTILE!r})}}
"""
VIEWS = ("readings", "pins", "network", "log", "settings", "system")


@pytest.fixture(scope="module")
def site(driver, board):
    """The page of a board with a sensor that has hostile names."""
    port = free_port()
    board.configure(
        device={"name": "attic"},
        http={"port": port},
        control={"port": free_port()},  # the same after a restart
        boot={"steady_s": 1},
        wifi={"networks": [NETWORK]},
    )
    board.write("sensors/hostile.py", SENSORS)
    for name in ("constructor", "__proto__"):  # every JavaScript object has such members
        reading = {name: 7}
        board.write(f"sensors/{name}.py", f"class Sensor:\n name = {name!r}\n def read(self): return {reading}\n")
    board.start()
    board.wait_for(r"^page ")
    return Page(driver, f"http://127.0.0.1:{port}/")


@pytest.fixture
def page(site):
    site.look()
    site.complaints()
    return site


@pytest.fixture
def client(board):
    with board.client() as client:
        yield client


def config(board):
    return json.loads((board.folder / "config.json").read_text())


def test_readings_arrive_by_themselves_and_are_drawn(page):
    page.open()
    assert page.text("h1") == "attic" and "UNIX" in page.text("#state")
    chart = page.find("#view-readings svg[aria-label$='°C']")
    page.until(lambda: re.match(r"the last [1-9][0-9]+ readings, from 2[0-2] °C to 2[0-2] °C$", chart.accessible_name))
    assert chart.find_element("css selector", "path:last-child").get_attribute("d").count("L") > 8
    system = page.text("#view-readings")
    assert re.search(r"memory total\n[\d.]+ GB", system) and "°C" in system


def take_place_for_events(page):
    """Open a connection for events. Return None while there is no place for it."""
    host, port = re.fullmatch(r"http://(.*):(\d+)/", page.url).groups()
    other = socket.create_connection((host, int(port)), PATIENCE_S)
    other.sendall(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    if b" 200 " in other.recv(20):
        return other
    other.close()
    return None


def test_without_a_place_for_events_it_asks_again_and_again(page):
    page.driver.get("about:blank")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(page.until(lambda: take_place_for_events(page)))  # the page's own ends first
        page.driver.get(page.url)
        page.until(lambda: "not live" in page.text("#state"))
        first = page.find("#view-readings svg[aria-label$='°C']").accessible_name
        page.until(lambda: page.find("#view-readings svg[aria-label$='°C']").accessible_name != first)
    page.until(lambda: "● live" in page.text("#state"))


def test_foreign_text_is_not_executed(page):
    page.open()
    told = (f"{HOSTILE}\n", f"broken: OSError: {HOSTILE}", "<b>text</b>\n<i>wet</i>")
    page.until(lambda: all(text in page.text("#view-readings") for text in told))
    for name in ("constructor", "proto"):
        assert re.search(name + r"\s+7\s", page.text("#view-readings"))
    page.go("log")
    page.until(lambda: HOSTILE in page.text("#view-log"))
    page.go("settings")
    page.unfold("#s-wifi")
    assert page.named("input", "ssid").get_attribute("value") == "<b>home</b>"
    assert not page.driver.find_elements("css selector", "main img, main b b, main b i")
    assert "attic" in page.driver.title
    source = (ROOT / "firmware/web/page.html").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser|srcdoc", source)


def test_pins_are_read_by_all_and_set_after_the_login(page, client):
    client.login()
    client.result("gpio.write", pin=3, value=1)
    page.open("pins")
    page.until(lambda: page.named("button", "Pin 3").get_attribute("aria-checked") == "true")
    assert page.named("button", "Pin 2").get_attribute("aria-checked") == "false"
    page.press("Pin 2")
    page.answer_login(TOKEN)
    page.until(lambda: page.named("button", "Pin 2").get_attribute("aria-checked") == "true")
    assert client.result("gpio.read", pin=2) == 1
    page.press("Pin 2")
    page.until(lambda: client.result("gpio.read", pin=2) == 0)
    page.press("Log out")
    page.press("Pin 2")
    page.press("Cancel", "dialog")
    assert client.result("gpio.read", pin=2) == 0


def test_a_wrong_token_waits(page):
    page.open()
    page.press("Log in", "header")
    page.answer_login("a wrong token")
    page.until(lambda: "wrong token" in page.text("dialog [role=alert]"))
    assert page.named("button", "Wait 1 s", "dialog").get_attribute("disabled")
    page.named("button", "Log in", "dialog")
    page.answer_login(TOKEN)
    page.until(lambda: page.text("#who") == "Log out" and not page.text("dialog"))


def test_a_setting_is_checked_by_the_board_changed_and_saved(page, board):
    page.open("settings")
    page.log_in(TOKEN)
    page.unfold("#s-telemetry")
    page.fill("jitter", "a lot")
    page.until(lambda: "telemetry.jitter: 'a lot' is not a number from 0 to 0.5" in page.text("#s-telemetry"))
    page.fill("jitter", "0.25")
    page.fill("collectors, one per line", "127.0.0.1:9\n127.0.0.1:10")
    page.until(lambda: not page.text("#s-telemetry .error"))
    page.press("Save")
    page.until(lambda: "Saved" in page.text("#toast"))
    telemetry = config(board)["telemetry"]
    assert telemetry["jitter"] == 0.25 and telemetry["collectors"] == ["127.0.0.1:9", "127.0.0.1:10"]


def test_a_network_is_added_and_removed_and_the_others_password_kept(page, board):
    page.open("settings")
    page.log_in(TOKEN)
    page.unfold("#s-wifi")
    assert page.named("input", "password").get_attribute("placeholder") == "set, not shown"
    page.unfold("#s-wifi details")
    page.fill("ssid", "attic", "#s-wifi details")
    page.press("Add", "#s-wifi")
    page.until(lambda: "networks 2" in page.text("#s-wifi"))
    page.press("Save")
    page.until(lambda: "Saved" in page.text("#toast") and len(config(board)["wifi"]["networks"]) == 2)
    page.run("[...document.querySelectorAll('#s-wifi button')].filter(b => b.textContent == 'Remove')[1].click()")
    page.until(lambda: "networks 2" not in page.text("#s-wifi"))
    page.press("Save")
    page.until(lambda: config(board)["wifi"]["networks"] == [NETWORK])


def test_an_update_is_sent_watched_and_logged(page, board, tmp_path):
    file = tmp_path / "bell.py"
    file.write_text("class Service:\n def start(self, app):\n  app.log.info('bell', 'it rings')\n" + "# " * 2000)
    page.open("system")
    page.find("#files").send_keys(str(file))
    page.fill("Name on the board of bell.py", "services/bell.py")
    page.press("Send and restart")
    page.answer_login(TOKEN)
    page.until(lambda: "Updated. The board runs without errors." in page.text("#view-system"), 40)
    assert (board.folder / "services" / "bell.py").read_bytes() == file.read_bytes()
    assert page.text("#who") == "Log out"
    page.go("log")
    page.until(lambda: "it rings" in page.text("#view-log"))


def test_an_update_with_a_fault_says_so(page, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("class Service\n")
    page.open("system")
    page.log_in(TOKEN)
    page.find("#files").send_keys(str(file))
    page.fill("Name on the board of bad.py", "services/bad.py")
    page.press("Send and restart")
    page.until(lambda: "bad.py: SyntaxError" in page.text("#view-system [role=status]"), 40)


def test_safe_mode_says_why_and_a_restart_ends_it(page):
    page.open("system")
    page.press("Safe mode")
    page.press("Safe mode", "dialog")
    page.answer_login(TOKEN)
    page.until(lambda: "Safe mode\n" in page.text("main .note") and "● live" in page.text("#state"))
    page.press("Restart")
    page.press("Restart", "dialog")
    page.until(lambda: "Safe mode" not in page.text("main > div") and "● live" in page.text("#state"))
    page.go("readings")
    page.until(lambda: "memory total" in page.text("#view-readings"))


@pytest.mark.parametrize("size, dark", [(PHONE, True), (DESK, False)])
def test_axe_finds_no_fault_and_the_page_fits(page, size, dark):
    page.look(size, dark)
    page.open()
    for view in VIEWS:
        page.go(view)
        page.until(lambda view=view: len(page.text(f"#view-{view} > div")) > 20)
        page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.accessibility_faults() == []
        assert page.run("return document.documentElement.scrollWidth") == size[0]
    page.press("Log in", "header")
    assert page.accessibility_faults() == []


def test_by_keyboard_alone(page):
    from selenium.webdriver import ActionChains, Keys

    page.open()

    def keys(*sent):
        ActionChains(page.driver).send_keys(*sent).perform()

    keys(Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
    page.until(lambda: page.driver.switch_to.active_element.text == "Network")
    page.until(lambda: "Address" in page.text("#view-network dl"))
    page.run("document.querySelector('#who').focus()")
    keys(Keys.ENTER)
    page.until(lambda: page.driver.switch_to.active_element.accessible_name == "Token")
    keys(Keys.ESCAPE)
    page.until(lambda: page.driver.switch_to.active_element.text == "Log in" and not page.text("dialog"))


def test_it_connects_only_to_the_board_and_obeys_its_own_policy(page):
    page.open()
    for view in VIEWS:
        page.go(view)
        page.until(lambda view=view: page.text(f"#view-{view} > div"))
    asked = page.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert asked and all(url.startswith(page.url) for url in asked)
    assert page.complaints() == []


def test_without_scripts_it_says_what_it_needs(page):
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.driver.get(page.url)
        assert "This page needs JavaScript" in page.text("body")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_page_s_own_sha256_is_right(page):
    page.open()
    for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 100000):
        text = b"x" * size
        made = page.run("return hex(sha256(bytes('x'.repeat(arguments[0]))))", size)
        assert made == hashlib.sha256(text).hexdigest()
        made = page.run("return hex(hmac(bytes('x'.repeat(arguments[0] % 200)), bytes('signed')))", size)
        assert made == hmac.new(text[: size % 200], b"signed", "sha256").hexdigest()


def test_a_new_token_is_proved_and_kept_after_the_restart(page, board):
    page.open("settings")
    page.log_in(TOKEN)
    page.unfold("#s-control")
    page.fill("token", "another token")
    page.press("Save and restart")
    page.until(lambda: "The board runs again." in page.text("#toast") and "● live" in page.text("#state"))
    assert page.text("#who") == "Log out" and config(board)["control"]["token"] == "another token"
    board.wait_for("config: the new settings stay")
    with board.client() as client:
        assert client.login("another token")["result"] is True
