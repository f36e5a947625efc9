"""TLS on the chip: the memory that a connection takes, and the control server with a certificate."""

import json
import socket
import ssl
import time

import pytest

from tests_device.test_firmware import ANSWER_SEC, CONTROL_PORT, FORGET, START_SEC
from tools.board.certificate import make

PORT = 7777
HANDSHAKE_SEC = 60  # an emulator on a busy computer takes its time
CONNECTIONS = 3
MOST_OF_CONTEXT = 4096
MOST_OF_CONNECTION = 32768

SERVER = """
import gc
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer

def free():
    gc.collect()
    return gc.mem_free()

def on_line(client, line, arg):
    client.AsyncSendData(b'%d %d %d\\n' % (before, listening, free()))
    client.AsyncRecvLine(on_line)

def on_accepted(server, client):
    client.HandshakeSec = 60    # an emulator on a busy computer takes its time
    client.StartSSLContext(context, serverSide=True)
    client.AsyncRecvLine(on_line)

pool = XAsyncSocketsPool()
server = XAsyncTCPServer.Create(pool, ('0.0.0.0', 7777))
server.OnClientAccepted = on_accepted
before = free()
context = XAsyncTCPClient.CreateSSLContext('/key.pem', '/certificate.pem', server_side=True)
listening = free()
pool.AsyncWaitEvents()
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return (file of the certificate, certificate, key)."""
    certificate, key = make(["the board"], 30)
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(certificate)
    return path, certificate, key


def connect(address, port, certificate, limit=START_SEC):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(certificate)
    deadline = time.monotonic() + limit
    while True:
        try:
            plain = socket.create_connection((address, port), 2)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    plain.settimeout(HANDSHAKE_SEC)
    start = time.monotonic()
    secure = context.wrap_socket(plain)
    print(f"{secure.version()}, {secure.cipher()[0]}, handshake in {time.monotonic() - start:.1f} s")
    return secure


def test_the_heap_of_a_connection(networked, board, device, device_network, certificate):
    path, content, key = certificate
    device.soft_reset()
    device.write_file("/certificate.pem", content)
    device.write_file("/key.pem", key)
    device.run("import testing_network; testing_network.up()", timeout=START_SEC)
    device.start(SERVER)
    try:
        for _ in range(CONNECTIONS):
            before = board.instruction_count
            with connect(device_network, PORT, path) as secure, secure.makefile("rw") as file:
                print(f"{(board.instruction_count - before) / 1e6:.0f} million instructions")
                file.write("heap\n")
                file.flush()
                start, listening, now = map(int, file.readline().split())
            print(f"heap: {start:,} B; the context takes {start - listening:,}, the connection {listening - now:,}")
            assert start - listening <= MOST_OF_CONTEXT
            assert listening - now <= MOST_OF_CONNECTION
    finally:
        device.close()
        device.soft_reset()


def test_the_control_server_speaks_tls(networked, board, device, certificate):
    path, content, key = certificate
    device.soft_reset()
    device.run(FORGET)
    device.write_file("/config.json", json.dumps({**board.settings, "control": {"clients": 2}}).encode())
    device.write_file("/certificate.pem", content)
    device.write_file("/key.pem", key)
    device.run_firmware()
    try:
        with connect(board.address, CONTROL_PORT, path) as secure, secure.makefile("rw") as file:
            secure.settimeout(ANSWER_SEC)
            for word, answer in (("ping", "pong"), ("gpio.read pin=2", "0"), ("gc", "free: ")):
                file.write(word + "\n")
                file.flush()
                assert file.readline().startswith(answer)
    finally:
        print(device.console())
        device.open()
        device.run("import os; os.remove('/certificate.pem'); os.remove('/key.pem')")
