"""TLS on the chip: its mbedTLS, its memory. What TLS has to do in all is in tests_host/contract/test_tls.py."""

import base64
import socket
import ssl
import time
from pathlib import Path

TLS = Path(__file__).resolve().parents[1] / "tests_host" / "tls"
PORT = 8443
LIMIT_SEC = 60

# Runs on the board: a server that echoes lines, and ends with its connection.
SERVE_LINES = """
import tls
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots
context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
context.load_cert_chain({certificate!r}, {key!r})
pool = XAsyncSocketsPool()
def on_line(client, line, arg):
    client.AsyncSendData(line.encode() + b"\\n")
    client.AsyncRecvLine(on_line)
def on_accepted(server, client):
    client.OnClosed = lambda client, reason: pool.StopWaitEvents()
    client.StartSSLContext(context, serverSide=True)
    client.AsyncRecvLine(on_line)
server = XAsyncTCPServer.Create(pool, ("0.0.0.0", {port}), 2, XBufferSlots(2, 1024))
server.OnClientAccepted = on_accepted
pool.AsyncWaitEvents()
"""


def der(name):
    """MicroPython's mbedTLS reads no PEM."""
    return base64.b64decode("".join(line for line in (TLS / name).read_text().splitlines() if "-" not in line))


def connect(address):
    deadline = time.monotonic() + LIMIT_SEC
    while True:
        try:
            return socket.create_connection((address, PORT), LIMIT_SEC)
        except ConnectionRefusedError:  # it does not listen yet
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_lines_over_tls(device, device_network):
    device.start(SERVE_LINES.format(certificate=der("server.crt"), key=der("server.key"), port=PORT))
    context = ssl.create_default_context(cafile=TLS / "server.crt")
    with context.wrap_socket(connect(device_network), server_hostname="localhost") as connection:
        for line in (b"one\n", b"x" * 1000 + b"\n", b"three\n"):
            connection.sendall(line)
            received = b""
            while not received.endswith(b"\n"):
                received += connection.recv(2000)
            assert received == line
    device.finish(LIMIT_SEC)
