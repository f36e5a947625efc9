"""Receives TOTAL bytes and answers with one, using this library, for MicroPython and CPython: PORT TOTAL."""

import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots

total = int(sys.argv[2])


def on_data(client, data, _):
    """Count the data and wait for more."""
    client.State -= len(data)
    if client.State > 0:
        client.AsyncRecvData(None, on_data)
    else:
        client.AsyncSendData(b"!")


def on_accepted(_, client):
    """Wait for the first part."""
    client.State = total
    client.AsyncRecvData(None, on_data)


def main(port):
    """Listen for ever."""
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ("127.0.0.1", port), 256, XBufferSlots(8, 4096))
    server.OnClientAccepted = on_accepted
    print("READY")
    pool.AsyncWaitEvents()


main(int(sys.argv[1]))
