"""A mosquitto for the tests of the MQTT service, and a subscriber that is independent of our code: mosquitto_sub."""

import json
import shutil
import subprocess
import sys
import threading

import pytest
from image import PATIENCE_S, ROOT, until

sys.path.append(str(ROOT / "tests_host" / "mqtt"))
from brokers import Mosquitto  # noqa: E402


class Watcher:
    """Receives everything that is published at a broker, as dictionaries with topic, payload, retain and qos."""

    def __init__(self, port, *access):
        if not shutil.which("mosquitto_sub"):
            pytest.skip("no mosquitto_sub: tools/setup/programs.sh peers")
        self.seen = []
        self._common = ["-p", str(port), "-q", "1", *access]
        command = ["mosquitto_sub", *self._common, "-t", "#", "-F", "%j"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        probe = f"watcher/{id(self)}"
        until(lambda: self.publish(probe, "?") or self.payloads(probe))

    def _read(self):
        for line in self._process.stdout:
            self.seen.append(json.loads(line))

    def payloads(self, topic, start=0):
        """Return everything that was published to a topic, from message number `start` on."""
        return [one.get("payload") or "" for one in self.seen[start:] if one["topic"] == topic]

    def wait(self, topic, payload=None, start=0):
        """Wait for this payload of a topic, or for any payload, and return it."""
        found = []

        def has_come():
            found[:] = [one for one in self.payloads(topic, start) if payload in (None, one)]
            return found

        until(has_come)
        return found[0]

    def publish(self, topic, payload, retain=False):
        command = ["mosquitto_pub", *self._common, "-t", topic, "-m", payload]
        subprocess.run(command + ["-r"] * retain, check=False, stderr=subprocess.DEVNULL, timeout=PATIENCE_S)

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._reader.join()


def kept(port, start=""):
    """Return {topic: payload} of all retained messages below `start`."""
    watcher = Watcher(port)  # its own message arrives after all of these
    watcher.stop()
    return {one["topic"]: one["payload"] for one in watcher.seen if one["retain"] and one["topic"].startswith(start)}


__all__ = ["Mosquitto", "Watcher", "kept"]
