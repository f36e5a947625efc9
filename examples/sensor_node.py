"""A sensor that broadcasts its readings over UDP, and answers `read`, `interval SECONDS` and `bye` over TCP.

    sensor_node.py [PORT [BROADCAST_ADDRESS BROADCAST_PORT]]
"""
import json
import sys
import time

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer, XAsyncUDPDatagram

IDLE_SEC = 60

interval_sec = 5.0


def read() -> str:
    """One reading. Put your sensor here."""
    return json.dumps({'uptime': round(time.time() - started)})


def broadcast(arg: None) -> None:
    udp.AsyncSendDatagram(read().encode(), target)
    timer.Restart(interval_sec)


def on_accepted(server: XAsyncTCPServer, client: XAsyncTCPClient) -> None:
    client.AsyncRecvLine(on_line, timeoutSec=IDLE_SEC)


def on_line(client: XAsyncTCPClient, line: str, arg: None) -> None:
    client.AsyncSendData(answer(line).encode() + b'\n')
    if line == 'bye':
        client.Close()
    else:
        client.AsyncRecvLine(on_line, timeoutSec=IDLE_SEC)


def answer(line: str) -> str:
    command, _, value = line.partition(' ')
    if command == 'read':
        return read()
    if command == 'interval':
        return set_interval(value)
    return 'bye' if command == 'bye' else 'read, interval SECONDS, or bye'


def set_interval(value: str) -> str:
    global interval_sec
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= 3600:
        return 'SECONDS is a number from 0.1 to 3600'
    interval_sec = seconds
    timer.Restart(seconds)
    return 'done'


started = time.time()
words = sys.argv[1:]
target = (words[1], int(words[2])) if len(words) > 2 else ('255.255.255.255', 7778)
pool = XAsyncSocketsPool()
udp = XAsyncUDPDatagram.Create(pool, broadcast=True)
server = XAsyncTCPServer.Create(pool, ('0.0.0.0', int(words[0]) if words else 7777))
server.OnClientAccepted = on_accepted
timer = pool.CallLater(interval_sec, broadcast)
print('commands at port', server.SrvAddr[1])
pool.AsyncWaitEvents()
