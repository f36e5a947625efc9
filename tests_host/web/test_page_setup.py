"""Set-up of a new board on its page. The access point is simulated (boards/UNIX/modules/simulated_wifi.py)."""

import json
import re

import pytest
from browser import DESK, PHONE, Page
from free_ports import free_port

HOSTILE = "<img src=x onerror=document.title=1>"
NETWORKS = {"home": "correct horse", HOSTILE: "", "attic": "another secret"}


@pytest.fixture
def new(driver, board, monkeypatch):
    """The page of a board that knows no network and has no token."""
    monkeypatch.setenv("BOARD_WIFI", json.dumps(NETWORKS))
    port = free_port()
    board.configure(control={"port": 0, "token": ""}, http={"port": port}, network={"announce": 0, "backoff_s": 60})
    board.start()
    board.wait_for(r"^page ")
    page = Page(driver, f"http://127.0.0.1:{port}/")
    page.look(PHONE, dark=True)
    page.open()
    return page


def choose(page, network, password):
    page.click(page.named("input", network))
    page.fill("Password (empty if there is none)", password)


def config(board):
    return json.loads((board.folder / "config.json").read_text())


def test_a_new_board_is_set_up_and_shows_why_it_failed(new, board):
    page = new
    assert "Set-up" in page.driver.title and page.find("#view-setup")
    assert HOSTILE in page.text("#view-setup") and not page.driver.find_elements("css selector", "main img")
    for size, dark in ((DESK, False), (PHONE, True)):
        page.look(size, dark)
        assert page.accessibility_faults() == []
        assert page.run("return document.documentElement.scrollWidth") == size[0]

    token = page.named("input", "Token").get_attribute("value")
    assert re.fullmatch("([a-z2-9]{4}-){5}[a-z2-9]{4}", token)
    page.press("Copy")
    page.until(lambda: "Copied." in page.text("#toast"))
    choose(page, "home strong", "too few")
    page.click(page.named("input", "I have kept the token"))
    page.fill("Name", "kitchen")
    page.press("Save and restart", "#view-setup")
    page.until(lambda: "wifi.networks.0.password: the value is not a password" in page.text("#view-setup [role=alert]"))

    page.fill("Password (empty if there is none)", "wrong horse")
    page.press("Save and restart", "#view-setup")
    page.until(lambda: "What happens next" in page.text("#view-setup") and "http://kitchen.local/" in page.text("main"))
    page.until(lambda: "wifi 'home': wrong password" in page.text("#view-setup .note"))
    assert page.text("h1") == "kitchen" and config(board)["control"]["token"] == token
    assert page.text("#who") == "Log out"  # the page has logged in with the new token, so the owner can go on
    assert not page.driver.find_elements("css selector", ".token")

    page.open()
    page.until(lambda: "This board has a token." in page.text("#view-setup"))
    assert HOSTILE not in page.text("#view-setup")
    page.press("Log in", "#view-setup")
    page.answer_login(token)
    page.until(lambda: HOSTILE in page.text("#view-setup"))
    choose(page, "Another network", "correct horse")
    page.fill("Its name", "home")
    page.press("Save and restart", "#view-setup")
    page.until(lambda: page.text("#view-readings .reading") and "● live" in page.text("#state"))
    assert config(board)["wifi"]["networks"] == [{"ssid": "home", "password": "correct horse"}]
    board.wait_for("network: up: wifi 'home'")
    assert not page.driver.find_element("id", "to-setup").is_displayed()
