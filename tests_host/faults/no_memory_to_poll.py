"""Sockets that enter the poll set when the heap is full, and stays so; prints what came of them.

    no_memory_to_poll.py CRUMBS     crumbs: pieces of 16 or 32 bytes that are free, no two of them beside each other
"""
import gc
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram

SOCKETS = 40

filling = None
crumbs = [None] * int(sys.argv[1])
held = [None] * SOCKETS     # as a program does that has a list of its sockets: a closed one gives back little
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
    fill()      # with what this one and the pool gave back


def echo(udp, address, data):
    udp.AsyncSendDatagram(data, address)


def on_answer(udp, address, data):
    print('answered', bytes(data))


def main():
    global filling
    pool = XAsyncSocketsPool()
    pool.OnException = refused
    pool.PollEvents()
    for _ in range(4):
        for number in range(SOCKETS):
            held[number] = XAsyncUDPDatagram.Create(pool, ('127.0.0.1', 0), 16)
        fill()
        pool.PollEvents()
        pool.PollEvents()
        filling = None
        for udp in held:
            udp.Close()
        pool.PollEvents()
    print('refused' if counts['refused'] else 'there was memory for all')
    server = XAsyncUDPDatagram.Create(pool, ('127.0.0.1', 0), 16)
    server.OnRecv = echo
    client = XAsyncUDPDatagram.Create(pool, ('127.0.0.1', 0), 16)
    client.OnRecv = on_answer
    client.AsyncSendDatagram(b'?', server.LocalAddr)
    while pool.PollEvents(1000):
        pass


main()
