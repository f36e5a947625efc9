"""The port's own sockets, below the library."""

import socket
import threading

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


def echo(listener):
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(1000):
            connection.sendall(data)


def test_a_waiting_program_wakes_when_its_data_has_come(device, device_network, host_address):
    with socket.create_server((host_address, 0)) as listener:
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        ask = ASK.format(host=host_address, port=port, messages=MESSAGES, late_ms=LATE_MS)
        late = int(device.run(ask, timeout=60))
    assert late < MESSAGES / 2, f"{late} of {MESSAGES} answers were seen only after {LATE_MS} ms"
