"""The upper limit: an echo server with nothing between the program and the interpreter (MicroPython)."""

import select
import sys

from listening import listening

SIZE = 4096


def main(port):
    """Echo everything, for ever."""
    listener = listening(port)
    buffer = bytearray(SIZE)
    parts = [memoryview(buffer)[:n] for n in range(SIZE + 1)]  # slices made beforehand: nothing to allocate
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    print("READY")
    sock = None
    while True:
        try:
            for sock, _ in poll.ipoll():
                if sock is listener:
                    client = sock.accept()[0]
                    client.setblocking(False)
                    poll.register(client, select.POLLIN)
                else:
                    n = sock.readinto(buffer)
                    if n:
                        sock.send(parts[n])
                    elif n == 0:
                        poll.unregister(sock)
                        sock.close()
        except OSError:  # outside the loop, where it costs nothing per message: the peer reset its connection
            if sock is not listener:
                poll.unregister(sock)
                sock.close()


main(int(sys.argv[1]))
