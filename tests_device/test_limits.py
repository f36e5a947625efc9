"""lwIP's limits on the chip are reached and reported, and the board works again afterwards.

They are set in boards/rp2/lwip/lwipopts.h and boards/esp32/sdkconfig.board.
"""

import socket
import time

import pytest

PORT = 7001
LIMIT_SEC = 60
TOO_MANY = 26  # connections; an RP2 has 20, and an ESP32 has 16 sockets in total
SERVED_AT_ONCE = {"rp2": 15, "esp32": 10}
SERVERS = 8  # all that lwIP has
ROUNDS = 2

# Runs on the board.
MAKE_SOCKETS = """
import gc
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XAsyncUDPDatagram
pool = XAsyncSocketsPool()
address = ("0.0.0.0", 0)
for make in lambda: XAsyncUDPDatagram.Create(pool, address), lambda: XAsyncTCPServer.Create(pool, address, 2):
    counts = []
    for _ in range(3):
        made = []
        try:
            while len(made) < 100:
                made.append(make())
        except Exception as error:
            print(type(error).__name__)
        counts.append(len(made))
        for one in made:
            one.Close()
        del made
        while pool.GetAllAsyncSockets():
            pool.PollEvents(10)
        gc.collect()
    print(*counts)
"""
ECHO_LINES = """
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots
pool = XAsyncSocketsPool()
def on_line(client, line, arg):
    if line == "close the servers":
        for server in servers:
            server.Close()
    elif line == "end":
        pool.StopWaitEvents()
    client.AsyncSendData(line.encode() + b"\\n")
    client.AsyncRecvLine(on_line)
slots = XBufferSlots({slots}, 64, keepAlloc=False)
servers = [XAsyncTCPServer.Create(pool, ("0.0.0.0", {port} + number), 8, slots) for number in range({servers})]
servers[0].OnClientAccepted = lambda server, client: client.AsyncRecvLine(on_line)
pool.AsyncWaitEvents()
"""


@pytest.fixture(autouse=True)
def fresh_interpreter(device):
    """Closes the sockets that other programs have left open."""
    device.soft_reset()


def test_more_sockets_than_the_chip_has(device, device_network):
    exceptions = []
    counts = []
    for line in device.run(MAKE_SOCKETS, timeout=LIMIT_SEC).splitlines():
        (counts if line[0].isdigit() else exceptions).append(line)
    assert exceptions == ["XAsyncUDPDatagramException"] * 3 + ["XAsyncTCPServerException"] * 3
    datagrams, servers = ([int(count) for count in line.split()] for line in counts)
    assert min(datagrams) >= 8 and min(servers) >= 6
    assert len(set(datagrams)) == len(set(servers)) == 1, "closed connections do not become open again"


def ask(connection, line):
    connection.sendall(line + b"\n")
    received = b""
    while not received.endswith(b"\n"):
        data = connection.recv(100)
        assert data, "closed without an answer"
        received += data
    assert received == line + b"\n"


def connect(address, limit_sec):
    connection = socket.create_connection((address, PORT), limit_sec)
    connection.settimeout(LIMIT_SEC)
    return connection


def served_at_once(address):
    """Open connections, each of which gets its answer, until one cannot be opened. Return the open ones."""
    connections = []
    try:
        while len(connections) < TOO_MANY:
            connection = connect(address, 5)
            ask(connection, b"hello")
            connections.append(connection)
    except OSError:
        pass
    for number, connection in enumerate(connections):  # the first ones are still served, too
        ask(connection, b"%d" % number)
    return connections


def wait_until_served(device, address):
    deadline = time.monotonic() + LIMIT_SEC
    while True:
        try:
            ask(connect(address, 5), b"listening")
            return
        except OSError:
            if time.monotonic() > deadline:
                device.finish(1)  # fails with the board's output if its program failed


def test_more_connections_than_the_chip_has(device, device_network, platform):
    device.start(ECHO_LINES.format(port=PORT, servers=1, slots=TOO_MANY))
    for _ in range(ROUNDS):
        wait_until_served(device, device_network)
        connections = served_at_once(device_network)
        assert SERVED_AT_ONCE[platform] <= len(connections) < TOO_MANY
        for connection in connections:
            connection.close()
    ask(connect(device_network, LIMIT_SEC), b"end")
    device.finish(LIMIT_SEC)


def test_closing_listening_sockets_harms_no_connection(device, device_network):
    """All control blocks of connections are in use, also the one after those of the listening sockets."""
    device.start(ECHO_LINES.format(port=PORT, servers=SERVERS, slots=TOO_MANY))
    wait_until_served(device, device_network)
    connections = served_at_once(device_network)
    ask(connections[0], b"close the servers")
    for number, connection in enumerate(connections):
        ask(connection, b"%d" % number)
    ask(connections[0], b"end")
    device.finish(LIMIT_SEC)
