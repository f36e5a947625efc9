"""The programs of examples/. Every interpreter runs each of them unchanged, with real peers."""
import contextlib
import http.client
import http.server
import json
import re
import socket
import ssl
import threading
import urllib.request
from pathlib import Path

import pytest
from free_ports import free_port
from program import PATIENCE_SEC, Program, receive

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / 'examples'
TLS_DIR = ROOT / 'tests_host' / 'tls'
A_SCREEN = 80


@pytest.fixture
def run(interpreter, tmp_path):
    """Returns a function run(name, argument...), which starts an example."""
    started = []

    def start(name, *args):
        started.append(Program(interpreter, EXAMPLES / name, tmp_path, *args))
        return started[-1]

    yield start
    for program in started:
        program.stop()


@pytest.fixture
def serve(run):
    """Returns serve(name, argument...), which starts an example that listens, and returns it and its port."""

    def start(name, *args):
        program = run(name, *args)
        return program, port_of(program)

    return start


def port_of(program):
    line = program.line()
    match = re.search(r' at port (\d+)$', line or '')
    assert match, program.text()
    return int(match.group(1))


def connect(port):
    return Lines(socket.create_connection(('127.0.0.1', port), PATIENCE_SEC))


class Lines:
    """A connection that is read by lines."""

    def __init__(self, sock):
        self.socket = sock
        self._file = sock.makefile('rb')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self.socket.close()

    def send(self, line):
        self.socket.sendall(line.encode() + b'\n')

    def line(self):
        return self._file.readline().decode().rstrip('\n')

    def ask(self, line):
        self.send(line)
        return self.line()


class Listener:
    """A listening socket of the test."""

    def __init__(self):
        self.port = free_port()     # another program cannot take it after it is closed
        self.socket = socket.create_server(('127.0.0.1', self.port))
        self.socket.settimeout(PATIENCE_SEC)

    def accept(self):
        sock, _ = self.socket.accept()
        sock.settimeout(PATIENCE_SEC)
        return Lines(sock)


@pytest.fixture
def listener():
    listener = Listener()
    with listener.socket:
        yield listener


@pytest.fixture
def udp():
    """A UDP socket at the broadcast address of the loopback interface."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(('127.255.255.255', 0))
        sock.settimeout(PATIENCE_SEC)
        yield sock


def test_every_example_is_run_here_fits_a_screen_and_is_listed():
    names = sorted(path.name for path in EXAMPLES.glob('*.py'))
    source = Path(__file__).read_text()
    page = (EXAMPLES / 'README.md').read_text()
    for path in EXAMPLES.rglob('*.py'):
        assert len(path.read_text().splitlines()) <= A_SCREEN, path
        assert '](%s)' % path.relative_to(EXAMPLES).as_posix() in page
    assert [name for name in names if "'%s'" % name not in source] == []


def test_the_chat(serve):
    _, port = serve('chat_server.py', 0)
    with connect(port) as ann, connect(port) as bob:
        assert ann.line() == bob.line() == 'Your name?'
        assert ann.ask('Ann') == 'Ann has joined, 1 are here'
        assert bob.ask('Bob') == ann.line() == 'Bob has joined, 2 are here'
        assert bob.ask('hello') == ann.line() == 'Bob: hello'
        ann.send('x' * 10000)
        assert ann.line() == 'This line was too long.'
        bob.socket.shutdown(socket.SHUT_RDWR)
        assert ann.line() == 'Bob has left'


def test_the_chat_closes_a_reader_that_does_not_read(serve, interpreter):
    if interpreter.name == 'cpython':
        pytest.skip('it would queue 64 MiB first')
    _, port = serve('chat_server.py', 0)
    with connect(port) as ann, connect(port) as bob:
        assert ann.line() == bob.line() == 'Your name?'
        assert ann.ask('Ann') and bob.ask('Bob') and ann.line()
        line = 'x' * 4000
        answer = ann.ask(line)
        while answer == 'Ann: ' + line:
            answer = ann.ask(line)
        assert answer == 'Bob has left'
        assert ann.line() == 'Ann: ' + line


def test_the_line_client_connects_again(run, listener):
    program = run('line_client.py', '127.0.0.1', listener.port)
    for number in range(3):
        with listener.accept() as client:
            assert client.line() == 'hello'
            client.send('number %d' % number)
            assert program.line() == 'number %d' % number
        assert program.line() == 'no connection: ClosedByPeer'


def test_the_line_client_waits_for_a_server(run, listener):
    listener.socket.close()
    program = run('line_client.py', '127.0.0.1', listener.port)
    assert program.line().startswith('no connection: ')
    assert program.line().startswith('no connection: ')
    with socket.create_server(('127.0.0.1', listener.port)) as listener.socket:
        listener.socket.settimeout(PATIENCE_SEC)
        with listener.accept() as client:
            assert client.line() == 'hello'


def test_discovery(run, serve):
    answering, port = serve('udp_discovery.py', 'answer', 'kitchen', 0)
    for _ in range(5):      # it waits for only a second, and the computer may be busy
        found = run('udp_discovery.py', 'ask', port, '127.255.255.255').rest()
        if found:
            break
    assert found == ['127.0.0.1 kitchen']


class Pages(http.server.BaseHTTPRequestHandler):
    text = 'grüß Gott\n' * 2000
    told = len(text.encode())

    def do_GET(self):
        self.send_response(200 if self.path == '/a/page' else 404)
        if self.told:
            self.send_header('Content-Length', self.told)
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    with http.server.HTTPServer(('127.0.0.1', 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield 'http://127.0.0.1:%d' % server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize('told', [Pages.told, None])
def test_the_http_client(run, web, told, monkeypatch):
    monkeypatch.setattr(Pages, 'told', told)
    assert run('http_client.py', web + '/a/page').rest() == Pages.text.splitlines()


def test_the_http_client_reports_failures(run, web, monkeypatch):
    lines = run('http_client.py', web + '/none').rest()
    assert sorted({*lines} - {*Pages.text.splitlines()}) == ['the server says: HTTP/1.0 404 Not Found']
    monkeypatch.setattr(Pages, 'told', Pages.told + 1)
    assert 'not complete: ClosedByPeer' in run('http_client.py', web + '/a/page').rest()


def test_the_http_server(serve):
    _, port = serve('http_server.py', 0)
    client = http.client.HTTPConnection('127.0.0.1', port, timeout=PATIENCE_SEC)
    client.connect()
    used = client.sock
    for method, path, status, body in (('GET', '/', 200, b'<h1>Hello'), ('GET', '/none', 404, b'no such page'),
                                       ('GET', '/uptime', 200, b'seconds'), ('POST', '/', 405, b'not allowed')):
        client.request(method, path)
        response = client.getresponse()
        assert client.sock in (used, None)      # one connection serves all requests
        assert response.status == status
        assert body.lower() in response.read().lower()
    with urllib.request.urlopen('http://127.0.0.1:%d/' % port, timeout=PATIENCE_SEC) as response:
        assert response.status == 200


@pytest.mark.parametrize('request_, status', [
    ('rubbish', 400), ('GET / HTTP/1.1\r\nX: %s' % ('x' * 10000), 431), ('GET / HTTP/1.1' + '\r\nX: x' * 100, 431)],
    ids=['rubbish', 'a long header', 'many headers'])
def test_the_http_server_refuses(serve, request_, status):
    _, port = serve('http_server.py', 0)
    with connect(port) as client:
        client.send(request_ + '\r\n\r')
        assert client.line().startswith('HTTP/1.1 %d ' % status)


def test_the_proxy(serve, listener):
    _, port = serve('tcp_proxy.py', '127.0.0.1', listener.port, 0)
    with connect(port) as client:
        with listener.accept() as upstream:
            client.send('a question')
            client.socket.shutdown(socket.SHUT_WR)      # the client waits for the answer now
            assert upstream.line() == 'a question'
            answer = bytes(range(256)) * 4000
            upstream.socket.sendall(answer)
        assert receive(client.socket, len(answer)) == answer
        assert client.socket.recv(1) == b''


def test_the_proxy_without_an_upstream(serve, listener):
    listener.socket.close()
    _, port = serve('tcp_proxy.py', '127.0.0.1', listener.port, 0)
    with connect(port) as client:
        assert client.socket.recv(1) == b''


def test_the_port_scanner(run, listener):
    program = run('port_scanner.py', '127.0.0.1', listener.port - 300, min(listener.port + 100, 65535))
    assert str(listener.port) in program.rest()


def test_the_port_scanner_ends_if_there_is_nothing_to_try(run):
    assert run('port_scanner.py', '127.0.0.1', 5, 4).rest() == ['ports that accept connections: 0']


@pytest.mark.parametrize('words', [
    ['http_client.py'], ['http_client.py', 'example.org'], ['line_client.py', '127.0.0.1'], ['port_scanner.py'],
    ['tcp_proxy.py', '127.0.0.1'], ['tls_echo.py'], ['udp_discovery.py', 'answer'], ['udp_discovery.py', 'help']],
    ids=' '.join)
def test_without_its_arguments_a_program_shows_its_usage(run, words):
    program = run(*words)
    assert program.line().startswith('usage: %s ' % words[0])
    assert program.line() is None


def test_the_tls_echo(serve):
    program, port = serve('tls_echo.py', TLS_DIR / 'server.key', TLS_DIR / 'server.crt', 0)
    context = ssl.create_default_context(cafile=str(TLS_DIR / 'server.crt'))
    with socket.create_connection(('127.0.0.1', port), PATIENCE_SEC) as plain:
        with context.wrap_socket(plain, server_hostname='localhost') as sock:
            for data in (b'first', bytes(range(256)) * 200):
                sock.sendall(data)
                assert receive(sock, len(data)) == data
            with contextlib.suppress(ssl.SSLEOFError):      # MicroPython cannot send close_notify
                sock.unwrap()
    assert program.line() == '127.0.0.1 ClosedByPeer '
    with connect(port) as client:
        client.send('no TLS at all')
        assert program.line().startswith('127.0.0.1 Error ')


def test_the_sensor_node(serve, udp):
    _, port = serve('sensor_node.py', 0, '127.255.255.255', udp.getsockname()[1])
    with connect(port) as client:
        assert 'uptime' in json.loads(client.ask('read'))
        for wrong in ('0', '-1', 'nan', 'x', ''):
            assert client.ask('interval ' + wrong) == 'SECONDS is a number from 0.1 to 3600'
        assert client.ask('help') == 'read, interval SECONDS, or bye'
        assert client.ask('interval 0.1') == 'done'
        for _ in range(3):
            assert 'uptime' in json.loads(udp.recv(100))
        assert client.ask('bye') == 'bye'
        assert client.socket.recv(1) == b''


def test_many_services_in_one_pool(serve):
    program, echo_port = serve('one_pool.py', 0, 0.5)
    time_port, udp_port = port_of(program), port_of(program)
    with connect(echo_port) as echo, connect(time_port) as clock, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(PATIENCE_SEC)
        udp.sendto(b'datagram', ('127.0.0.1', udp_port))
        assert udp.recv(100) == b'datagram'
        assert echo.ask('hello') == 'hello'
        assert re.match(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$', clock.line())
        assert clock.line() == ''
        while not program.line().startswith('3 served, '):
            pass
