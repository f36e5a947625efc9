"""A cluster of three NATS servers replaces a mosquitto, and one of them dies. The boards need no change.

The boards use one name, broker.test. Its addresses are in a hosts file for these boards, which replaces /etc/hosts.
"""

import json
import os
import subprocess
import time

import pytest
from image import BoardProcess

from firmware.mqtt.client import MqttClient
from tools.fleet import brokers
from XAsyncSockets import XAsyncSocketsPool

BOARDS = 6
INTERVAL_S = 0.2
LONGEST_ELECTION_S = 12  # NATS takes up to 9; meanwhile it passes on no retained messages
LONGEST_RECONNECT_S = 45  # a board may try in vain during an election, and its pauses grow
PATIENCE_S = 60
OLD = "127.0.0.4"

NAMESPACE = ["unshare", "--mount"] + (["--map-root-user"] if os.geteuid() else [])
WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


def missing():
    """Return the reason why the test cannot run here, or None."""
    for program in ("mosquitto", "mosquitto_sub", "nats-server"):
        if not brokers.find(program):
            return f"no {program}: tools/setup/programs.sh peers"
    if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        return "no mount namespace may be made here"
    return None


class Hosts:
    """The addresses of the broker's name."""

    def __init__(self, path):
        self.path = path

    def set(self, addresses):
        self.path.write_text("".join(f"{address} broker.test\n" for address in addresses))


class Observer:
    """One client at each of the servers. Together they receive everything that the boards publish."""

    def __init__(self):
        self.pool = XAsyncSocketsPool()
        self.clients = []
        self.times = {}  # board: the times of its states

    def watch(self, server):
        """Receive all states at this server from now on."""
        name = f"observer-{len(self.clients)}"
        client = MqttClient(self.pool, name, list, lambda reason: print(f"{name}: {reason}"), self._on_state)
        client.subscriptions = ["boards/+/state"]
        client.second = 0.5  # halves the pauses
        client.start(lambda: (server.address, server.port))
        self.clients.append(client)

    def _on_state(self, topic, _payload, retained):
        if not retained:
            self.times.setdefault(topic.split("/")[1], []).append(time.monotonic())

    def until(self, condition):
        """Run until the condition is true."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "the condition did not become true"
            self.pool.PollEvents(20)

    def all_since(self, moment):
        """Return whether the state of each board has arrived since then."""
        return len(self.times) == BOARDS and all(times[-1] > moment for times in self.times.values())

    def longest_gap(self, board, start):
        """Return the longest time without a state, from `start` to the board's last one."""
        times = [start, *(moment for moment in self.times[board] if moment > start)]
        return max(late - early for early, late in zip(times, times[1:]))

    def close(self):
        for client in self.clients:
            client.stop()
        self.pool.StopWaitEvents()


def boards_at(server, observers):
    """Return the number of boards connected to the server, from the system's table of connections."""
    host = "".join(f"{int(part):02X}" for part in reversed(server.address.split(".")))
    local = f"{host}:{server.port:04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return sum(row[1] == local and row[3] == "01" for row in rows) - observers


def kept(server):
    """Return {topic: payload} of the messages that a new subscriber gets at once."""
    command = ["mosquitto_sub", "-h", server.address, "-p", str(server.port), "-W", "10", "--retained-only"]
    command += ["-t", "boards/+/status", "-t", "boards/+/state", "-F", "%t %p"]
    found = {}
    end = time.monotonic() + PATIENCE_S
    while len(found) < 2 * BOARDS and time.monotonic() < end:  # it ends if NATS refuses it while it elects a leader
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                topic, payload = line.split(" ", 1)
                found[topic] = payload.rstrip()
                if len(found) == 2 * BOARDS:
                    process.kill()
    return found


@pytest.fixture
def started():
    """A list of objects to end after the test; each has end(), kill() or close()."""
    things = []
    yield things
    for thing in things:
        for end in ("end", "kill", "close"):
            if hasattr(thing, end):
                getattr(thing, end)()
                break


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_broker_becomes_a_cluster_and_one_of_its_servers_dies(tmp_path, started):
    servers = brokers.nats_cluster(tmp_path)
    (old,) = brokers.mosquitto(tmp_path, OLD, servers[0].port)
    observer = Observer()
    started += [observer, *servers, old]
    for server in servers:
        server.start()
    old.start().wait()
    observer.watch(old)
    hosts = Hosts(tmp_path / "hosts")
    hosts.set([OLD])
    boards = []
    for number in range(BOARDS):
        folder = tmp_path / f"board{number}"
        folder.mkdir()
        board = BoardProcess(folder)
        board.command = [*NAMESPACE, "sh", "-c", WITH_HOSTS, str(hosts.path), *BoardProcess.command]
        board.configure(
            device={"name": f"board{number}"},
            mqtt={"broker": f"broker.test:{old.port}", "client_id": f"board{number}", "discovery": False},
            telemetry={"interval_s": INTERVAL_S, "enabled": False},
        )
        started.append(board)
        boards.append(board.start())
    observer.until(lambda: observer.all_since(0))

    for server in servers:
        observer.watch(server.wait())
    observer.until(lambda: all(client.connected for client in observer.clients))
    hosts.set([server.address for server in servers])
    moved = time.monotonic()
    old.kill()
    observer.until(lambda: observer.all_since(moved + 1))
    observer.until(lambda: all(boards_at(server, 1) == BOARDS / len(servers) for server in servers))

    died = time.monotonic()  # a third of the boards lose their connection
    servers[1].kill()
    observer.until(lambda: observer.all_since(died + 1))
    gaps = sorted(round(observer.longest_gap(name, died), 1) for name in observer.times)
    print(f"longest times without a state: {gaps}")
    assert gaps[-1 - BOARDS // len(servers)] < LONGEST_ELECTION_S and gaps[-1] < LONGEST_RECONNECT_S
    # A connection that a board has given up counts until its server has noticed.
    observer.until(lambda: boards_at(servers[0], 1) + boards_at(servers[2], 1) == BOARDS)
    for server in (servers[0], servers[2]):
        messages = kept(server)
        for number in range(BOARDS):
            assert messages[f"boards/board{number}/status"] == "online"
            assert json.loads(messages[f"boards/board{number}/state"])["heap"]["free"] > 0
