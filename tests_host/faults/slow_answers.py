"""Timeouts on a network in which a request and its answer take 0.6 s: slow_answers.py PORT OWN_IP PEER_IP.

Prints how each of two attempts to connect and each of two requests ended, and after how many milliseconds.
"""
import sys
import time

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient

SHORT_SEC, LONG_SEC = 0.45, 20

now_ms = getattr(time, 'ticks_ms', lambda: time.monotonic_ns() // 1000000)
began = 0


def begin():
    global began
    began = now_ms()


def tell(what):
    print(what, now_ms() - began)
    if hasattr(sys.stdout, 'flush'):
        sys.stdout.flush()


def connect(timeout, on_connected):
    begin()
    client = XAsyncTCPClient.Create(pool, (sys.argv[3], int(sys.argv[1])), connectTimeout=timeout)
    client.OnConnected = on_connected
    client.OnFailsToConnect = lambda client: (tell('connect timed out'), connect(LONG_SEC, on_long_connected))


def on_short_connected(client):
    tell('connected too early')


def on_long_connected(client):
    tell('connected')
    begin()
    client.OnClosed = on_closed
    client.AsyncSendData(b'question\n')
    client.AsyncRecvLine(on_answer, 'answered', LONG_SEC)


def on_answer(client, line, arg):
    tell(arg)
    begin()
    client.AsyncSendData(b'question\n')
    client.AsyncRecvLine(on_answer, 'answered too early', SHORT_SEC)


def on_closed(client, reason):
    tell('receive timed out' if reason == 3 else 'closed for reason %d' % reason)
    pool.StopWaitEvents()


pool = XAsyncSocketsPool()
print('READY')
if hasattr(sys.stdout, 'flush'):
    sys.stdout.flush()
connect(SHORT_SEC, on_short_connected)
pool.AsyncWaitEvents()
