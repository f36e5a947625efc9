"""Returns datagrams with this library, for MicroPython and CPython: PORT."""

import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram


def on_recv(sock, address, datagram):
    """Send the datagram back."""
    sock.AsyncSendDatagram(datagram, address)


def main(port):
    """Serve for ever."""
    pool = XAsyncSocketsPool()
    sock = XAsyncUDPDatagram.Create(pool, ("127.0.0.1", port), 4096)
    sock.OnRecv = on_recv
    print("READY")
    pool.AsyncWaitEvents()


main(int(sys.argv[1]))
