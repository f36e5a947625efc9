"""Without free descriptors the server uses little processor time, goes on, and serves again when some are free."""
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from free_ports import free_port

HERE = Path(__file__).resolve().parent
DESCRIPTORS = 36
PATIENCE_SEC = 20


@pytest.fixture
def server(interpreter):
    """(process, port) of an echo server that is limited to few descriptors."""
    port = free_port()
    environment = {**os.environ, **interpreter.environment}
    process = subprocess.Popen(
        [*interpreter.command, str(HERE / 'echo.py'), str(port)], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)))
    assert process.stdout.readline() == 'READY\n'
    yield process, port
    process.kill()
    process.wait()
    process.stdout.close()


def served(port):
    with socket.create_connection(('127.0.0.1', port), PATIENCE_SEC) as client:
        client.sendall(b'hello')
        return client.recv(100) == b'hello'


def cpu_sec(process):
    fields = Path('/proc/%d/stat' % process.pid).read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@pytest.mark.skipif(sys.platform != 'linux', reason='needs /proc')
def test_more_connections_than_descriptors(server):
    process, port = server
    for _ in range(6):
        clients = [socket.create_connection(('127.0.0.1', port), PATIENCE_SEC) for _ in range(2 * DESCRIPTORS)]
        for client in clients[:20]:     # the first are served while the others wait
            client.sendall(b'served')
        assert all(client.recv(100) == b'served' for client in clients[:20])
        used = cpu_sec(process)
        time.sleep(0.3)
        assert cpu_sec(process) - used < 0.2, 'it spins'
        for client in clients:
            client.close()
        assert served(port)
        assert process.poll() is None


def test_descriptors_that_are_used_again_at_once(server):
    """In one turn most connections end and as many begin. The limit is never exceeded."""
    process, port = server
    with socket.create_server(('127.0.0.1', 0), backlog=100) as listener:
        clients = [socket.create_connection(('127.0.0.1', port), PATIENCE_SEC) for _ in range(26)]
        for client in clients:
            client.sendall(b'hello')
            assert client.recv(100) == b'hello'
        process.send_signal(signal.SIGSTOP)
        for client in clients[:13]:
            client.close()
        for client in clients[13:]:
            client.sendall(b'connect %d' % listener.getsockname()[1])
        process.send_signal(signal.SIGCONT)
        listener.settimeout(PATIENCE_SEC)
        made = [listener.accept()[0] for _ in clients[13:]]
        for client in clients[13:]:
            assert client.recv(100).startswith(b'connect')
        assert served(port)
        for client in made + clients[13:]:
            client.close()
