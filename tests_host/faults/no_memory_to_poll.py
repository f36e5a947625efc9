"""Makes sockets while the heap fills up, so that each allocation for an entry of the poll set fails once. Prints the
results.

    no_memory_to_poll.py CRUMBS     crumbs: pieces of 16 or 32 bytes that are free, no two of them beside each other
"""
import gc
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram

SOCKETS = 40
ROUNDS = 40
STEP = 64               # bytes by which the free memory grows in each round

filling = None
spare = None
crumbs = [None] * int(sys.argv[1])
held = [None] * SOCKETS     # a program may keep a list of its sockets, so closing one frees little memory
counts = {'refused': 0}


def fill():
    global filling
    gc.collect()
    for size in (4096, 1024, 256, 64, 24):
        try:
            while True:
                filling = filling, bytearray(size)
        except MemoryError:
            pass
    number = 0
    try:
        while True:
            filling = (filling,)
            if crumbs:
                crumbs[number % len(crumbs)] = (number,)
                number += 1
    except MemoryError:
        pass
    for number in range(len(crumbs)):
        crumbs[number] = None


def refused(socket, exception):
    counts['refused'] += 1


def echo(udp, address, data):
    udp.AsyncSendDatagram(data, address)


def on_answer(udp, address, data):
    print('answered', bytes(data))


def make(pool):
    """Make as many sockets as there is memory for."""
    for number in range(SOCKETS):
        try:
            held[number] = XAsyncUDPDatagram.Create(pool, ('127.0.0.1', 0), 16)
        except Exception:       # there is no memory, or Create reports that
            counts['refused'] += 1
            return


def main():
    global filling, spare
    pool = XAsyncSocketsPool()
    pool.OnException = refused
    pool.PollEvents()
    for number in range(ROUNDS):
        spare = bytearray(1000 + STEP * number)
        fill()
        spare = None
        make(pool)
        filling = None
        pool.PollEvents()
        for place in range(SOCKETS):
            if held[place] is not None:
                held[place].Close()
                held[place] = None
        pool.PollEvents()
    print('refused' if counts['refused'] else 'there was memory for all')
    print(len(pool.GetAllAsyncSockets()), 'left')
    server = XAsyncUDPDatagram.Create(pool, ('127.0.0.1', 0), 16)
    server.OnRecv = echo
    client = XAsyncUDPDatagram.Create(pool, ('127.0.0.1', 0), 16)
    client.OnRecv = on_answer
    client.AsyncSendDatagram(b'?', server.LocalAddr)
    while pool.PollEvents(1000):
        pass


main()
