"""Sockets that enter the poll set when the heap is full to its last byte; prints `lives on`."""
import gc

from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram

kept = None


def fill():
    global kept
    gc.collect()
    for size in (4096, 1024, 256, 64, 24):
        try:
            while True:
                kept = kept, bytearray(size)
        except MemoryError:
            pass
    try:
        while True:
            kept = (kept,)
    except MemoryError:
        pass


def let_go(socket, exception):
    global kept
    kept = None


pool = XAsyncSocketsPool()
pool.OnException = let_go
pool.PollEvents()
for _ in range(40):
    udp = XAsyncUDPDatagram.Create(pool, ('127.0.0.1', 0), 16)
    fill()
    pool.PollEvents()
    kept = None
    pool.PollEvents()
    if len(pool.GetAllAsyncSockets()) > 20:
        udp.Close()
        pool.PollEvents()
print('lives on')
