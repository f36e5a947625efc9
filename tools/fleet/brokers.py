"""Runs real MQTT brokers on the loopback interface, in a folder of their own: mosquitto, NATS, or a cluster of NATS."""

import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NATS_CLUSTER = ROOT / "examples" / "stack" / "nats" / "nats.conf"
PATIENCE_S = 20
FOLDERS = "/usr/sbin:/usr/local/sbin"  # Debian installs servers there; users do not have these folders in PATH

MOSQUITTO = """
user root
listener {port} {address}
allow_anonymous true
max_queued_messages 10000
"""

NATS_ALONE = """
server_name: n1
listen: {address}:{clients}
jetstream {{ store_dir: {folder}/store }}
mqtt {{ listen: "{address}:{port}" }}
"""


def find(program):
    """Return the path of a server, or None if it is not installed."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{FOLDERS}")


def free_port(addresses=("127.0.0.1",)):
    """Return a port that was just free at all of the addresses, below the range from which the system chooses."""
    while True:
        port = random.randrange(20000, 32000)
        probes = [socket.socket() for _ in addresses]
        try:
            for probe, address in zip(probes, addresses):
                probe.bind((address, port))
            return port
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()


class Server:
    """A process that serves MQTT at an address of this computer."""

    def __init__(self, address, port, command, environment=None, log=os.devnull):
        self.address = address
        self.port = port
        self._command = command
        self._environment = environment or {}
        self._log = log
        self.process = None

    def start(self):
        """Start the process, and return at once."""
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def wait(self):
        """Wait until the server accepts connections."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection((self.address, self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self._command[0]} does not serve MQTT: see {self._log}")

    def kill(self):
        """Kill the process, which is like a power cut."""
        if self.process:
            self.process.kill()
            self.process.wait()


def mosquitto(folder, address="127.0.0.1", port=None):
    """Return [the server], not started."""
    port = port or free_port([address])
    path = folder / "mosquitto.conf"
    path.write_text(MOSQUITTO.format(address=address, port=port))
    return [Server(address, port, [find("mosquitto"), "-c", str(path)], log=folder / "mosquitto.log")]


def nats(folder, address="127.0.0.1", port=None):
    """Return [the server], not started."""
    port = port or free_port([address])
    path = folder / "nats.conf"
    path.write_text(NATS_ALONE.format(folder=folder, address=address, port=port, clients=free_port([address])))
    return [Server(address, port, [find("nats-server"), "-c", str(path)], log=folder / "nats.log")]


def nats_cluster(folder, port=None):
    """Return [three servers], not started, at 127.0.0.1 to 127.0.0.3 and the same port. They use the file of
    examples/stack.
    """
    addresses = [f"127.0.0.{number}" for number in (1, 2, 3)]
    port = port or free_port(addresses)
    clients, cluster = free_port(addresses), free_port(addresses)
    routes = {f"ROUTE_{index + 1}": f"nats://{address}:{cluster}" for index, address in enumerate(addresses)}
    servers = []
    for index, address in enumerate(addresses):
        name = f"n{index + 1}"
        environment = {
            "NAME": name,
            "STORE": str(folder / name),
            "MQTT": f"{address}:{port}",
            "CLIENTS": f"{address}:{clients}",
            "CLUSTER": f"{address}:{cluster}",
            **routes,
        }
        command = [find("nats-server"), "-c", str(NATS_CLUSTER)]
        servers.append(Server(address, port, command, environment, folder / f"{name}.log"))
    return servers


KINDS = {"mosquitto": mosquitto, "nats": nats, "nats-cluster": nats_cluster}
