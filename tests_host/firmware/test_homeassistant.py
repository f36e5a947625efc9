"""A real Home Assistant accepts the recorded entities, and shows and controls a board.

HOMEASSISTANT names the folder of `python tools/homeassistant install`.
"""

import json
import os
import time
from pathlib import Path

import pytest
from free_ports import free_port

from tools.homeassistant import HomeAssistant

INSTALLED = os.environ.get("HOMEASSISTANT")
RECORDED = Path(__file__).with_name("homeassistant.json")

pytestmark = pytest.mark.skipif(not INSTALLED, reason="no HOMEASSISTANT=: see docs/mqtt.md")


@pytest.fixture(scope="module")
def home(broker, tmp_path_factory):
    home = HomeAssistant(INSTALLED, tmp_path_factory.mktemp("homeassistant"), free_port(), broker.port)
    yield home
    home.stop()
    print(home.log)


def wait(condition, seconds=40):
    """Wait until `condition()` is true, and return its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.2)


def state(home, entity):
    return home.states().get(entity, ("none", {}))[0]


def test_the_recorded_entities_are_accepted(home, watcher):
    recorded = json.loads(RECORDED.read_text())
    for topic, payload in recorded.items():
        watcher.publish(topic, json.dumps(payload), retain=True)
    readings = {
        "uptime": 12,
        "heap": {"free": 100000, "used": 50000},
        "bme280": {"celsius": 21.54, "humidity": 40.25, "pascal": 101325.5},
        "roof": {"celsius_28ff00000001": 3.5},
        "my \"own\" {sensor}'s": {"flow": 2.5, "open": True, "word": "wet"},
        "light": {"value": 12.5},
    }
    watcher.publish("boards/attic/status", "online", retain=True)
    watcher.publish("boards/attic/state", json.dumps(readings), retain=True)
    watcher.publish("boards/attic/pin/lamp", "1", retain=True)
    watcher.publish("boards/attic/pin/door", "0", retain=True)

    def mine():
        return {name: found for name, found in home.states().items() if name.split(".")[1].startswith("attic_")}

    wait(lambda: len(mine()) == len(recorded) and state(home, "sensor.attic_uptime") == "12")
    found = wait(lambda: mine() if state(home, "switch.attic_lamp") == "on" else None)
    states = {name: text for name, (text, _) in found.items()}
    assert states["sensor.attic_bme280_celsius"] == "21.54"
    assert states["sensor.attic_light"] == "12.5"
    assert states["sensor.attic_roof_celsius_28ff00000001"] == "3.5"
    assert states["sensor.attic_roof_celsius_28ff00000002"] == "unknown"  # it is missing in the state
    assert states["sensor.attic_my_own_sensor_s_word"] == "wet"
    assert states["binary_sensor.attic_my_own_sensor_s_open"] == "on"
    assert states["binary_sensor.attic_door"] == "off"
    text, attributes = found["sensor.attic_bme280_pascal"]
    assert (float(text), attributes["unit_of_measurement"]) == (1013.255, "hPa")  # in a metric home
    assert found["sensor.attic_bme280_celsius"][1]["device_class"] == "temperature"
    assert found["sensor.attic_my_own_sensor_s_flow"][1]["unit_of_measurement"] == "L/min"
    assert home.device("sensor.attic_light", "model") == "PICO_W"
    watcher.publish("homeassistant/sensor/xas0123456789abcdef/light--value/config", "", retain=True)
    wait(lambda: "sensor.attic_light" not in home.states())
    for topic in recorded:
        watcher.publish(topic, "", retain=True)
    wait(lambda: not mine())
    assert not home.complaints()


def test_a_board_is_shown_controlled_and_reported_missing(home, board, broker, watcher):
    pins = [{"name": "lamp", "pin": 2}]
    settings = {"broker": f"127.0.0.1:{broker.port}", "pins": pins, "client_id": "unix"}
    board.configure(device={"name": "cellar"}, telemetry={"interval_s": 1}, mqtt=settings)
    board.start()
    wait(lambda: state(home, "switch.cellar_lamp") == "off")
    wait(lambda: float(home.states()["sensor.cellar_system_memory_total"][0]) > 0)
    home.call("switch.turn_on", entity_id="switch.cellar_lamp")
    wait(lambda: state(home, "switch.cellar_lamp") == "on")
    with board.client() as client:
        assert client.result("gpio.read", pin=2) == 1
        client.login()
        client.result("gpio.write", pin=2, value=0)
    wait(lambda: state(home, "switch.cellar_lamp") == "off")
    entities = {name for name in home.states() if "cellar" in name}
    board.kill()
    wait(lambda: {home.states()[name][0] for name in entities} == {"unavailable"})
    board.configure(device={"name": "cellar"}, telemetry={"interval_s": 1}, mqtt={**settings, "pins": []})
    board.start()
    wait(lambda: {name for name in home.states() if "cellar" in name} == entities - {"switch.cellar_lamp"})
    wait(lambda: state(home, "sensor.cellar_uptime") not in ("unavailable", "unknown"))
    broker.kill()
    broker.start()
    wait(lambda: state(home, "sensor.cellar_uptime") == "unavailable")
    wait(lambda: state(home, "sensor.cellar_uptime").isdigit())
    assert {name for name in home.states() if "cellar" in name} == entities - {"switch.cellar_lamp"}
    assert not [line for line in home.complaints() if "Disconnected" not in line and "connect" not in line.lower()]
