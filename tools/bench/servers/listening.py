"""The listening sockets of the servers that use no library, for MicroPython and CPython."""

import socket


def bound(port, kind=socket.SOCK_STREAM):
    """Return a socket bound to `port` of this machine."""
    sock = socket.socket(socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    return sock


def listening(port):
    """Return a non-blocking socket that listens on `port`."""
    sock = bound(port)
    sock.listen(256)
    sock.setblocking(False)
    return sock
