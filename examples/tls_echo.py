"""An echo server with TLS. Talk to it with `openssl s_client -connect 127.0.0.1:7777`.

    tls_echo.py KEY_FILE CERTIFICATE_FILE [PORT]

A key and a certificate to try it with:

    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost
"""
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer, XClosedReason


def on_accepted(server: XAsyncTCPServer, client: XAsyncTCPClient) -> None:
    client.OnClosed = on_closed
    client.StartSSLContext(context, serverSide=True)
    client.AsyncRecvData(onDataRecv=on_data)    # waits for the handshake


def on_data(client: XAsyncTCPClient, data: memoryview, arg: None) -> None:
    client.AsyncSendData(data, on_sent)


def on_sent(client: XAsyncTCPClient, arg: None) -> None:
    client.AsyncRecvData(onDataRecv=on_data)


def on_closed(client: XAsyncTCPClient, reason: int) -> None:
    print(client.CliAddr[0], XClosedReason.Name(reason), client.CloseError or '')


if len(sys.argv) < 3:
    print('usage: tls_echo.py KEY_FILE CERTIFICATE_FILE [PORT]')
    sys.exit(2)
key_file, certificate_file = sys.argv[1:3]
context = XAsyncTCPClient.CreateSSLContext(key_file, certificate_file, server_side=True)
pool = XAsyncSocketsPool()
server = XAsyncTCPServer.Create(pool, ('0.0.0.0', int(sys.argv[3]) if len(sys.argv) > 3 else 7777))
server.OnClientAccepted = on_accepted
print('echo at port', server.SrvAddr[1])
pool.AsyncWaitEvents()
