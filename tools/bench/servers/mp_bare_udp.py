"""Returns datagrams: a bare recvfrom and sendto loop (MicroPython). PORT [poll]: `poll` makes it call select.poll(),
too.
"""

import select
import socket
import sys

from listening import bound


def blocking(sock):
    """Let recvfrom wait."""
    while True:
        data, address = sock.recvfrom(4096)
        sock.sendto(data, address)


def polling(sock):
    """Wait for several sockets with poll(), as a program with more than one socket does."""
    sock.setblocking(False)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    while True:
        for ready, _ in poll.ipoll():
            data, address = ready.recvfrom(4096)
            ready.sendto(data, address)


sock = bound(int(sys.argv[1]), socket.SOCK_DGRAM)
print("READY")
(polling if len(sys.argv) > 2 else blocking)(sock)
