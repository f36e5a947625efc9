"""A client of a server that sends lines. When the connection is lost, it connects again, at growing intervals.

    line_client.py HOST PORT
"""
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XClosedReason, XTimer

FIRST_DELAY_SEC = 0.5
LONGEST_DELAY_SEC = 60
SILENCE_SEC = 30        # seconds without a line after which the connection counts as lost

delay_sec = FIRST_DELAY_SEC


def connect(arg: None) -> None:
    client = XAsyncTCPClient.Create(pool, address, connectTimeout=5)
    if client is None:              # there is no network, or no such name
        connect_later()
        return
    client.OnConnected = on_connected
    client.OnClosed = on_closed     # it is also called if the connection fails


def on_connected(client: XAsyncTCPClient) -> None:
    global delay_sec
    delay_sec = FIRST_DELAY_SEC
    client.AsyncSendData(b'hello\n')
    client.AsyncRecvLine(on_line, timeoutSec=SILENCE_SEC)


def on_line(client: XAsyncTCPClient, line: str, arg: None) -> None:
    print(line)
    client.AsyncRecvLine(on_line, timeoutSec=SILENCE_SEC)


def on_closed(client: XAsyncTCPClient, reason: int) -> None:
    print('no connection:', client.CloseError or XClosedReason.Name(reason))
    connect_later()


def connect_later() -> None:
    global delay_sec
    retry.Restart(delay_sec)
    delay_sec = min(2 * delay_sec, LONGEST_DELAY_SEC)


if len(sys.argv) < 3:
    print('usage: line_client.py HOST PORT')
    sys.exit(2)
address = (sys.argv[1], int(sys.argv[2]))
pool = XAsyncSocketsPool()
retry = XTimer(pool, connect)
connect(None)
pool.AsyncWaitEvents()
