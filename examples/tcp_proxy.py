"""A proxy for TCP: it forwards data from its port to another host, and returns the answers.

    tcp_proxy.py HOST PORT [LISTENING_PORT]
"""
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer

IDLE_SEC = 300


class Link:
    """Two connections. Each one sends what the other one receives."""

    def __init__(self, client: XAsyncTCPClient, upstream: XAsyncTCPClient) -> None:
        self.client = client
        self.upstream = upstream
        self.idle = pool.CallLater(IDLE_SEC, self.close)
        client.OnPeerFinished = lambda client: None     # it may still be waiting for its answer
        upstream.OnPeerFinished = self.close            # everything that it sent was passed on
        upstream.OnConnected = self.on_connected
        client.OnClosed = upstream.OnClosed = lambda reason: self.close()

    def on_connected(self, upstream: XAsyncTCPClient) -> None:
        self.client.AsyncRecvData(onDataRecv=self.on_data)
        self.upstream.AsyncRecvData(onDataRecv=self.on_data)

    def on_data(self, source: XAsyncTCPClient, data: memoryview, arg: None) -> None:
        self.idle.Restart(IDLE_SEC)
        sink = self.upstream if source is self.client else self.client
        sink.AsyncSendData(data, self.on_sent, source)

    def on_sent(self, sink: XAsyncTCPClient, source: XAsyncTCPClient) -> None:
        source.AsyncRecvData(onDataRecv=self.on_data)   # only now, so that a slow reader slows its source down

    def close(self, arg: object = None) -> None:
        self.idle.Cancel()
        self.client.Close()     # data that was passed on is still sent
        self.upstream.Close()


def on_accepted(server: XAsyncTCPServer, client: XAsyncTCPClient) -> None:
    upstream = XAsyncTCPClient.Create(pool, target)
    if upstream is None:
        client.Close()
    else:
        Link(client, upstream)


if len(sys.argv) < 3:
    print('usage: tcp_proxy.py HOST PORT [LISTENING_PORT]')
    sys.exit(2)
target = (sys.argv[1], int(sys.argv[2]))
pool = XAsyncSocketsPool()
server = XAsyncTCPServer.Create(pool, ('0.0.0.0', int(sys.argv[3]) if len(sys.argv) > 3 else 7777))
server.OnClientAccepted = on_accepted
print('proxy at port', server.SrvAddr[1])
pool.AsyncWaitEvents()
