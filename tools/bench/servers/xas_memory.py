"""Echo server of this library that reports its use of the heap (MicroPython): PORT SLOTS.

The answer to the message "?" is the number of bytes allocated and of connections accepted. The answer to "!" is the
same after a collection. There is no other collection, so the difference between two answers is the memory that was
allocated in between.
"""

import gc
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots

QUESTION, COLLECT = ord("?"), ord("!")
accepted = 0


def on_data(client, data, _):
    """Answer a question, send back anything else."""
    if data[0] == COLLECT:
        gc.collect()
    if data[0] == COLLECT or data[0] == QUESTION:
        client.AsyncSendData(b"%d %d\n" % (gc.mem_alloc(), accepted))
    else:
        client.AsyncSendData(data)
    client.AsyncRecvData(None, on_data)


def on_accepted(_, client):
    """Wait for the first message."""
    global accepted
    accepted += 1
    client.AsyncRecvData(None, on_data)


def main(port, slots):
    """Listen for ever."""
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ("127.0.0.1", port), 256, XBufferSlots(slots, 4096))
    server.OnClientAccepted = on_accepted
    gc.collect()
    gc.disable()
    print("READY")
    pool.AsyncWaitEvents()


main(int(sys.argv[1]), int(sys.argv[2]))
