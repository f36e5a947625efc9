"""A server in a small heap. It answers lines and data, and reports its state. It has no `try`, so any error ends it.

    small.py PORT THREADS
"""
import _thread
import gc
import sys
import time

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XAsyncUDPDatagram, XBufferSlots

counts = {'accepted': 0, 'closed': 0, 'raised': 0}
lock = _thread.allocate_lock()


def count(what):
    with lock:
        counts[what] += 1


def on_line(client, line, arg):
    if line.startswith('data '):
        client.AsyncRecvData(int(line[5:]), on_data)
        return
    if line == '?':
        gc.collect()
        line = '%d %d %d %d' % (gc.mem_alloc(), counts['accepted'], counts['closed'], counts['raised'])
    client.AsyncSendData(line.encode() + b'\n')
    client.AsyncRecvLine(on_line)


def on_data(client, data, arg):
    client.AsyncSendData(data)
    client.AsyncRecvLine(on_line)


def on_closed(client, reason):
    count('closed')


def on_accepted(server, client):
    client.OnClosed = on_closed
    count('accepted')     # counted here, because a client without memory for a handler does not report its end, either
    client.AsyncRecvLine(on_line)


def on_exception(socket, exception):
    count('raised')
    print(type(exception).__name__)


def on_datagram(udp, address, data):
    udp.AsyncSendDatagram(data, address)


def main(port, threads):
    pool = XAsyncSocketsPool()
    pool.OnException = on_exception
    server = XAsyncTCPServer.Create(pool, ('127.0.0.1', port), 255, XBufferSlots(10000, 1024, keepAlloc=False))
    server.OnClientAccepted = on_accepted
    udp = XAsyncUDPDatagram.Create(pool, ('127.0.0.1', port), 512)
    udp.OnRecv = on_datagram
    print('READY')
    pool.AsyncWaitEvents(threads)
    while pool.WaitEventsProcessing:
        time.sleep_ms(100)


main(int(sys.argv[1]), int(sys.argv[2]))
