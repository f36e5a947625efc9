"""Tests the port's own sockets, which the library uses."""

import socket
import threading

import pytest

from tests_device.conftest import KIND
from tests_device.device import Device

MESSAGES = 100
LATE_MS = 40  # lwIP's own timer wakes a program every 64 ms

ASK = """
import select, socket, time
connection = socket.socket()
connection.connect(("{host}", {port}))
connection.setblocking(False)
poll = select.poll()
poll.register(connection, select.POLLIN)
late = 0
for _ in range({messages}):
    connection.write(b"0123456789")
    start = time.ticks_ms()
    poll.poll(1000)
    late += time.ticks_diff(time.ticks_ms(), start) > {late_ms}
    connection.read(100)
connection.close()
print(late)
"""

# Makes a link without a peer, drops it, allocates other objects in its place, and gives lwIP's timers time to run.
FORGET = """
import board_support, gc, network, time
ppp = network.PPP(board_support.uart(3000000))
ppp.connect()
time.sleep_ms(200)
del ppp
gc.collect()
others = [bytearray(b"\\xff" * 100) for _ in range(600)]
time.sleep(2)
print("alive")
"""


def echo(listener):
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(1000):
            connection.sendall(data)


def test_a_waiting_program_wakes_when_its_data_arrives(device, device_network, host_address):
    with socket.create_server((host_address, 0)) as listener:
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        ask = ASK.format(host=host_address, port=port, messages=MESSAGES, late_ms=LATE_MS)
        late = int(device.run(ask, timeout=60))
    assert late < MESSAGES / 2, f"{late} of {MESSAGES} answers were seen only after {LATE_MS} ms"


def test_a_link_that_is_dropped_during_its_negotiation_does_no_harm(new_board):
    if KIND != "PICO_PPP":
        pytest.skip("needs a board with PPP")
    device = Device(new_board(1, network=False).port)
    for _ in range(3):
        device.soft_reset()
        assert device.run(FORGET, timeout=20) == "alive\n"
    device.close()
