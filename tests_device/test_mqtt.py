"""The MQTT client on the chip, with a broker on this computer: its use of the heap and of the processor."""

import sys
import time

import pytest

from tests_device.conftest import ROOT
from tools.board.certificate import make

sys.path += [str(ROOT / folder) for folder in ("lib", "tests_host", "tests_host/mqtt")]
from brokers import Mosquitto  # noqa: E402

from firmware.mqtt.client import MqttClient  # noqa: E402
from XAsyncSockets import XAsyncSocketsPool  # noqa: E402

NAME = "broker.example"
START_SEC = 60
MOST_CONNECTED = 5 * 1024  # bytes
MOST_OVER_TLS = 32 * 1024
STATES = 3  # one every 2 s
MOST_PERCENT = 1.5
INSTRUCTIONS_PER_SEC = 125e6

# This program connects, prints the heap that the client takes, and publishes `states`, one every 2 s.
PROGRAM = """
import gc, machine, time
import testing_network
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XTimer

def used():
    gc.collect()
    return gc.mem_alloc()

def on_connected():
    global connected
    connected = True

def publish(_):
    global left
    left -= 1
    if left < 0:
        pool.StopWaitEvents()
    timer.Restart(2)
    client.publish('state', '{{"temperature": 21.25, "humidity": 48.5, "pressure": 1013.2, "rssi": -61}}')

machine.RTC().datetime({now})
pool = XAsyncSocketsPool()
timer = XTimer(pool, publish)
connected = False
left = {states}
pool.PollEvents()
empty = used()
from {module} import MqttClient
client = MqttClient(pool, 'board', on_connected, print, print)
client.subscriptions = ['board/set']
client.will = ('board/status', 'offline')
client.start(lambda: ({address!r}, {port}))
if {secure}:
    client.context = XAsyncTCPClient.CreateSSLContext(cert_reqs=2, ca_certs='/authority.pem')
    client.host = {name!r}
    XAsyncTCPClient.HandshakeSec = 60       # an emulator on a busy computer takes its time
while not connected:
    pool.PollEvents(20)
for _ in range(10):
    pool.PollEvents(20)
print(used() - empty)
timer.Restart(0)
pool.AsyncWaitEvents()
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for name, content in zip(("certificate.pem", "key.pem"), make([NAME], 30)):
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def broker(tmp_path, host_address, request):
    lines = ["allow_anonymous true"]
    if request.param:
        folder = request.getfixturevalue("certificate")
        lines += [f"certfile {folder / 'certificate.pem'}", f"keyfile {folder / 'key.pem'}"]
    broker = Mosquitto(tmp_path, host_address, lines=lines)
    broker.secure = request.param
    yield broker
    broker.kill()


class States:
    """The states that the board publishes, each with the number of instructions that it had executed by then."""

    def __init__(self, board, broker, certificate):
        self.pool = XAsyncSocketsPool()
        self.counts = []
        self._board = board
        self.client = MqttClient(self.pool, "watcher", lambda: None, print, self._on_message)
        self.client.subscriptions = ["state"]
        if broker.secure:
            import ssl

            self.client.context = ssl.create_default_context(cafile=certificate / "certificate.pem")
            self.client.host = NAME
        self.client.start(lambda: (broker.address, broker.port))

    def _on_message(self, topic, payload, retained):
        self.counts.append(self._board.instruction_count)

    def wait(self, count):
        deadline = time.monotonic() + START_SEC
        while len(self.counts) < count:
            assert time.monotonic() < deadline, "the board publishes nothing"
            self.pool.PollEvents(20)


@pytest.mark.parametrize("broker", [False, True], ids=["plain", "tls"], indirect=True)
def test_the_heap_and_the_cost_of_the_client(networked, board, device, device_network, certificate, broker):
    device.soft_reset()
    device.write_file("/authority.pem", (certificate / "certificate.pem").read_bytes())
    device.run("import testing_network; testing_network.up()", timeout=START_SEC)
    now = time.gmtime()
    states = States(board, broker, certificate)
    device.start(PROGRAM.format(
        module="firmware.mqtt.client", address=broker.address, port=broker.port, secure=broker.secure, name=NAME,
        states=STATES + 1, now=(now[0], now[1], now[2], now[6], now[3], now[4], now[5], 0)))
    states.wait(STATES + 1)
    states.client.stop()
    heap = int(device.finish(START_SEC).split()[0])
    percent = 100 * (states.counts[-1] - states.counts[0]) / (2 * STATES) / INSTRUCTIONS_PER_SEC
    print(f"the client takes {heap:,} B; a state every 2 s, {percent:.2f} % of the processor")
    assert heap <= (MOST_OVER_TLS if broker.secure else MOST_CONNECTED)
    assert percent <= MOST_PERCENT
