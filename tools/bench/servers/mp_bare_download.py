"""A bare loop that sends TOTAL bytes when it receives one (MicroPython). PORT TOTAL."""

import select
import sys

from listening import listening


def main(port, total):
    """Serve one connection after the other."""
    listener = listening(port)
    print("READY")
    data = bytes(range(256)) * 16
    parts = [memoryview(data)[n:] for n in range(len(data))]
    while True:
        listener.setblocking(True)
        client = listener.accept()[0]
        client.recv(1)
        client.setblocking(False)
        poll = select.poll()
        poll.register(client, select.POLLOUT)
        sent = 0
        while sent < total:
            for sock, _ in poll.ipoll():
                sent += sock.send(parts[sent & 4095])
        client.close()


main(int(sys.argv[1]), int(sys.argv[2]))
