"""The upper limit: an echo server with nothing between the program and the interpreter (CPython)."""

import select
import sys

from listening import listening

SIZE = 4096


def main(port):
    """Echo everything, for ever."""
    listener = listening(port)
    buffer = bytearray(SIZE)
    parts = [memoryview(buffer)[:n] for n in range(SIZE + 1)]
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    socks = {}
    print("READY")
    fd = 0
    while True:
        try:
            for fd, _ in epoll.poll():
                if fd in socks:
                    sock = socks[fd]
                    n = sock.recv_into(buffer)
                    if n:
                        sock.send(parts[n])
                    else:
                        del socks[fd]
                        sock.close()
                else:
                    client = listener.accept()[0]
                    client.setblocking(False)
                    socks[client.fileno()] = client
                    epoll.register(client.fileno(), select.EPOLLIN)
        except OSError:  # the peer reset its connection
            if fd in socks:
                socks.pop(fd).close()


main(int(sys.argv[1]))
