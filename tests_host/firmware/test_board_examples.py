"""The files of examples/board run unchanged on a board."""

import re

import pytest
from image import ROOT, until

FILES = {path.relative_to(ROOT / "examples" / "board").as_posix(): path for path in ROOT.glob("examples/board/*/*.py")}


def test_every_file_is_tested_here():
    assert sorted(FILES) == ["sensors/soil.py", "services/alarm.py"]


def test_the_sensor(board):
    board.write("sensors/soil.py", FILES["sensors/soil.py"].read_text())
    board.start()
    with board.client() as client:
        client.login()

        def moisture():
            entry = next(entry for entry in client.result("sensor.list") if entry["name"] == "soil")
            assert not entry["error"]
            return (entry["reading"] or {}).get("moisture")

        until(lambda: moisture() == 0)
        client.result("gpio.write", pin=26, value=1)  # the probe is in water
        until(lambda: moisture() == 1)
        until(lambda: client.result("gpio.read", pin=22) == 0)  # it has power only while it measures


@pytest.mark.parametrize("state, lowest", [("ok", "10000"), ("alarm", "1 << 60")])
def test_the_service(board, collector, state, lowest):
    text = FILES["services/alarm.py"].read_text()
    for old, new in (
        ("'255.255.255.255', 7780", f"'127.0.0.1', {collector.getsockname()[1]}"),
        ("tick_s = 5", "tick_s = 0.1"),
        ("LOWEST, HIGHEST = 10000,", f"LOWEST, HIGHEST = {lowest},"),
    ):
        assert old in text
        text = text.replace(old, new)
    board.write("services/alarm.py", text)
    board.start()
    assert re.match(rf"\S+ heap\.free {state} \d+\n$", collector.recv(100).decode())
    with board.client() as client:
        assert client.result("alarm.state") == state
        assert f"{state}: " in str(client.result("log.tail"))
