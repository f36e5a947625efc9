"""examples/stack: its files fit each other and the firmware. The programs that Debian has run with these files."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml
from free_ports import free_port
from image import PATIENCE_S, ROOT, until
from test_influxdb import INFLUXD, Database

from firmware.config.defaults import SCHEMA
from tools.fleet import brokers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STACK = ROOT / "examples" / "stack"
COMPOSE = yaml.safe_load((STACK / "compose.yaml").read_text())
TELEGRAF = (STACK / "telegraf" / "telegraf.conf").read_text()
DASHBOARD = json.loads((STACK / "grafana" / "dashboards" / "boards.json").read_text())


def mounts(service):
    """Return {path in the container: file or folder here} of all mounts that are not volumes."""
    found = {}
    for line in COMPOSE["services"][service]["volumes"]:
        here, there = line.split(":")[:2]
        if here.startswith("."):
            found[there] = STACK / here
        else:
            assert here in COMPOSE["volumes"]
    return found


@pytest.mark.skipif(not brokers.find("nats-server"), reason="no nats-server: tools/setup/programs.sh peers")
def test_the_passwords_of_the_cluster_only_have_to_be_uncommented(tmp_path):
    text = (STACK / "nats" / "nats.conf").read_text()
    block = re.compile(r"^# authorization \{\n(?:#  .*\n)*# \}$", re.MULTILINE)
    text, count = block.subn(lambda found: found[0].replace("# ", ""), text)
    assert count == 1
    (tmp_path / "nats.conf").write_text(text)
    lines = (STACK / "nats" / "n1.env").read_text().split()
    environment = {**os.environ, **dict(line.split("=", 1) for line in lines), "STORE": str(tmp_path)}
    command = [brokers.find("nats-server"), "-t", "-c", tmp_path / "nats.conf"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_files_that_the_containers_read_exist():
    for service in COMPOSE["services"]:
        for path in mounts(service).values():
            assert path.exists(), path
    assert (mounts("mosquitto")["/mosquitto/config"] / "mosquitto.conf").is_file()
    provisioning = mounts("grafana")["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "influxdb.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "boards.yaml").read_text())["providers"]
    assert provider["options"]["path"] in mounts("grafana")
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert source["jsonData"]["dbName"] == COMPOSE["services"]["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]


@pytest.mark.parametrize("service, path", [
    ("telegraf", STACK / "telegraf" / "telegraf.conf"),
    ("grafana", STACK / "grafana" / "provisioning" / "datasources" / "influxdb.yaml"),
])  # fmt: skip
def test_every_variable_in_a_file_is_set_in_its_container(service, path):
    given = COMPOSE["services"][service]["environment"]
    assert set(re.findall(r"\$\{?([A-Z_]+)", path.read_text())) <= set(given)


def test_telegraf_listens_at_the_boards_default_port():
    settings = tomllib.loads(TELEGRAF)
    (mqtt,) = settings["inputs"]["mqtt_consumer"]
    (udp,) = settings["inputs"]["socket_listener"]
    (database,) = settings["outputs"]["influxdb_v2"]
    assert mqtt["topics"] == ["boards/+/telemetry"] and mqtt["data_format"] == udp["data_format"] == "influx"
    assert udp["service_address"] == f"udp://:{SCHEMA.fill({})['telemetry']['port']}"
    environment = COMPOSE["services"]["influxdb"]["environment"]
    assert database["bucket"] == environment["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert database["organization"] == environment["DOCKER_INFLUXDB_INIT_ORG"]


SENSORS = {
    "bme280": {"celsius": 21.5, "humidity": 40.25, "pascal": 101325},
    "wifi": {"rssi": -61},
}
SENSOR = """
class Sensor:
    name = "{name}"

    def read(self):
        return {values}
"""


class Collecting(Database):
    """InfluxDB with the stack's own file, except for folders and ports."""

    def __init__(self, folder):
        self.http, self.udp = free_port(), free_port()
        text = (STACK / "debian" / "influxdb.conf").read_text()
        for there, here in (
            ("/var/lib/influxdb", str(folder)),
            ('"127.0.0.1:8086"', f'"127.0.0.1:{self.http}"'),
            ('"127.0.0.1:8088"', f'"127.0.0.1:{free_port()}"'),
            ('":8094"', f'"127.0.0.1:{self.udp}"'),
        ):
            assert there in text
            text = text.replace(there, here)
        path = folder / "influxdb.conf"
        path.write_text(text)
        self.log = open(folder / "influxd.log", "wb")
        self.process = subprocess.Popen([INFLUXD, "-config", str(path)], stdout=self.log, stderr=self.log)


def locked_mosquitto(folder, users):
    """Start mosquitto with the stack's file, and with the passwords that its comments describe."""
    (server,) = brokers.mosquitto(folder)
    text = (STACK / "mosquitto" / "mosquitto.conf").read_text()
    text = text.replace("allow_anonymous true\n", "").replace("# allow_", "allow_")
    text = text.replace("# password_file", "password_file").replace("# acl_file", "acl_file")
    text = text.replace("listener 1883", f"user root\nlistener {server.port} 127.0.0.1")
    for name in ("config", "data"):
        (folder / name).mkdir()
        text = text.replace(f"/mosquitto/{name}", str(folder / name))
    shutil.copy(STACK / "mosquitto" / "acl", folder / "config")
    (folder / "config" / "passwords").touch()
    for name, password in users.items():
        subprocess.run(["mosquitto_passwd", "-b", folder / "config" / "passwords", name, password], check=True)
    (folder / "mosquitto.conf").write_text(text)
    return server.start().wait()


@pytest.fixture
def broker(tmp_path_factory):
    if not brokers.find("mosquitto") or not shutil.which("mosquitto_sub"):
        pytest.skip("no mosquitto: tools/setup/programs.sh peers")
    users = {"kitchen": "secret of the kitchen", "telegraf": "secret of telegraf"}
    server = locked_mosquitto(tmp_path_factory.mktemp("mosquitto"), users)
    yield server
    server.kill()


@pytest.fixture
def database(tmp_path_factory):
    if not INFLUXD:
        pytest.skip("no influxd: see docs/telemetry.md")
    database = Collecting(tmp_path_factory.mktemp("influxdb"))
    try:
        database.wait_until_it_answers()
        yield database
    finally:
        database.stop()


@pytest.fixture
def bridge(broker, database, tmp_path_factory):
    """examples/stack/debian/mqtt-to-influxdb, as the user `telegraf`."""
    log = open(tmp_path_factory.mktemp("bridge") / "log", "wb")
    process = subprocess.Popen(
        [STACK / "debian" / "mqtt-to-influxdb", "-p", str(broker.port), "-u", "telegraf", "-P", "secret of telegraf"],
        env={**os.environ, "INFLUXDB": f"127.0.0.1/{database.udp}"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    log.close()


def queries():
    """Return {title: query} of the dashboard, for one board and one reading."""
    texts = {panel["title"]: panel["targets"][0]["query"] for panel in DASHBOARD["panels"]}
    texts.update({variable["label"]: variable["query"] for variable in DASHBOARD["templating"]["list"]})
    values = {"$timeFilter": "time > now() - 1h", "$__interval": "1s", "$device": "(kitchen)", "$reading": "heap_used"}
    for title, text in texts.items():
        for name, value in values.items():
            text = text.replace(name, value)
        assert "$" not in text.replace("$/", "")
        texts[title] = text
    return texts


def test_readings_arrive_by_mqtt_and_each_query_of_the_dashboard_finds_some(board, broker, database, bridge):
    """All passwords and access rules of the broker are active."""
    for name, values in SENSORS.items():
        board.write(f"sensors/{name}.py", SENSOR.format(name=name, values=values))
    board.configure(
        device={"name": "kitchen"},
        mqtt={
            "broker": f"127.0.0.1:{broker.port}",
            "user": "kitchen",
            "password": "secret of the kitchen",
            "telemetry": True,
        },
        telemetry={"interval_s": 0.1, "broadcast": False},
    )
    board.start()
    board.wait_for("connected to 127.0.0.1")
    open_queries = queries()

    def found():
        for title, text in list(open_queries.items()):
            rows = database.query(text)
            if any(value is not None for row in rows for key, value in row.items() if key != "time"):
                del open_queries[title]
        return not open_queries

    try:
        until(found)
    finally:
        print(open_queries)
    (row,) = database.query('SELECT last("bme280_humidity") FROM "board"')
    assert row["last"] == SENSORS["bme280"]["humidity"]
    assert [row["value"] for row in database.query(queries()["Board"])] == ["kitchen"]


def test_a_boards_password_gives_no_access_to_other_boards_topics(broker):
    def client(program, *words):
        command = [program, "-p", str(broker.port), "-u", "kitchen", "-P", "secret of the kitchen", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)

    for name in ("cellar", "kitchen"):
        client("mosquitto_pub", "-q", "1", "-r", "-t", f"boards/{name}/status", "-m", "mine")
    seen = client("mosquitto_sub", "-t", "boards/#", "-W", "1", "-v")
    assert seen.stdout.splitlines() == ["boards/kitchen/status mine"]
    refused = subprocess.run(["mosquitto_sub", "-p", str(broker.port), "-t", "#"], capture_output=True, text=True,
                             timeout=PATIENCE_S)  # fmt: skip
    assert refused.returncode and "not authori" in refused.stderr


def test_prometheus_scrapes_a_boards_readings(board, tmp_path):
    """It uses the stack's file, except for the interval and the board's address."""
    if not shutil.which("prometheus"):
        pytest.skip("no prometheus: tools/setup/programs.sh peers")
    board.write("sensors/bme280.py", SENSOR.format(name="bme280", values=SENSORS["bme280"]))
    board.configure(http={"enabled": True, "port": 0})
    board.start()
    text = (STACK / "debian" / "prometheus.yml").read_text()
    text = text.replace("scrape_interval: 15s", "scrape_interval: 200ms")
    text = text.replace("attic.local:80", f"127.0.0.1:{board.http_port}")
    (tmp_path / "prometheus.yml").write_text(text)
    port = free_port()
    words = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]  # fmt: skip
    with open(tmp_path / "prometheus.log", "wb") as log:
        process = subprocess.Popen(["prometheus", *words], stdout=log, stderr=log)

    def values():
        query = urllib.parse.urlencode({"query": 'xas_reading{sensor="bme280"}'})
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=PATIENCE_S) as answer:
                found = json.load(answer)["data"]["result"]
        except urllib.error.URLError:  # Prometheus is not ready yet
            return {}
        return {one["metric"]["field"]: float(one["value"][1]) for one in found}

    try:
        until(lambda: values() == SENSORS["bme280"])
    finally:
        process.kill()
        process.wait()
