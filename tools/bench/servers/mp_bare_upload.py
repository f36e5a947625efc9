"""A bare loop that receives TOTAL bytes and answers with one (MicroPython). PORT TOTAL."""

import select
import sys

from listening import listening


def main(port, total):
    """Serve one connection after the other."""
    listener = listening(port)
    print("READY")
    buffer = bytearray(4096)
    while True:
        listener.setblocking(True)
        client = listener.accept()[0]
        client.setblocking(False)
        poll = select.poll()
        poll.register(client, select.POLLIN)
        left = total
        while left > 0:
            for sock, _ in poll.ipoll():
                left -= sock.readinto(buffer)
        client.send(b"!")
        client.close()


main(int(sys.argv[1]), int(sys.argv[2]))
