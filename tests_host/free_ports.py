"""Ports for servers under test, below the range from which the system chooses ports."""
import random
import socket


def free_port():
    """Return a port of 127.0.0.1 that was just free for TCP and UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(('127.0.0.1', random.randrange(20000, 32000)))
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]
            except OSError:
                continue
