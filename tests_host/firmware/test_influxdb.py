"""A real InfluxDB accepts the board's datagrams unchanged, and returns every point.

The server is from Debian: the program that INFLUXD names, the one that make has unpacked, or the one on PATH.
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
from influx import encode

from firmware.config import ConfigError
from firmware.config.defaults import SCHEMA

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
    """A server for one test, in a folder of its own."""

    def __init__(self, folder):
        self.http, self.udp = free_port(), free_port()
        path = folder / "influxdb.conf"
        path.write_text(CONFIGURATION.format(folder=folder, rpc=free_port(), http=self.http, udp=self.udp))
        self.log = open(folder / "influxd.log", "wb")
        self.process = subprocess.Popen([INFLUXD, "-config", str(path)], stdout=self.log, stderr=self.log)

    def query(self, text):
        """Return the rows of a query, as dictionaries."""
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


def send(database, line):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(line, ("127.0.0.1", database.udp))


def wait_for(find, is_right):
    """Return the result of `find()` as soon as it is right. While data is being written, only a part can be read."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = find()
        if is_right(found) or time.monotonic() > end:
            return found


def test_special_values_arrive_unchanged(database):
    fields = {
        "text": 'say "x", back\\slash',
        "integer": 24562929664,
        "float": -1.25e-7,
        "digits": 123456789.123,
        "true": True,
        "key with, all=": 5,
        "nan": float("nan"),
    }
    send(database, encode("m, x", {"tag, key=": "ü, =", "empty": ""}, fields))
    del fields["nan"]
    expected = {**fields, "tag, key=": "ü, ="}

    def row():
        return next((row for row in database.query('SELECT * FROM "m, x"') if row.pop("time")), None)

    assert wait_for(row, lambda row: row == expected) == expected


HUMIDITY = """
class Sensor:
    name = "bme280"
    values = [99.89767, 100, 100.0, 0, -5, 1 << 40, 8.03, 123456789.123]

    def read(self):
        return {"humidity": self.values.pop(0)} if self.values else {}
"""


def test_a_number_that_is_sometimes_an_integer_loses_no_line(board, database):
    """Many drivers return a humidity of 100 % as an integer."""
    board.write("sensors/humidity.py", HUMIDITY)
    board.configure(
        telemetry={"interval_s": 0.1, "broadcast": False, "collectors": [f"127.0.0.1:{database.udp}"]}
    )
    board.start()
    expected = [99.89767, 100, 100, 0, -5, 1 << 40, 8.03, 123456789.123]

    def rows():
        return [row["bme280_humidity"] for row in database.query("SELECT bme280_humidity FROM board ORDER BY time")]

    assert wait_for(rows, lambda rows: len(rows) == len(expected)) == expected
    types = {row["fieldKey"]: row["fieldType"] for row in database.query("SHOW FIELD KEYS FROM board")}
    assert {key for key, kind in types.items() if kind == "integer"} == {"seq", "uptime"}
    assert {kind for key, kind in types.items() if key not in ("seq", "uptime")} == {"float"}


TEXTS = (
    "plain", "#x", "x#", "two words", " x", "x ", "a,b", "a=b", "a\\b", "b\\", "\\ c", '"q"', "'q'", "ü 日本", "😀",
    "_x", "time", "_field", "_measurement", "seq", "name", "\x7f", "\u200b", "x\ty", "x\ny", "",
)  # fmt: skip


def test_values_that_the_configuration_accepts_are_stored(database):
    """InfluxDB would indeed lose the values that the configuration refuses."""
    lines = {}
    for text in TEXTS:
        lines[f"measurement {text!r}"] = "telemetry.measurement", text, (text, {"a": "b"})
        lines[f"tag {text!r}="] = "device.tags", [f"{text}=b"], ("m", {text.partition("=")[0]: "b"})
        lines[f"tag a={text!r}"] = "device.tags", [f"a={text}"], ("m", {"a": text})
    for number, (_, _, (measurement, tags)) in enumerate(lines.values()):
        send(database, encode(measurement, {**tags, "device": "x", "n": str(number)}, {"v": number}))
    accepted = {number for number, (key, value, _) in enumerate(lines.values()) if is_accepted(key, value)}

    def stored():
        return {int(row["v"]) for row in database.query("SELECT v FROM /.*/")}

    missing = accepted - wait_for(stored, lambda numbers: numbers >= accepted)
    assert not missing, [list(lines)[number] for number in missing]
    for lost in ("measurement '#x'", "tag 'time'=", "tag ''=", "measurement ''"):
        number = list(lines).index(lost)
        assert number not in accepted and number not in stored()


def is_accepted(key, value):
    section, name = key.split(".")
    try:
        SCHEMA.fill({section: {name: value}})
    except ConfigError:
        return False
    return True
