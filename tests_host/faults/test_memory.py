"""The unix image runs out of memory. Only one connection fails, the pool goes on, and the heap recovers."""
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from free_ports import free_port

HERE = Path(__file__).resolve().parent
PATIENCE_SEC = 20
WHAT_MAY_STAY = 12000   # bytes per thread: slots that were made, and garbage that looks referenced from the stack


class Small:
    """small.py in a heap of `kib` KiB, with that many threads."""

    def __init__(self, interpreter, kib, threads=0):
        self.port = free_port()
        self.may_stay = WHAT_MAY_STAY * (threads or 1)
        self._output = tempfile.TemporaryFile('w+')     # a pipe would fill up and block it
        self.process = subprocess.Popen(
            [interpreter.command[0], '-X', 'heapsize=%dk' % kib, str(HERE / 'small.py'), str(self.port),
             str(threads)],
            env={**os.environ, 'MICROPYPATH': '.frozen'}, stdin=subprocess.DEVNULL, stdout=self._output,
            stderr=subprocess.STDOUT)
        self.observer = None
        end = time.monotonic() + PATIENCE_SEC
        while self.observer is None:
            try:
                self.observer = self.connect()
            except ConnectionRefusedError:
                assert self.alive() and time.monotonic() < end, self.end()
                time.sleep(0.01)

    def connect(self):
        return socket.create_connection(('127.0.0.1', self.port), PATIENCE_SEC)

    def alive(self):
        return self.process.poll() is None

    def state(self):
        """Return (bytes allocated, accepted, closed, raised). The connection for this stays open."""
        for _ in range(100):
            try:
                self.observer.sendall(b'?\n')
                return tuple(map(int, line_of(self.observer).split()))
            except (AssertionError, ConnectionError):   # any connection may be the one that fails, even this one
                assert self.alive()
                time.sleep(0.1)
                self.observer.close()
                self.observer = self.connect()
        raise AssertionError('it serves no client')

    def calm(self):
        """Return the state when only the observer is left. It is a new connection, accepted after all earlier ones."""
        self.observer.close()
        self.observer = self.connect()
        end = time.monotonic() + PATIENCE_SEC
        while True:
            state = self.state()
            if state[1] == state[2] + 1:
                return state
            assert time.monotonic() < end, state
            time.sleep(0.05)

    def end(self):
        """End it. Return its output, and its exit status if it ended by itself."""
        status = self.process.poll()
        self.process.kill()
        self.process.wait()
        self._output.seek(0)
        return self._output.read() + ('' if status is None else 'ended with %d\n' % status)


def line_of(client):
    line = b''
    while not line.endswith(b'\n'):
        got = client.recv(1000)
        assert got, 'closed after %r' % line
        line += got
    return line.decode().rstrip('\n')


@pytest.fixture
def bounded(interpreter):
    """An interpreter whose heap can be limited."""
    if interpreter.name != 'micropython':
        pytest.skip('the heap of CPython cannot be limited')
    if not interpreter.frozen:
        pytest.skip('the library is not frozen, and a small heap is not enough to compile it')
    return interpreter


@pytest.fixture
def small(request, bounded):
    server = Small(bounded, *request.param)
    yield server
    server.observer.close()
    print(server.end()[-2000:])


heaps = pytest.mark.parametrize('small', [(96,), (80,), (64,), (128, 3)], indirect=True,
                                ids=['96 KiB', '80 KiB', '64 KiB', '128 KiB, 3 threads'])


def flood(small, do, count=200):
    """Open `count` connections at once, and call `do` with each."""
    clients = []
    for number in range(count):
        try:
            client = small.connect()
        except OSError:
            break
        client.setblocking(False)
        clients.append(client)
        try:
            do(client, number)
        except OSError:
            pass
        assert small.alive()
    return clients


def attack_twice(small, *attack, count):
    """Attack twice: the second attack must not take more memory permanently than the first."""
    states = []
    for _ in range(2):
        clients = flood(small, *attack, count)
        time.sleep(0.3)     # it has no memory for an answer now
        for client in clients:
            client.close()
        states.append(small.calm())
    assert states[1][0] <= states[0][0] + small.may_stay, states
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(PATIENCE_SEC)
        udp.sendto(b'datagram', ('127.0.0.1', small.port))
        assert udp.recv(100) == b'datagram'


@heaps
def test_a_flood_of_connections(small):
    """There are more connections than fit. Each holds a part of a line, which takes a buffer."""
    attack_twice(small, lambda client, number: client.send(b'x' * 700), count=200)


@heaps
def test_lines_that_do_not_end(small):
    attack_twice(small, lambda client, number: client.send(b'x' * 20000), count=60)


@heaps
def test_data_larger_than_the_heap(small):
    """The receive raises, and the handler does not catch the exception, so its connection is closed."""
    attack_twice(small, lambda client, number: client.send(b'data %d\n' % (1000 << (number % 12))), count=24)


@heaps
def test_answers_that_are_never_read(small):
    """The peers send and do not read. The queue of each stops growing at its limit, or when there is no memory."""

    def send_much(client, number):
        for _ in range(3000):
            client.send(b'y' * 1000 + b'\n')

    attack_twice(small, send_much, count=10)


@pytest.mark.parametrize('crumbs', [0, 200])
def test_no_memory_for_an_entry_of_the_poll_set(bounded, crumbs):
    """MicroPython itself crashes if half an entry stays in the poll set, after an allocation for it has failed."""
    run = subprocess.run([bounded.command[0], '-X', 'heapsize=96k', str(HERE / 'no_memory_to_poll.py'), str(crumbs)],
                         env={**os.environ, 'MICROPYPATH': '.frozen'}, stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, timeout=PATIENCE_SEC)
    assert (run.returncode, run.stdout) == (0, "refused\n0 left\nanswered b'?'\n"), run


def test_no_memory_for_a_worker(bounded):
    """The connection is closed with its event, and the worker goes on and serves the next one."""
    run = subprocess.run([bounded.command[0], str(HERE / 'no_memory_for_a_worker.py')],
                         env={**os.environ, 'MICROPYPATH': '.frozen'}, stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, timeout=PATIENCE_SEC * 2)
    assert (run.returncode, run.stdout) == (0, "b'greedy\\n'\nb''\nMemoryError\nb'y\\n'\n"), run
