"""The programs of docs/library.md and docs/porting.md. Every interpreter runs each of them with a real peer.

A block that is marked `<!-- runnable: name -->` is a program. Only its addresses and waiting times are replaced.
"""
import inspect
import re
import socket
import ssl
import time
from pathlib import Path

import pytest
from free_ports import free_port
from program import PATIENCE_SEC, Program, receive

import XAsyncSockets as library

HERE = Path(__file__).resolve().parent
PAGES = [HERE.parent / 'docs' / name for name in ('library.md', 'porting.md')]
BLOCK = re.compile(r'(?:<!-- runnable: ([a-z ]+) -->\n)?```python\n(.*?)```', re.DOTALL)
TLS_DIR = HERE / 'tls'

programs = {mark: source for page in PAGES for mark, source in BLOCK.findall(page.read_text(encoding='utf-8'))}


@pytest.fixture
def run(interpreter, tmp_path):
    """Returns run(name, replacement...), which starts a program of the page."""
    started = []

    def start(mark, *replacements, cwd=None):
        source = programs[mark]
        for old, new in replacements:
            assert old in source, '%s is not in the program' % old
            source = source.replace(old, str(new))
        path = tmp_path / 'program.py'
        path.write_text(source, encoding='utf-8')
        started.append(Program(interpreter, path, cwd or tmp_path))
        return started[-1]

    yield start
    for program in started:
        program.stop()


@pytest.fixture
def serve(run):
    """Returns serve(name, replacement...), which starts a TCP server, and returns it and a function that connects to
    it.
    """

    def start(mark, *replacements, **kwargs):
        port = free_port()
        program = run(mark, ("'0.0.0.0', 7777", "'127.0.0.1', %d" % port), *replacements, **kwargs)
        return program, lambda: program.connect(port)

    return start


def test_every_program_of_the_pages_is_run_here():
    assert sorted(programs) == ['asyncio lines', 'both', 'broadcaster', 'buffers', 'client', 'echo', 'half close',
                                'lines', 'own', 'ported lines', 'receiver', 'threads', 'timers', 'tls', 'tls client',
                                'turns']


def test_the_echo_server(serve):
    assert len(programs['echo'].splitlines()) == 10
    program, connect = serve('echo')
    with connect() as one, connect() as two:
        for sock, data in ((one, b'first'), (two, b'second'), (one, bytes(range(256)) * 100)):
            sock.sendall(data)
            assert receive(sock, len(data)) == data


def test_lines_and_data(serve):
    program, connect = serve('lines')
    with connect() as sock:
        sock.sendall(b'help\r\ndata 5\n12345data 6\nabc')
        assert receive(sock, 25) == b'data SIZE, or bye\nthanks\n'
        assert program.line() == "data 5 b'12345'"
        sock.sendall(b'defbye\n')
        assert receive(sock, 11) == b'thanks\nbye\n'
        assert program.line() == "data 6 b'abcdef'"
        assert sock.recv(1) == b''
    assert program.line() == 'ClosedByHost 127.0.0.1'


def test_a_line_that_is_too_long(serve):
    program, connect = serve('lines')
    with connect() as sock:
        sock.sendall(b'x' * 10000 + b'\nhelp\n')
        assert receive(sock, 27) == b'too long\ndata SIZE, or bye\n'


def test_missing_lines_time_out(serve):
    program, connect = serve('lines', ('timeoutSec=60', 'timeoutSec=0.2'))
    with connect():
        assert program.line() == 'Timeout 127.0.0.1'


def test_the_client(run):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.settimeout(PATIENCE_SEC)
        program = run('client', ("'192.168.1.10', 7777", "'127.0.0.1', %d" % listener.getsockname()[1]))
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_SEC)
            assert receive(sock, 6) == b'hello\n'
            sock.sendall(b'world\n')
            assert sock.recv(1) == b''
    assert program.rest() == ['answer world', 'closed ClosedByHost']


def test_the_client_without_a_server(run):
    with socket.socket() as bound:      # bound, so that the port stays reserved, but not listening
        bound.bind(('127.0.0.1', 0))
        program = run('client', ("'192.168.1.10', 7777", "'127.0.0.1', %d" % bound.getsockname()[1]))
        line, end = program.rest()
    assert line.startswith('no connection ') and 'None' not in line
    assert end == 'closed Error'


def test_the_receiver(run):
    port = free_port()
    program = run('receiver', ("'0.0.0.0', 8094", "'127.0.0.1', %d" % port))
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        for _ in range(100):            # until it is there
            sock.sendto(b'reading 1', ('127.0.0.1', port))
            try:
                assert sock.recvfrom(100) == (b'seen', ('127.0.0.1', port))
                break
            except OSError:
                assert program.running(), program.text()
    assert program.line() == '127.0.0.1 reading 1'


def test_the_broadcaster(run):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(('127.255.255.255', 0))
        sock.settimeout(PATIENCE_SEC)
        addr = "'127.255.255.255', %d" % sock.getsockname()[1]
        program = run('broadcaster', ("'192.168.1.255', 8094", addr), ('1000', '10'))
        assert [sock.recv(100) for _ in range(5)] == [b'reading %d' % number for number in range(5)]
    assert program.rest() == []


def test_the_timers(serve):
    program, connect = serve('timers', ('(30', '(0.3'), ('(10', '(0.05'))
    with connect() as sock:
        start = time.monotonic()
        while time.monotonic() - start < 1:     # longer than the time limit of a silent peer
            sock.sendall(b'hello\n')
            assert receive(sock, 8) == b'welcome\n'
            time.sleep(0.02)
        assert receive(sock, 8) == b'goodbye\n'
        assert sock.recv(1) == b''
    assert program.line() in ('1 sockets', '2 sockets')
    while program.line() != '2 sockets':
        pass
    while program.line() != '1 sockets':
        pass


def test_a_peer_that_has_finished(serve):
    program, connect = serve('half close')
    with connect() as sock:
        sock.sendall(bytes(10000))
        sock.shutdown(socket.SHUT_WR)
        assert receive(sock, 12) == b'10000 bytes\n'
        assert sock.recv(1) == b''


def test_a_main_loop_of_your_own(serve):
    program, connect = serve('turns')
    with connect() as sock:
        sock.sendall(b'go on\nstop\n')
        assert sock.recv(1) == b''
    assert program.rest() == []


def test_the_loop_in_a_thread(serve):
    program, connect = serve('threads', ('sleep(1)', 'sleep(0.2)'))
    with connect() as sock:
        text = b''.join(iter(lambda: sock.recv(100), b''))
    assert text.startswith(b'welcome\n') and b'1 s\n2 s\n3 s\n' in text
    assert program.rest() == []


def test_tls(serve, run):
    program, connect = serve('tls', cwd=TLS_DIR)
    context = ssl.create_default_context(cafile=TLS_DIR / 'server.crt')
    with connect() as plain, context.wrap_socket(plain, server_hostname='localhost') as sock:
        sock.sendall(b'hello\n')
        assert receive(sock, 6) == b'HELLO\n'
        client = run('tls client', ('7777', sock.getpeername()[1]), cwd=TLS_DIR)
        assert client.rest() == ['answer HELLO', 'closed 1 None']


def test_the_buffers(serve):
    blocks = 20000      # more than the system buffers for a peer that reads nothing
    program, connect = serve('buffers', ('send_blocks(client, 1000)', 'send_blocks(client, %d)' % blocks))
    socks = [connect() for _ in range(4)]
    try:
        receive(socks[3], 1024)
        with connect() as refused:
            assert refused.recv(1) == b''
        for sock in socks[:3]:
            assert receive(sock, 1024 * blocks) == bytes(1024 * blocks)
            assert sock.recv(1) == b''
    finally:
        for sock in socks:
            sock.close()


def test_a_socket_of_your_own(run):
    port = free_port()
    program = run('own', ("'0.0.0.0'", "'127.0.0.1'"), ('8094', port))
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(('127.0.0.1', port))
        start = time.monotonic()
        while program.running() and time.monotonic() - start < PATIENCE_SEC:
            try:
                sock.send(b'end')
            except ConnectionRefusedError:
                pass
            time.sleep(0.02)
    assert program.rest() == ['end']


def test_the_bounds_are_those_of_the_library():
    text = PAGES[0].read_text(encoding='utf-8')
    rows = dict(re.findall(r'^\| ([^|]+) \| ([\w ,]+) \| [^|]+ \| [^|]+ \|$', text, re.MULTILINE))
    client, udp = library.XAsyncTCPClient, library.XAsyncUDPDatagram
    buffers = [inspect.signature(each.Create).parameters['recvbufLen'].default for each in (client, udp)]
    for name, value in (('buffer of an outgoing connection', buffers[0]),
                        ('unsent bytes of a connection', '%d MiB' % (client.SendQueueLimit >> 20)),
                        ('datagrams that wait to be sent', udp.SendQueueLimit),
                        ('largest datagram received', buffers[1]),
                        ('seconds that an end waits', client.LingerSec),
                        ('seconds for a TLS handshake', client.HandshakeSec)):
        assert rows[name] == str(value)


@pytest.mark.parametrize('mark', ['asyncio lines', 'ported lines'])
def test_a_server_of_lines_with_asyncio_and_with_the_library(serve, mark):
    program, connect = serve(mark)
    with connect() as one, connect() as two:
        for sock in (one, two, one):
            sock.sendall(b'hello\nworld\n')
            assert receive(sock, 12) == b'HELLO\nWORLD\n'
        two.shutdown(socket.SHUT_WR)
        assert two.recv(1) == b''


def test_a_pool_in_a_task_of_asyncio(serve):
    program, connect = serve('both')
    with connect() as sock:
        for data in (b'first', bytes(range(256)) * 100):
            sock.sendall(data)
            assert receive(sock, len(data)) == data
