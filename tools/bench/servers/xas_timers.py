"""Measures how late timeouts fire with this library, for MicroPython and CPython: PORT CONNECTIONS.

Each connection gets a timeout of its own, between one and two seconds. When all have fired, one line is printed: the
lateness in milliseconds of each, in order.
"""

import sys
import time

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots, XClosedReason

try:
    from time import ticks_diff, ticks_us
except ImportError:
    def ticks_us():
        """Return microseconds, as MicroPython's clock does."""
        return time.perf_counter_ns() // 1000

    def ticks_diff(end, start):
        """Return the time from `start` to `end`."""
        return end - start

count = int(sys.argv[2])
armed = 0
late = []


def on_data(*_):
    """Nothing is ever sent to this server."""


def on_closed(client, reason):
    """Note how late the timeout fired."""
    start, seconds = client.State
    if reason == XClosedReason.Timeout:
        late.append(ticks_diff(ticks_us(), start) / 1000 - seconds * 1000)
    if len(late) == count:
        print(" ".join([f"{ms:.3f}" for ms in late]))


def on_accepted(_, client):
    """Arm the timeout of this connection."""
    global armed
    seconds = 1 + armed * 7919 % count / count  # in an order that is not the order of arrival
    armed += 1
    client.OnClosed = on_closed
    client.State = (ticks_us(), seconds)
    client.AsyncRecvData(None, on_data, None, seconds)


def main(port):
    """Listen for ever."""
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ("127.0.0.1", port), 256, XBufferSlots(count, 64))
    server.OnClientAccepted = on_accepted
    print("READY")
    pool.AsyncWaitEvents()


main(int(sys.argv[1]))
