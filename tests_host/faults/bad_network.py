"""Two computers with a bad network between them, and the library on one of them.

    bad_network.py FAULT COMMAND ...     prints `passed`, or `skipped` if no such network can be made

Each computer is a network namespace with a TUN interface. This program carries the packets of one to the other. It may
lose, delay or double them. COMMAND (echo.py or slow_answers.py under some interpreter) runs in the first namespace,
with its port and both addresses as arguments. This program itself is in the second one.
"""
import fcntl
import heapq
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.emulator import network  # noqa: E402

LIBRARY_IP, PEER_IP = '10.98.0.1', '10.98.0.2'
PORT = 20000
SIZE = 100000       # bytes of a stream in each direction
PATIENCE_SEC = 40
DELAY_SEC = 0.3     # each way

# The times in seconds after which the copies of a packet arrive.
FAULTS = {
    'loss': lambda: [] if random.random() < 0.1 else [0],
    'reordering': lambda: [random.choice((0, 0.01))],
    'duplication': lambda: [0, 0] if random.random() < 0.3 else [0],
    'delay': lambda: [DELAY_SEC],
    'all at once': lambda: random.choice(([], [0], [0], [0], [0.02], [0, 0.02], [0], [0.1], [0], [0])),
    'link': lambda: [0],
    'timeouts': lambda: [DELAY_SEC],
}


class Carrier(threading.Thread):
    """Carries packets between two interfaces."""

    def __init__(self, ends, fault):
        super().__init__(daemon=True)
        self._ends = {ends[0].fd: ends, ends[1].fd: ends[::-1]}     # {descriptor: (from, to)}
        self._fault = fault
        self._under_way = []    # heap of (when, number, interface, packet)
        self.carried = self.lost = self.doubled = self.delayed = 0

    def run(self):
        poller = select.poll()
        for fd in self._ends:
            poller.register(fd, select.POLLIN)
        while True:
            wait_ms = None
            if self._under_way:
                wait_ms = max(0, (self._under_way[0][0] - time.monotonic()) * 1000)
            for fd, _ in poller.poll(wait_ms):
                self._take(*self._ends[fd])
            while self._under_way and self._under_way[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(self._under_way)
                end.write(packet)

    def _take(self, sender, receiver):
        try:
            packet = sender.read()
        except OSError:     # the interface is down
            time.sleep(0.01)
            return
        if not packet:
            return
        copies = self._fault()
        self.lost += not copies
        self.doubled += len(copies) > 1
        for delay in copies:
            self.carried += 1
            self.delayed += delay > 0
            heapq.heappush(self._under_way, (time.monotonic() + delay, self.carried, receiver, packet))


class Link:
    """The library's interface. This program can switch it off and on."""

    def __init__(self, name):
        self._name = name.encode()
        self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)    # belongs to the current namespace

    def switch(self, on):
        fcntl.ioctl(self._control, network.SIOCSIFFLAGS,
                    struct.pack('16sh22x', self._name, network.IFF_UP if on else 0))


def main(fault, command):
    try:
        network.enter_private_namespace()
        ends = [network.Tun('library', LIBRARY_IP, PEER_IP)]
        link = Link('library')
        program = subprocess.Popen([*command, str(PORT), LIBRARY_IP, PEER_IP], stdout=subprocess.PIPE, text=True)
        network.enter_private_namespace()
        ends.append(network.Tun('peer', PEER_IP, LIBRARY_IP))
    except network.NoRights as error:
        return 'skipped: %s' % error
    carrier = Carrier(ends, FAULTS[fault])
    carrier.start()
    try:
        assert program.stdout.readline() == 'READY\n'
        if fault == 'timeouts':
            see_timeouts(program)
        else:
            see_stream(link if fault == 'link' else None)
        happened = {'loss': carrier.lost, 'duplication': carrier.doubled, 'reordering': carrier.delayed,
                    'delay': carrier.delayed, 'timeouts': carrier.delayed,
                    'all at once': min(carrier.lost, carrier.doubled, carrier.delayed)}
        assert happened.get(fault, 1), 'there was no %s in %d packets' % (fault, carrier.carried)
        return 'passed'
    finally:
        program.kill()
        program.wait()


def see_stream(link):
    """Check that a stream comes back from the library completely, in order, and only once."""
    client = socket.create_connection((LIBRARY_IP, PORT), PATIENCE_SEC)
    data = bytes(range(251)) * (SIZE // 251)
    sender = threading.Thread(target=send_slowly, args=(client, data), daemon=True)
    sender.start()
    for on in (False, True, False, True) if link else ():
        link.switch(on)
        time.sleep(0.2)
    got = b''
    while len(got) < len(data):
        more = client.recv(65536)
        assert more, 'the end after %d bytes' % len(got)
        got += more
    assert got == data, 'lost or duplicated'
    sender.join()
    client.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b'', 'and no more'


def send_slowly(client, data):
    for start in range(0, len(data), 10000):
        client.sendall(data[start:start + 10000])
        time.sleep(0.05)


def see_timeouts(program):
    """Check the times that slow_answers.py prints: a step of two delays must not end within one and a half."""
    listener = socket.create_server((PEER_IP, PORT))
    listener.settimeout(PATIENCE_SEC)
    threading.Thread(target=answer, args=(listener,), daemon=True).start()
    told = {}
    for line in program.stdout:
        what, _, ms = line.rpartition(' ')
        told[what] = int(ms)
    limit_ms = 1500 * DELAY_SEC
    assert sorted(told) == ['answered', 'connect timed out', 'connected', 'receive timed out'], told
    for what in ('connect timed out', 'receive timed out'):
        assert limit_ms - 20 <= told[what] < 20 * limit_ms, told     # the other time limit is 20 s
    for what in ('connected', 'answered'):
        assert told[what] >= 2000 * DELAY_SEC - 20, told


def answer(listener):
    while True:
        client, _ = listener.accept()
        client.settimeout(PATIENCE_SEC)
        try:
            while client.recv(100):
                client.sendall(b'answer\n')
        except OSError:
            pass


print(main(sys.argv[1], sys.argv[2:]))
