"""Sends TOTAL bytes when it receives one, using this library, for MicroPython and CPython: PORT TOTAL."""

import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots

total = int(sys.argv[2])
data = bytes(range(256)) * 16


def on_sent(client, _):
    """Send the next part, or the last one."""
    left = client.State
    if left > 0:
        client.State = left - len(data)
        client.AsyncSendData(data if left >= len(data) else data[:left], on_sent)


def on_request(client, *_):
    """Start sending."""
    client.State = total
    on_sent(client, None)


def on_accepted(_, client):
    """Wait for the request."""
    client.AsyncRecvData(None, on_request)


def main(port):
    """Listen for ever."""
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ("127.0.0.1", port), 256, XBufferSlots(8, 4096))
    server.OnClientAccepted = on_accepted
    print("READY")
    pool.AsyncWaitEvents()


main(int(sys.argv[1]))
