"""An HTTP server. It makes its pages when they are requested. Connections stay open for further requests.

    http_server.py [PORT]
"""
import sys
import time

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer

IDLE_SEC = 30
MOST_HEADERS = 50

started = time.time()


def front_page() -> str:
    return '<h1>Hello</h1><p>See <a href="/uptime">how long I have been running</a>.</p>'


def uptime_page() -> str:
    return f'<p>{time.time() - started:.0f} seconds</p>'


PAGES = {'/': front_page, '/uptime': uptime_page}


def on_accepted(server: XAsyncTCPServer, client: XAsyncTCPClient) -> None:
    client.OnLineTooLong = lambda client: refuse(client, '431 Request Header Fields Too Large')
    client.AsyncRecvLine(on_request, timeoutSec=IDLE_SEC)


def on_request(client: XAsyncTCPClient, line: str, arg: None) -> None:
    words = line.split(' ')
    if len(words) == 3:
        client.State = words
        client.AsyncRecvLine(on_header, 1, timeoutSec=IDLE_SEC)
    else:
        refuse(client, '400 Bad Request')


def on_header(client: XAsyncTCPClient, line: str, number: int) -> None:
    if line and number < MOST_HEADERS:
        client.AsyncRecvLine(on_header, number + 1, timeoutSec=IDLE_SEC)
    elif line:
        refuse(client, '431 Request Header Fields Too Large')
    else:
        respond(client, *client.State)


def respond(client: XAsyncTCPClient, method: str, path: str, version: str) -> None:
    if method != 'GET':
        refuse(client, '405 Method Not Allowed')
        return
    if path in PAGES:
        send(client, '200 OK', PAGES[path]())
    else:
        send(client, '404 Not Found', '<p>There is no such page.</p>')
    if version == 'HTTP/1.1':
        client.AsyncRecvLine(on_request, timeoutSec=IDLE_SEC)
    else:
        client.Close()


def send(client: XAsyncTCPClient, status: str, text: str) -> None:
    body = text.encode()
    head = f'HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n'
    client.AsyncSendData(head.encode() + body)


def refuse(client: XAsyncTCPClient, status: str) -> None:
    send(client, status, status)
    client.Close()


pool = XAsyncSocketsPool()
server = XAsyncTCPServer.Create(pool, ('0.0.0.0', int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
server.OnClientAccepted = on_accepted
print('pages at port', server.SrvAddr[1])
pool.AsyncWaitEvents()
