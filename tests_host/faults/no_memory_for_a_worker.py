"""There is no memory for the handler of a worker. Prints the events of its connection and of the next one."""
import socket
import time

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XClosedReason

PATIENCE_SEC = 30

told = {'exception': None, 'reason': None}


def on_line(client, line, arg):
    client.AsyncSendData(line.encode() + b'\n')
    client.AsyncRecvLine(on_line)
    if line == 'greedy':
        bytearray(1 << 60)


def on_closed(client, reason):
    if reason == XClosedReason.Error:
        told['reason'] = reason


def on_exception(socket, exception):
    told['exception'] = type(exception).__name__


def on_accepted(server, client):
    client.AsyncRecvLine(on_line)
    client.OnClosed = on_closed


def connect(address):
    sock = socket.socket()
    sock.connect(socket.getaddrinfo(*address)[0][-1])
    sock.settimeout(PATIENCE_SEC)
    return sock


def ask(sock, line):
    sock.send(line + b'\n')
    print(sock.recv(100))


def wait_until(condition):
    end = time.time() + PATIENCE_SEC
    while not condition():
        assert time.time() < end
        time.sleep_ms(10)


def main():
    pool = XAsyncSocketsPool()
    pool.OnException = on_exception
    server = XAsyncTCPServer.Create(pool, ('127.0.0.1', 0))
    server.OnClientAccepted = on_accepted
    pool.AsyncWaitEvents(threadsCount=2)    # the loop, and one worker
    first = connect(server.SrvAddr)
    ask(first, b'greedy')
    print(first.recv(100))
    wait_until(lambda: told['reason'] is not None)
    print(told['exception'])
    ask(connect(server.SrvAddr), b'y')
    pool.StopWaitEvents()
    wait_until(lambda: not pool.WaitEventsProcessing)


main()
