"""The cost of a TCP echo on the chip, in instructions, for our library, a bare loop and asyncio's streams.

The emulator counts exactly. The number includes the work of the chip while it waits for the next message (lwIP's
timers, the polling of its sockets). So each side gets its messages back to back, and the smallest of several rounds
counts. The numbers are printed (make test-device PYTEST_ARGS="-k cost -s").
"""

import socket
import time
from pathlib import Path

import pytest

from tests_device.conftest import KIND

HERE = Path(__file__).resolve().parent
ECHOES = 50  # messages in one round
ROUNDS = 4
# The limits, as multiples of the cost of the bare loop and of asyncio's streams. With PPP the UART causes nearly all
# of the cost, and its share grows with the size of the messages.
MOST = {
    "PICO_PPP": {64: (1.4, 0.95), 1000: (1.1, 1.05)},
    "PICO_W": {64: (2.6, 0.6), 1000: (2.6, 0.8)},
}.get(KIND, {})
PORT = 7
LIMIT_SEC = 60


def connect(address):
    deadline = time.monotonic() + LIMIT_SEC
    while True:
        try:
            connection = socket.create_connection((address, PORT), 5)
            connection.settimeout(LIMIT_SEC)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def echo(connection, data):
    connection.sendall(data)
    received = b""
    while len(received) < len(data):
        piece = connection.recv(65536)
        assert piece, "the board closed the connection"
        received += piece
    assert received == data


def instructions_per_echo(board, device, server, size):
    """Return the smallest number of some rounds."""
    device.soft_reset()
    device.run("import testing_network; testing_network.up()", timeout=LIMIT_SEC)
    device.start(f"import testing_echo; testing_echo.{server}()")
    data = bytes(range(250)) * (size // 250) + bytes(size % 250)
    costs = []
    with connect(board.address) as connection:
        echo(connection, data)
        for _ in range(ROUNDS):
            before = board.instruction_count
            for _ in range(ECHOES):
                echo(connection, data)
            costs.append((board.instruction_count - before) // ECHOES)
    device.finish(LIMIT_SEC)
    return min(costs)


@pytest.mark.parametrize("size", MOST or [pytest.param(0, marks=pytest.mark.skip(reason=f"no limit for a {KIND}"))])
def test_cost(networked, board, device, device_network, on_device, size):
    on_device(HERE / "on_device" / "testing_echo.py")
    cost = {name: instructions_per_echo(board, device, name, size) for name in ("bare", "ours", "streams")}
    print(f"\n{size} B: " + ", ".join(f"{name} {count:,} instructions per echo" for name, count in cost.items()))
    print(f"ours / bare {cost['ours'] / cost['bare']:.2f}, ours / streams {cost['ours'] / cost['streams']:.2f}")
    most_of_bare, most_of_streams = MOST[size]
    assert cost["ours"] <= most_of_bare * cost["bare"]
    assert cost["ours"] <= most_of_streams * cost["streams"]
