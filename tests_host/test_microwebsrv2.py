"""MicroWebSrv2 with our library, installed as docs/porting.md says.

MICROWEBSRV2= names a checkout of github.com/jczic/MicroWebSrv2; without it the tests are skipped.
"""
import base64
import http.client
import os
import shutil
import socket
import textwrap
import urllib.parse
from pathlib import Path

import pytest
from free_ports import free_port
from program import PATIENCE_SEC, Program, receive

ROOT = Path(__file__).resolve().parent.parent
CHECKOUT = os.environ.get('MICROWEBSRV2')
PROGRAM = textwrap.dedent('''
    import sys
    from time import sleep
    from MicroWebSrv2 import *

    @WebRoute(GET, '/greet/<name>')
    def greet(server, request, args):
        request.Response.ReturnOk('hello ' + args['name'])

    @WebRoute(POST, '/form')
    def form(server, request):
        request.Response.ReturnOk(request.GetPostedURLEncodedForm()['word'])

    def accepted(server, web_socket):
        web_socket.OnTextMessage = lambda web_socket, text: web_socket.SendTextMessage(text.upper())

    MicroWebSrv2.LoadModule('WebSockets').OnWebSocketAccepted = accepted
    server = MicroWebSrv2()
    server.SetEmbeddedConfig()
    server.BindAddress = ('127.0.0.1', int(sys.argv[2]))
    server.RootPath = 'www'
    server.StartManaged(parllProcCount=int(sys.argv[1]))
    print('ready')
    while server.IsRunning:
        sleep(0.1)
''')

pytestmark = pytest.mark.skipif(not CHECKOUT, reason='MICROWEBSRV2=<a checkout of MicroWebSrv2> is not given')


@pytest.fixture(params=[1, 3], ids=['one thread', 'workers'])
def port(request, interpreter, tmp_path):
    package = tmp_path / 'MicroWebSrv2'
    shutil.copytree(Path(CHECKOUT) / 'MicroWebSrv2', package)
    shutil.copy(ROOT / 'lib' / 'XAsyncSockets.py', package / 'libs' / 'XAsyncSockets.py')
    (tmp_path / 'www').mkdir()
    (tmp_path / 'www' / 'large.pdf').write_bytes(bytes(range(256)) * 1000)
    script = tmp_path / 'program.py'
    script.write_text(PROGRAM)
    port = free_port()
    program = Program(interpreter, script, tmp_path, request.param, port)
    while program.line() != 'ready':
        assert program.running(), program.text()
    yield port
    program.stop()


def test_pages_files_and_forms(port):
    client = http.client.HTTPConnection('127.0.0.1', port, timeout=PATIENCE_SEC)
    for _ in range(3):
        client.request('GET', '/greet/world')
        assert client.getresponse().read() == b'hello world'
        client.request('GET', '/large.pdf')
        assert client.getresponse().read() == bytes(range(256)) * 1000
        client.request('POST', '/form', urllib.parse.urlencode({'word': 'grün & blau'}),
                       {'Content-Type': 'application/x-www-form-urlencoded'})
        assert client.getresponse().read().decode() == 'grün & blau'
        client.request('GET', '/none')
        response = client.getresponse()
        assert response.status == 404
        response.read()
    client.close()


def test_web_sockets(port):
    with socket.create_connection(('127.0.0.1', port), PATIENCE_SEC) as sock:
        key = base64.b64encode(bytes(16)).decode()
        sock.sendall(('GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                      'Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n' % key).encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += receive(sock, 1)
        assert head.startswith(b'HTTP/1.1 101 ')
        for text in (b'hello', b'again'):
            sock.sendall(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)    # a masked frame
            assert receive(sock, 2 + len(text)) == bytes((0x81, len(text))) + text.upper()
