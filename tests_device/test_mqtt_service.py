"""MQTT on the chip with a real mosquitto: the heap that the connection takes, and the cost of a state."""

import json
import shutil
import subprocess
import sys
import threading
import time

import pytest

from tests_device.conftest import ROOT, let_pass
from tests_device.test_firmware import Control, firmware, restart_with  # noqa: F401

sys.path += [str(ROOT / folder) for folder in ("lib", "tests_host", "tests_host/mqtt")]
from brokers import Mosquitto  # noqa: E402

PATIENCE_S = 60  # an emulator on a busy computer takes its time
MOST_OF_HEAP = 7 * 1024  # the service with discovery; 4.1 kB of it is the client: test_mqtt.py
# The instructions that MQTT may add to each second (of 125 million), with one state every 2 s.
MOST_OF_SECOND = 0.015 * 125e6


class Watcher:
    """Receives everything that is published at the broker, as (topic, payload)."""

    def __init__(self, broker):
        if not shutil.which("mosquitto_sub"):
            pytest.skip("no mosquitto_sub: tools/setup/programs.sh peers")
        self._place = ["-h", broker.address, "-p", str(broker.port)]
        command = ["mosquitto_sub", *self._place, "-t", "#", "-F", "%t %p"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.seen = []
        threading.Thread(target=self._read, daemon=True).start()
        deadline = time.monotonic() + PATIENCE_S
        while not self.seen:  # until it is subscribed
            assert time.monotonic() < deadline, "mosquitto_sub receives nothing"
            self.publish("watcher", "?")

    def _read(self):
        for line in self._process.stdout:
            self.seen.append(line.rstrip("\n").partition(" ")[::2])

    def wait(self, ending, payload=None, start=0):
        """Wait for a message to a topic with this ending, and return its payload."""
        end = time.monotonic() + PATIENCE_S
        while True:
            for topic, found in self.seen[start:]:
                if topic.endswith(ending) and payload in (None, found):
                    return found
            assert time.monotonic() < end, f"nothing on {ending}: {self.seen[start:][:20]}"
            time.sleep(0.05)

    def publish(self, topic, payload):
        subprocess.run(["mosquitto_pub", *self._place, "-t", topic, "-m", payload], check=True)

    def stop(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def broker(networked, host_address, tmp_path):
    broker = Mosquitto(tmp_path, host_address)
    yield broker
    broker.kill()


@pytest.fixture
def watcher(broker):
    watcher = Watcher(broker)
    yield watcher
    watcher.stop()


def heap_and_cost(board, at_most=0):
    """Return the bytes in use, once they are at most `at_most`, and the instructions in a second of board time."""
    control = Control(board.address)
    deadline = time.monotonic() + PATIENCE_S
    used = min(control.call("gc")["used"] for _ in range(5))
    while at_most and used > at_most and time.monotonic() < deadline:
        used = control.call("gc")["used"]
    control.close()
    began, instructions = board.stats()["emulated_s"], board.instruction_count
    let_pass(board, 10)
    return used, (board.instruction_count - instructions) / (board.stats()["emulated_s"] - began)


def test_mqtt_on_the_board(firmware, device, broker, watcher):  # noqa: F811
    telemetry = {"broadcast": False, "interval_s": 2, "jitter": 0}
    restart_with(firmware, device, {"telemetry": telemetry})
    used, cost = heap_and_cost(firmware)
    settings = {"broker": f"{broker.address}:{broker.port}", "base": "here"}
    restart_with(firmware, device, {"telemetry": telemetry, "mqtt": settings})
    watcher.wait("here/status", "online")
    state = json.loads(watcher.wait("here/state"))
    assert state["heap"]["free"] > 0
    watcher.wait("heap--free/config")
    used_then, cost_then = heap_and_cost(firmware, used + MOST_OF_HEAP)  # the code for announcements is unloaded again
    print(f"\nMQTT takes {used_then - used} bytes of the heap, and {cost_then - cost:,.0f} instructions of a second")
    assert used_then - used <= MOST_OF_HEAP
    assert cost_then - cost <= MOST_OF_SECOND
    settings.update({"rpc": ["reboot"], "pins": [{"name": "lamp", "pin": 16}]})
    seen = len(watcher.seen)
    restart_with(firmware, device, {"telemetry": telemetry, "mqtt": settings})
    # Another test may have left the pin at 1: a soft reset does not change it.
    other = "0" if watcher.wait("here/pin/lamp", start=seen) == "1" else "1"
    watcher.publish("here/pin/lamp/set", other)
    watcher.wait("here/pin/lamp", other, seen)
    seen = len(watcher.seen)
    watcher.publish("here/rpc", json.dumps({"jsonrpc": "2.0", "id": 7, "method": "reboot"}))
    assert json.loads(watcher.wait("here/rpc/reply", start=seen))["result"] is True
    watcher.wait("here/status", "offline", seen)  # sent by the board; the broker would take a minute to send it
    watcher.wait("here/status", "online", seen)
