"""Echo server of this library, for MicroPython and CPython: PORT [SLOTS [TIMEOUT_SEC]]."""

import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots

timeout = float(sys.argv[3]) if len(sys.argv) > 3 else None


def on_data(client, data, _):
    """Send the data back and wait for more."""
    client.AsyncSendData(data)
    client.AsyncRecvData(None, on_data, None, timeout)


def on_accepted(_, client):
    """Wait for the first message."""
    client.AsyncRecvData(None, on_data, None, timeout)


def main(port, slots=64):
    """Listen for ever."""
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ("127.0.0.1", int(port)), 256, XBufferSlots(int(slots), 4096))
    server.OnClientAccepted = on_accepted
    print("READY")
    pool.AsyncWaitEvents()


main(*sys.argv[1:3])
