"""Measures quantities that are not compared with another side: memory and the lateness of timeouts."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from rows import OURS, TOTAL
from runner import Failed, Side, expect_line, generate, peak_memory, serving

ALLOCATION_CONNECTIONS = 5
IDLE_CONNECTIONS = 1000
TIMERS = 1000
POINTER_BITS = 64


@dataclass
class Gauge:
    """A quantity with an upper limit; `measure(side)` gives its value once."""

    name: str
    title: str
    unit: str
    sides: list
    measure: callable
    limit: float


def connected(port):
    """Return a connection to the server."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def ask(control, question):
    """Return the heap in use and the number of accepted connections, from a server of xas_memory.py."""
    control.sendall(question)
    heap, accepted = control.recv(100).split()
    return int(heap), int(accepted)


def allocation(side, few=10000, many=50000):
    """Return the bytes allocated per TCP message: the growth over `many` messages minus that over `few`.

    Each is the least of three runs, because the end of the connections is not always noticed in the same way.
    """
    growth = {few: [], many: []}
    with serving(side) as (_, port), connected(port) as control:
        generate("echo", port, conns=ALLOCATION_CONNECTIONS, count=few)  # after this, no table grows any more
        before = ask(control, b"?")[0]
        for messages in (few, many) * 3:
            generate("echo", port, conns=ALLOCATION_CONNECTIONS, count=messages)
            after = ask(control, b"?")[0]
            growth[messages].append(after - before)
            before = after
    return (min(growth[many]) - min(growth[few])) / (many - few)


def idle_memory(side, count=IDLE_CONNECTIONS):
    """Return the heap that one accepted connection takes while it waits for its first byte."""
    with serving(side) as (_, port), connected(port) as control:
        ask(control, b"!")
        before, accepted = ask(control, b"!")
        idle = [connected(port) for _ in range(count)]
        deadline = time.monotonic() + 10
        after, now = ask(control, b"!")
        while now - accepted < count:
            if time.monotonic() > deadline:
                raise Failed(f"{now - accepted} of {count} connections were accepted")
            after, now = ask(control, b"!")
        for sock in idle:
            sock.close()
    return (after - before) / count


def lateness(side):
    """Return the lateness or earliness in ms that 99 % of the timeouts do not exceed."""
    with serving(side) as (process, port):
        socks = [connected(port) for _ in range(TIMERS)]
        late = sorted(abs(float(word)) for word in expect_line(process, 30).split())
        for sock in socks:
            sock.close()
    if len(late) != TIMERS:
        raise Failed(f"{len(late)} of {TIMERS} timeouts fired")
    return late[TIMERS * 99 // 100]


def bulk_memory(side):
    """Return the memory in KiB that one connection with 200 MB adds to the process at its peak."""
    mode = "upload" if "upload" in side.server else "download"
    with serving(side) as (process, port):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # reset the peak after the start
        before = peak_memory(process.pid)
        generate(mode, port, bytes=TOTAL)
        return peak_memory(process.pid) - before


def all_gauges():
    """Return every gauge in the order of the table."""
    slots = IDLE_CONNECTIONS + 8
    return [
        Gauge("allocation", "allocated per TCP message in steady state", "B",
              [Side(OURS, "xas_memory.py", (16,), heap="64M")], allocation, 0),
        Gauge("idle-memory", f"heap of one idle accepted connection ({POINTER_BITS}-bit: twice the 32-bit limit)", "B",
              [Side(OURS, "xas_memory.py", (slots,), heap="64M")], idle_memory, 400 * POINTER_BITS // 32),
        Gauge("lateness", f"lateness of a timeout, {TIMERS:,} pending, 99th percentile", "ms",
              [Side(OURS, "xas_timers.py", (TIMERS,), heap="16M"),
               Side(OURS + " on CPython", "xas_timers.py", (TIMERS,), python=True)], lateness, 20),
        Gauge("bulk-memory", "what 200 MB through one connection add to the process, its heap of 1 MiB included", "KiB",
              [Side(f"{OURS}, {mode}", f"xas_{mode}.py", (TOTAL,), heap="1M") for mode in ("upload", "download")],
              bulk_memory, 1024),
    ]
