"""TLS with other implementations: OpenSSL's s_client and s_server, curl, CPython's ssl, MicroPython's asyncio.

A small program with the library runs under each interpreter. The peers are separate processes, or threads of this one.
"""
import hashlib
import os
import queue
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from free_ports import free_port

TLS_DIR = Path(__file__).resolve().parent / 'tls'
CERTIFICATE, KEY = TLS_DIR / 'server.crt', TLS_DIR / 'server.key'
PATIENCE_SEC = 20
BULK = bytes(range(256)) * 4000

# A server. It answers a line with the line in capitals, `bulk N` with the digest of the next N bytes, and an HTTP
# request with an HTTP response.
SERVER = """
import hashlib
from binascii import hexlify
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer

context = XAsyncTCPClient.CreateSSLContext('server.key', 'server.crt', server_side=True)
page = b'x' * 100000

def on_accepted(server, client):
    client.OnClosed = lambda client, reason: print('closed', reason, client.CloseError)
    if START_TLS:
        client.AsyncSendData(b'220 a mail server\\r\\n')
        client.AsyncRecvLine(on_plain)
    else:
        on_plain_sent(client)

def on_plain(client, line, arg):
    if line == 'STARTTLS':
        client.AsyncSendData(b'220 go ahead\\r\\n', on_plain_sent)
    else:
        client.AsyncSendData(b'250-hello\\r\\n250 STARTTLS\\r\\n')
        client.AsyncRecvLine(on_plain)

def on_plain_sent(client, arg=None):
    client.StartSSLContext(context, serverSide=True)
    client.AsyncRecvLine(on_line)

def on_line(client, line, arg):
    if line.startswith('GET '):
        client.AsyncSendData(b'HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(page))
        client.AsyncSendData(page)
        client.Close()
    elif line.startswith('bulk '):
        client.AsyncRecvData(int(line[5:]), on_bulk)
    elif line == 'bye':
        client.Close()
    else:
        client.AsyncSendData(line.upper().encode() + b'\\n')
        client.AsyncRecvLine(on_line)

def on_bulk(client, data, arg):
    client.AsyncSendData(hexlify(hashlib.sha256(data).digest()) + b'\\n')
    client.AsyncRecvLine(on_line)

pool = XAsyncSocketsPool()
server = XAsyncTCPServer.Create(pool, ('127.0.0.1', 0))
server.OnClientAccepted = on_accepted
print('port', server.SrvAddr[1])
pool.AsyncWaitEvents()
"""

CLIENT = """
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient

context = XAsyncTCPClient.CreateSSLContext(cert_reqs=2, ca_certs='server.crt')

def on_connected(client):
    client.StartSSLContext(context)
    client.AsyncRecvLine(on_line)
    client.AsyncSendData(b'hello\\n')

def on_line(client, line, arg):
    print('answer', line)
    client.AsyncRecvLine(on_line)
    client.AsyncSendData(b'bye\\n')

def on_closed(client, reason):
    print('closed', reason, client.CloseError)
    pool.StopWaitEvents()

pool = XAsyncSocketsPool()
client = XAsyncTCPClient.Create(pool, ('localhost', PORT))
client.OnConnected = on_connected
client.OnClosed = on_closed
pool.AsyncWaitEvents()
"""

# Uses MicroPython's own streams. `ssl` is in micropython-lib, and `tls` is in every port.
ASYNCIO = """
import asyncio, tls
from binascii import a2b_base64

def der(path):
    with open(path) as file:
        return a2b_base64(''.join([line for line in file.read().split('\\n') if not line.startswith('-')]))

async def main():
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(der('server.crt'))
    reader, writer = await asyncio.open_connection('127.0.0.1', PORT, ssl=context, server_hostname='localhost')
    for size in (1, 100, 5000):
        writer.write(b'bulk %d\\n' % size + b'x' * size)
        await writer.drain()
        print(size, (await reader.readline()).decode().strip())
    writer.close()
    await writer.wait_closed()

asyncio.run(main())
"""


class Process:
    """A process whose output is read line by line."""

    def __init__(self, command, **options):
        options.setdefault('stdin', subprocess.PIPE)
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=TLS_DIR, **options)
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.decode(errors='replace').rstrip('\r\n'))
        self._lines.put(None)

    def line(self, start=''):
        """Return the next line that begins with `start`."""
        seen = []
        end = time.monotonic() + PATIENCE_SEC
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, 'no line %r after %r' % (start, seen)
            if line.startswith(start):
                return line
            seen.append(line)

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(tmp_path):
    """Returns start(command), which starts a process that ends with the test."""
    processes = []

    def start(*command, **options):
        processes.append(Process(command, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.end()


@pytest.fixture
def program(start, interpreter, tmp_path):
    """Returns program(source, NAME=value), which starts a program with the library under the interpreter."""

    def run(source, **values):
        path = tmp_path / 'program.py'
        path.write_text(''.join('%s = %r\n' % item for item in values.items()) + source)
        command = interpreter.command if interpreter.name != 'cpython' else [*interpreter.command, '-u']
        return start(*command, path, env={**os.environ, **interpreter.environment})

    return run


@pytest.fixture
def server(program):
    """Returns (the program, its port)."""
    process = program(SERVER, START_TLS=False)
    process.port = int(process.line('port ').split()[1])
    return process


def connect(port, context=None):
    plain = socket.create_connection(('127.0.0.1', port), PATIENCE_SEC)
    context = context or ssl.create_default_context(cafile=CERTIFICATE)
    context.options &= ~getattr(ssl, 'OP_IGNORE_UNEXPECTED_EOF', 0)
    return context.wrap_socket(plain, server_hostname='localhost', suppress_ragged_eofs=False)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize('version', VERSIONS, ids=['1.2', '1.3'])
def test_cpython_as_client(server, version, interpreter):
    context = ssl.create_default_context(cafile=CERTIFICATE)
    if interpreter.name == 'cpython':   # MicroPython's mbedTLS has only TLS 1.2, so it stays allowed
        context.minimum_version = version
    context.maximum_version = version
    if interpreter.name != 'cpython' and version == ssl.TLSVersion.TLSv1_3:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    with connect(server.port, context) as sock:
        sock.sendall(b'hello\n')
        assert sock.recv(100) == b'HELLO\n'
        sock.sendall(b'bulk %d\n' % len(BULK) + BULK)
        assert sock.recv(100).decode().strip() == hashlib.sha256(BULK).hexdigest()
        sock.sendall(b'GET / HTTP/1.0\r\n\r\n')
        received = b''
        while not received.endswith(b'x' * 100000):
            received += sock.recv(65536) or pytest.fail('the end after %d bytes' % len(received))
        if interpreter.name == 'cpython':   # close_notify, which MicroPython cannot send
            assert sock.recv(1) == b''
        else:
            with pytest.raises(ssl.SSLEOFError):
                sock.recv(1)


def test_cpythons_unwrap_is_an_orderly_end(server):
    with connect(server.port) as sock:
        sock.sendall(b'hello\n')
        assert sock.recv(100) == b'HELLO\n'
        try:
            sock.unwrap()
        except (ssl.SSLError, OSError):     # MicroPython ends without close_notify
            pass
    assert server.line('closed') == 'closed 2 None'


def test_cpythons_close_without_unwrap_is_an_unclean_end(server):
    with connect(server.port) as sock:
        sock.sendall(b'hello\n')
        assert sock.recv(100) == b'HELLO\n'
    line = server.line('closed')
    assert line.startswith('closed 0 ') and 'close_notify' in line


def test_the_alert_of_a_client_that_does_not_trust_us(server):
    context = ssl.create_default_context(cafile=TLS_DIR / 'elsewhere.crt')
    with socket.create_connection(('127.0.0.1', server.port), PATIENCE_SEC) as plain:
        with context.wrap_socket(plain, server_hostname='localhost', do_handshake_on_connect=False) as sock:
            with pytest.raises(ssl.SSLError):
                sock.do_handshake()
            line = server.line('closed 0')
    assert 'unknown ca' in line.lower() or 'FATAL_ALERT' in line    # the texts of OpenSSL and of mbedTLS


def test_openssl_s_client(server, start):
    client = start('openssl', 's_client', '-connect', '127.0.0.1:%d' % server.port, '-CAfile', CERTIFICATE,
                   '-verify_hostname', 'localhost', '-verify_return_error', '-quiet')
    for number in range(3):
        client.say('line %d\n' % number)
        assert client.line('LINE') == 'LINE %d' % number
    client.say('bye\n')
    assert server.line('closed') == 'closed 1 None'


def test_openssl_asks_for_renegotiation(server, start):
    """It is refused. OpenSSL's client treats that as the end, and the server continues to serve others."""
    client = start('openssl', 's_client', '-connect', '127.0.0.1:%d' % server.port, '-CAfile', CERTIFICATE, '-tls1_2')
    client.say('before\n')
    client.line('BEFORE')
    client.say('R\n')
    assert server.line('closed').startswith('closed 0 ')
    with connect(server.port) as sock:
        sock.sendall(b'next\n')
        assert sock.recv(100) == b'NEXT\n'


def test_openssl_in_the_middle_of_a_connection(program, start):
    server = program(SERVER, START_TLS=True)
    port = int(server.line('port ').split()[1])
    client = start('openssl', 's_client', '-connect', '127.0.0.1:%d' % port, '-CAfile', CERTIFICATE,
                   '-verify_return_error', '-quiet', '-starttls', 'smtp')
    client.say('secret\n')
    assert client.line('SECRET') == 'SECRET'


def test_curl_gets_a_page(server, start):
    client = start('curl', '--silent', '--show-error', '--cacert', CERTIFICATE, '--output', '-', '--write-out',
                   '\n%{http_code} %{size_download}\n', 'https://localhost:%d/' % server.port)
    assert client.line('200') == '200 100000'


def test_openssl_s_server(program, start):
    port = free_port()
    server = start('openssl', 's_server', '-accept', '127.0.0.1:%d' % port, '-cert', CERTIFICATE, '-key', KEY, '-rev')
    server.line('ACCEPT')
    client = program(CLIENT, PORT=port)
    assert client.line('answer') == 'answer olleh'
    assert client.line('answer') == 'answer eyb'


def test_asyncio_of_micropython(server, interpreter, start, tmp_path):
    from host_conftest import INTERPRETERS
    micropython = INTERPRETERS[1]
    if micropython.missing:
        pytest.skip(micropython.missing)
    path = tmp_path / 'asyncio_client.py'
    path.write_text('PORT = %d\n' % server.port + ASYNCIO)
    client = start(*micropython.command, path, env={**os.environ, **micropython.environment})
    for size in (1, 100, 5000):
        assert client.line(str(size)) == '%d %s' % (size, hashlib.sha256(b'x' * size).hexdigest())
    assert 'close_notify' in server.line('closed 0')
