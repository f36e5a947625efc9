"""An echo server: echo.py PORT [IP]. The line `connect PORT` makes it connect to that port."""
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer


def on_data(client, data, arg):
    data = bytes(data)
    if data.startswith(b'connect '):
        XAsyncTCPClient.Create(pool, ('127.0.0.1', int(data[8:])))
    client.AsyncSendData(data)
    client.AsyncRecvData(None, on_data)


pool = XAsyncSocketsPool()
server = XAsyncTCPServer.Create(pool, (sys.argv[2] if len(sys.argv) > 2 else '127.0.0.1', int(sys.argv[1])))
server.OnClientAccepted = lambda server, client: client.AsyncRecvData(None, on_data)
print('READY')
if hasattr(sys.stdout, 'flush'):
    sys.stdout.flush()
pool.AsyncWaitEvents()
