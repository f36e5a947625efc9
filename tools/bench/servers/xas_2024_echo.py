"""Echo server of the 2024 implementation (CPython): PORT.

It closes a connection whose message is not exactly of the requested size, and it uses select(): so 64 bytes and at most
1,000 connections.
"""

import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots

SIZE = 64


def on_data(client, data, _):
    """Send the data back and wait for more."""
    client.AsyncSendData(bytes(data))
    client.AsyncRecvData(SIZE, on_data)


def on_accepted(_, client):
    """Wait for the first message."""
    client.AsyncRecvData(SIZE, on_data)


def main(port):
    """Listen for ever."""
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ("127.0.0.1", port), 256, XBufferSlots(1000, 4096))
    server.OnClientAccepted = on_accepted
    print("READY")
    pool.AsyncWaitEvents()


main(int(sys.argv[1]))
