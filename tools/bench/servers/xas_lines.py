"""Returns text lines with this library, for MicroPython and CPython: PORT [SLOTS]."""

import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots


def on_line(client, line, _):
    """Send the line back and wait for more."""
    client.AsyncSendData((line + "\n").encode())
    client.AsyncRecvLine(on_line)


def on_accepted(_, client):
    """Wait for the first line."""
    client.AsyncRecvLine(on_line)


def main(port, slots=64):
    """Listen for ever."""
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ("127.0.0.1", int(port)), 256, XBufferSlots(int(slots), 4096))
    server.OnClientAccepted = on_accepted
    print("READY")
    pool.AsyncWaitEvents()


main(*sys.argv[1:])
