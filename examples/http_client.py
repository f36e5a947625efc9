"""An HTTP client: prints the body of a page.

    http_client.py http://HOST[:PORT]/PATH
"""
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XClosedReason

TIMEOUT_SEC = 10


def on_connected(client: XAsyncTCPClient) -> None:
    # HTTP 1.0: the body ends where the connection ends.
    client.AsyncSendData(f'GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n'.encode())
    client.AsyncRecvLine(on_status, timeoutSec=TIMEOUT_SEC)


def on_status(client: XAsyncTCPClient, line: str, arg: None) -> None:
    if ' 200 ' not in line:
        print('the server says:', line, file=sys.stderr)
    client.AsyncRecvLine(on_header, timeoutSec=TIMEOUT_SEC)


def on_header(client: XAsyncTCPClient, line: str, arg: None) -> None:
    name, _, value = line.partition(':')
    if name.lower() == 'content-length':
        client.State = int(value)       # bytes that are still to come
    if line:
        client.AsyncRecvLine(on_header, timeoutSec=TIMEOUT_SEC)
    else:
        on_body(client, memoryview(b''), None)


def on_body(client: XAsyncTCPClient, data: memoryview, arg: None) -> None:
    sys.stdout.buffer.write(data)
    if client.State is not None:
        client.State -= len(data)
    if client.State == 0:
        client.Close()
    else:
        client.AsyncRecvData(onDataRecv=on_body, timeoutSec=TIMEOUT_SEC)


def on_closed(client: XAsyncTCPClient, reason: int) -> None:
    if reason in (XClosedReason.Error, XClosedReason.Timeout) or client.State:
        print('not complete:', client.CloseError or XClosedReason.Name(reason), file=sys.stderr)
    pool.StopWaitEvents()


words = sys.argv[1].split('/', 3) if len(sys.argv) > 1 else []
if len(words) != 4:
    print('usage: http_client.py http://HOST[:PORT]/PATH')
    sys.exit(2)
_, _, host, path = words
name, _, port = host.partition(':')
pool = XAsyncSocketsPool()
client = XAsyncTCPClient.Create(pool, (name, int(port or 80)))
if client is None:
    print('there is no network, or no host', name)
    sys.exit(1)
client.OnConnected = on_connected
client.OnClosed = on_closed
pool.AsyncWaitEvents()
