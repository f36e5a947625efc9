"""The peers of peer_agent.py inside the interpreter under test, for an interpreter with a loopback interface of its
own.

`ask` takes the words of the commands of peer_agent.Session, and returns the values of its answers, without a control
connection. A thread serves the peers with the interpreter's own sockets. A test that needs more than these can do is
skipped here.
"""
import socket
import time
from _thread import allocate_lock, start_new_thread
from binascii import hexlify, unhexlify

from harness import Skip, pattern

IP = '127.0.0.1'
TURN_MS = 1
CONNECT_LIMIT_SEC = 10
IPPROTO_TCP, TCP_NODELAY = 6, 1
FIRST_PORT = 20000      # below the range from which lwIP chooses ports

CANNOT = {
    'half_close': 'these sockets cannot end one direction only',
    'reset': 'these sockets cannot reset a connection',
    'tls': 'the peers here have no TLS',
    'crowd': 'too many connections for one process',
}


def _hex(data):
    return hexlify(data).decode() or '-'


class _TcpPeer:
    """One raw TCP connection: keeps the received data and the kind of its end."""

    def __init__(self, sock):
        sock.setblocking(False)
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._sock = sock
        self._buffer = memoryview(bytearray(2048))
        self._waiting = b''     # data to be sent
        self._closing = False
        self._message = b''
        self._rounds_left = 0
        self.is_reading = True
        self.data = bytearray()
        self.state = 'open'
        self.rounds = 0

    def turn(self):
        """Read and write as much as possible now."""
        try:
            if self.is_reading and self.state == 'open':
                self._read()
            if self._waiting:
                self._waiting = self._waiting[self._sock.write(self._waiting) or 0:]
            if self._closing and not self._waiting:
                self._closing = False
                self._sock.close()
        except OSError:
            self._waiting = b''
            self._sock.close()
            if self.state != 'closed':
                self.state = 'reset'

    def _read(self):
        n = self._sock.readinto(self._buffer)
        if n == 0:
            self.state = 'eof'
        elif n:
            self.data += self._buffer[:n]
            if self._rounds_left and len(self.data) >= len(self._message):
                self._end_round()

    def _end_round(self):
        same = self.data == self._message
        self.data = bytearray()
        self._rounds_left = self._rounds_left - 1 if same else 0
        self.rounds += same
        if self._rounds_left:
            self.send(self._message)

    def send(self, data):
        if self.state in ('open', 'eof'):
            self._waiting += data

    def echo(self, rounds, size):
        self.data = bytearray()
        self._message = pattern(size)
        self.rounds, self._rounds_left = 0, rounds
        self.send(self._message)

    def close(self):
        """Close the connection when all waiting data has been sent."""
        self.state = 'closed'
        self._closing = True


class _Listener:
    """A raw listening socket and the connections it accepted: (socket, address)."""

    def __init__(self, sock):
        sock.setblocking(False)
        self._sock = sock
        self.accepted = []

    def turn(self):
        try:
            self.accepted.append(self._sock.accept())
        except OSError:     # no connection waits
            pass

    def close(self):
        self._sock.close()


class _UdpPeer:
    """A raw UDP socket: keeps the datagrams it receives, with their senders."""

    def __init__(self, sock, addr):
        sock.setblocking(False)
        self._sock = sock
        self._addr = addr
        self.datagrams = []

    def turn(self):
        try:
            datagram = self._sock.recvfrom(2048)
        except OSError:     # no datagram is there
            return
        self.datagrams.append(datagram)
        if not datagram[0]:
            self._sock.bind(self._addr)     # otherwise nothing more is received: see _revive in the library

    def send(self, data, addr):
        try:
            self._sock.sendto(data, addr)
        except OSError:     # an empty datagram is sent despite the error
            if data:
                raise

    def close(self):
        self._sock.close()


class _Held:
    """Sockets that only have to exist."""

    def __init__(self, *socks):
        self._socks = socks

    def turn(self):
        pass

    def close(self):
        for sock in self._socks:
            sock.close()


class Agent:
    """Executes the commands, and holds the peers that they made."""

    def __init__(self):
        self._lock = allocate_lock()
        self._things = []
        self._port = FIRST_PORT + time.ticks_us() % 10000
        first = socket.socket()
        try:
            first.connect(self._next_addr())
        except OSError:     # refused, or ENOBUFS where lwIP begins with local port 0: the next one gets another
            first.close()
        start_new_thread(self._serve, ())

    def _serve(self):
        while True:
            with self._lock:
                for thing in self._things:
                    thing.turn()
            time.sleep_ms(TURN_MS)

    def ask(self, *words):
        if words[0] in CANNOT:
            raise Skip(CANNOT[words[0]])
        with self._lock:
            values = getattr(self, 'do_' + words[0])(*words[1:])
        return [str(value) for value in values or ()]

    def _keep(self, thing):
        self._things.append(thing)
        return len(self._things) - 1

    def _thing(self, number):
        return self._things[int(number)]

    def _next_addr(self):
        self._port += 1
        return (IP, self._port)

    # Ports and addresses

    def do_free(self, kind):
        return (self._next_addr()[1],)

    def do_refusing(self):
        return (self._next_addr()[1],)

    def do_deaf(self):
        """Make a listener that never accepts, with a full queue."""
        addr = self._next_addr()
        listener, first = socket.socket(), socket.socket()
        listener.bind(addr)
        listener.listen(1)
        first.connect(addr)
        self._keep(_Held(listener, first))
        return (addr[1],)

    # TCP

    def do_listen(self, recv_buffer):
        addr = self._next_addr()
        sock = socket.socket()
        sock.bind(addr)
        sock.listen(8)
        return self._keep(_Listener(sock)), addr[1]

    def do_accept(self, number):
        accepted = self._thing(number).accepted
        if not accepted:
            return (0,)
        sock, addr = accepted.pop(0)
        return self._keep(_TcpPeer(sock)), addr[1]

    def do_connect(self, ip, port, recv_buffer):
        own = self._next_addr()
        sock = socket.socket()
        try:
            sock.bind(own)
            sock.settimeout(CONNECT_LIMIT_SEC)
            sock.connect((ip, port))
        except OSError as exc:
            sock.close()
            raise RuntimeError('connect: %s' % exc)
        return self._keep(_TcpPeer(sock)), own[1]

    def do_send(self, number, data):
        self._thing(number).send(unhexlify(data))

    def do_pattern(self, number, size, start):
        self._thing(number).send(pattern(size, start))

    def do_echo(self, number, rounds, size):
        self._thing(number).echo(rounds, size)

    def do_rounds(self, number):
        return (self._thing(number).rounds,)

    def do_pause(self, number):
        self._thing(number).is_reading = False

    def do_resume(self, number):
        self._thing(number).is_reading = True

    def do_state(self, number):
        peer = self._thing(number)
        return len(peer.data), peer.state

    def do_received(self, number, start, size):
        return (_hex(self._thing(number).data[start:start + size]),)

    def do_matches(self, number, start):
        data = self._thing(number).data
        return (data == pattern(len(data), start),)

    def do_close(self, number):
        self._thing(number).close()

    # UDP

    def do_udp(self):
        addr = self._next_addr()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(addr)
        return self._keep(_UdpPeer(sock, addr)), addr[1]

    def do_sendto(self, number, ip, port, data):
        self._thing(number).send(b'' if data == '-' else unhexlify(data), (ip, port))

    def do_datagram(self, number):
        datagrams = self._thing(number).datagrams
        if not datagrams:
            return ('none',)
        data, (ip, port) = datagrams.pop(0)
        return ip, port, _hex(data)
