"""A real InfluxDB accepts the board's datagrams unchanged, and returns every point.

The server is Debian's: the program that INFLUXD names, the one that make has unpacked, or the one on PATH.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from free_ports import free_port
from image import PATIENCE_S, ROOT

UNPACKED = ROOT / "build" / "src" / "influxdb" / "bin" / "influxd"
INFLUXD = os.environ.get("INFLUXD") or (str(UNPACKED) if UNPACKED.exists() else shutil.which("influxd"))

pytestmark = pytest.mark.skipif(not INFLUXD, reason="no influxd: see docs/telemetry.md")

CONFIGURATION = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[monitor]
  store-enabled = false
[[udp]]
  enabled = true
  bind-address = "127.0.0.1:{udp}"
  database = "boards"
  batch-timeout = "100ms"
"""


class Database:
    """A server of the test's own, in a folder of the test's own."""

    def __init__(self, folder):
        self.http, self.udp = free_port(), free_port()
        path = folder / "influxdb.conf"
        path.write_text(CONFIGURATION.format(folder=folder, rpc=free_port(), http=self.http, udp=self.udp))
        self.log = open(folder / "influxd.log", "wb")
        self.process = subprocess.Popen([INFLUXD, "-config", str(path)], stdout=self.log, stderr=self.log)

    def query(self, text):
        """The rows of a query, as dictionaries."""
        data = urllib.parse.urlencode({"db": "boards", "q": text}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/query", data, PATIENCE_S) as answer:
            result = json.load(answer)["results"][0]
        assert "error" not in result, result
        return [
            dict(zip(series["columns"], row)) for series in result.get("series", []) for row in series["values"]
        ]

    def wait_until_it_answers(self):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.query("CREATE DATABASE boards")
                return
            except urllib.error.URLError:
                time.sleep(0.05)
        raise AssertionError("influxd does not answer")

    def stop(self):
        self.process.kill()  # its data is no longer needed
        self.process.wait(PATIENCE_S)
        self.log.close()


@pytest.fixture
def database(tmp_path_factory):
    database = Database(tmp_path_factory.mktemp("influxdb"))
    try:
        database.wait_until_it_answers()
        yield database
    finally:
        database.stop()


def test_every_point_that_was_sent_is_in_the_database(board, database):
    board.configure(
        device={"name": "probe", "tags": ["room=attic, left", "owner=a=b"]},
        telemetry={
            "interval_s": 0.1,
            "broadcast": False,
            "collectors": [f"127.0.0.1:{database.udp}"],
            "measurement": "my board",
        },
    )
    board.start()
    with board.client() as client:
        client.login()
        memory = client.result("sensor.read", name="system")["memory_total"]
        client.result("telemetry.subscribe")
        while client.answer()["params"]["seq"] < 25:
            pass
    with board.client() as client:
        client.login()
        client.result("telemetry.set", key="enabled", value=False)
        sent = client.result("telemetry.get")["seq"]
    end = time.monotonic() + PATIENCE_S
    rows = []
    while len(rows) < sent and time.monotonic() < end:
        rows = database.query('SELECT * FROM "my board"')
    assert [row["seq"] for row in rows] == list(range(sent))
    assert {row["device"] for row in rows} == {"probe"}
    assert {(row["room"], row["owner"]) for row in rows} == {("attic, left", "a=b")}
    assert {row["system_memory_total"] for row in rows} == {memory}
    assert all(row["system_load_1m"] >= 0 and row["heap_free"] > 0 for row in rows)


def test_special_values_arrive_as_they_were(database):
    from firmware.telemetry.line_protocol import encode

    fields = {
        "text": 'say "x", back\\slash',
        "integer": (1 << 63) - 1,
        "float": -1.25e-7,
        "true": True,
        "key with, all=": 5,
        "nan": float("nan"),
    }
    line = encode("m, x", {"tag, key=": "ü, =", "empty": ""}, fields)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(line, ("127.0.0.1", database.udp))
    del fields["nan"]
    expected = {**fields, "tag, key=": "ü, ="}
    end = time.monotonic() + PATIENCE_S
    row = None
    while row != expected and time.monotonic() < end:  # while it is being written, a part of it can be read
        for row in database.query('SELECT * FROM "m, x"'):
            del row["time"]
    assert row == expected
