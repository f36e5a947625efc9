"""A chat server: it sends each line to all clients. Talk to it with `nc 127.0.0.1 7777`.

    chat_server.py [PORT]
"""
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPClientException, XAsyncTCPServer

chatters: set[XAsyncTCPClient] = set()


def on_accepted(server: XAsyncTCPServer, client: XAsyncTCPClient) -> None:
    client.AsyncSendData(b'Your name?\n')
    client.AsyncRecvLine(on_name, timeoutSec=60)


def on_name(client: XAsyncTCPClient, name: str, arg: None) -> None:
    client.State = name
    client.OnClosed = on_closed
    client.OnLineTooLong = on_line_too_long
    chatters.add(client)
    tell_all(f'{name} has joined, {len(chatters)} are here')
    client.AsyncRecvLine(on_line)


def on_line(client: XAsyncTCPClient, line: str, arg: None) -> None:
    tell_all(f'{client.State}: {line}')
    client.AsyncRecvLine(on_line)


def on_line_too_long(client: XAsyncTCPClient) -> None:
    client.AsyncSendData(b'This line was too long.\n')


def on_closed(client: XAsyncTCPClient, reason: int) -> None:
    chatters.remove(client)
    tell_all(f'{client.State} has left')


def tell_all(text: str) -> None:
    for chatter in chatters:
        try:
            chatter.AsyncSendData(text.encode() + b'\n')
        except XAsyncTCPClientException:    # it does not read, so its queue is full
            chatter.Close()                 # on_closed is called after this handler, so the set does not change here


pool = XAsyncSocketsPool()
server = XAsyncTCPServer.Create(pool, ('0.0.0.0', int(sys.argv[1]) if len(sys.argv) > 1 else 7777))
server.OnClientAccepted = on_accepted
print('chat at port', server.SrvAddr[1])
pool.AsyncWaitEvents()
