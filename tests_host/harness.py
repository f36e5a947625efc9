"""Helpers for contract tests: peers, time, and turns of the pool.

Everything here runs on CPython and on MicroPython, on this machine and on a board. The peers themselves are in another
process (`peer_agent.py`). This module only requests them, so no test uses a raw socket.

A caller names the agent before the first test:
    configure(agent_addr=(ip, port), own_ip=ip)     or by the environment: XAS_AGENT=ip:port, XAS_OWN_IP=ip
With XAS_AGENT=loopback the peers are in this process: loopback_agent.py.
"""
import gc
import os
import socket
import sys
import time
from binascii import hexlify, unhexlify

try:
    from _thread import allocate_lock, start_new_thread
except ImportError:     # this build has no threads
    allocate_lock = start_new_thread = None

MICROPYTHON = sys.implementation.name == 'micropython'
CHIP = MICROPYTHON and sys.platform != 'linux'
ESP32 = sys.platform == 'esp32'
THREADS = start_new_thread is not None

_setting = getattr(os, 'getenv', lambda name: None)     # a chip has no environment

OVER_TLS = not CHIP and _setting('XAS_TRANSPORT') == 'tls'    # connections of `Link` use TLS

PASSED, SKIPPED, FAILED = 'PASSED', 'SKIPPED', 'FAILED'



def has_memory_for(size):
    """Return whether the heap has a free piece of that many bytes."""
    try:
        return len(bytearray(size)) == size
    except MemoryError:
        return False


# More bytes than any system takes at once for a slow reader. Tests hold them in one piece, and twice.
MANY = 80000 if ESP32 and has_memory_for(200000) else 20000 if CHIP else 300000
SLOW = 4096                         # the receive buffer of a slow reader
FEWER = 20 if CHIP else 1           # divides the rounds of a test with threads: a chip is slow there

SOCKETS = int(_setting('XAS_SOCKETS') or 0) or 10000     # connections at a time, including the peers' connections

TLS_FOLDER = __file__.replace('\\', '/').rpartition('/')[0] + '/tls'

_CHUNK = 256 if CHIP else 16384     # bytes of data in one control line

_agent_addr = None
_own_ip = None
_agent = None


class Skip(Exception):
    """The test does not apply here."""


def skip(reason):
    raise Skip(reason)


def needs_host():
    """Skip on a chip, because the test examines the process, which only a computer has."""
    if CHIP:
        skip('needs an operating system')


def needs_plain(reason):
    """Skip if the connections of the test use TLS."""
    if OVER_TLS:
        skip(reason)


def needs_sockets(count):
    if count > SOCKETS:
        skip('needs %d sockets, there are %d' % (count, SOCKETS))


def needs_own_memory():
    """Skip if the peers share the memory that the test measures."""
    if _setting('XAS_AGENT') == 'loopback':
        skip('the peers are in the same process')


def needs_loopback():
    """Skip on a chip, because the interpreter connects or sends to itself in the test."""
    if CHIP and not ESP32:
        skip('this chip cannot connect to itself: lwIP is built without a loopback interface')


def needs_threads():
    if not THREADS:
        skip('no threads in this build')


# Time

PATIENCE = 4 if CHIP and not ESP32 else 1     # multiplies each time limit, because an emulator may be slow

if hasattr(time, 'ticks_ms'):
    now_ms = time.ticks_ms
    elapsed_ms = lambda since: time.ticks_diff(time.ticks_ms(), since)      # noqa: E731
    sleep_ms = time.sleep_ms
else:
    def now_ms():
        return int(time.monotonic() * 1000)

    def elapsed_ms(since):
        return now_ms() - since

    def sleep_ms(ms):
        time.sleep(ms / 1000)


def cpu_ms():
    """Return the processor time that this process has used."""
    needs_host()
    return int(1000 * (time.clock() if MICROPYTHON else time.process_time()))


def pump(pool, condition, limit_sec=5, turn_ms=2):
    """Run turns of `pool` until `condition()` is true, and return its value; fail after the time limit."""
    limit_sec *= PATIENCE
    start = now_ms()
    while True:
        value = condition()
        if value:
            return value
        if elapsed_ms(start) > limit_sec * 1000:
            raise AssertionError('the condition did not become true within %s s' % limit_sec)
        pool.PollEvents(turn_ms)


def pump_for(pool, ms):
    """Run turns of `pool` for a while, to check that something does not happen."""
    start = now_ms()
    pool.PollEvents(5)      # at least one turn, however busy the computer is
    while elapsed_ms(start) < ms:
        pool.PollEvents(5)


def wait(condition, limit_sec=5):
    """Like `pump`, while another thread runs the pool."""
    limit_sec *= PATIENCE
    start = now_ms()
    while True:
        value = condition()
        if value:
            return value
        if elapsed_ms(start) > limit_sec * 1000:
            raise AssertionError('the condition did not become true within %s s' % limit_sec)
        sleep_ms(2)


def open_files():
    """Return the number of file descriptors of this process, to notice a leaked socket."""
    needs_host()
    gc.collect()
    if hasattr(os, 'listdir'):
        return len(os.listdir('/proc/self/fd'))
    return len(list(os.ilistdir('/proc/self/fd')))


class most_allocated:
    """During the context no garbage is collected. Afterwards `bytes` is the most that was allocated."""

    def __enter__(self):
        if MICROPYTHON:
            gc.collect()
            gc.disable()
            self._before = gc.mem_alloc()
        else:
            import tracemalloc
            tracemalloc.start()
        return self

    def __exit__(self, *_):
        if MICROPYTHON:
            self.bytes = gc.mem_alloc() - self._before
            gc.enable()
        else:
            import tracemalloc
            self.bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()


def pattern(size, start=0):
    """Return the test pattern of the peers: byte number i is i modulo 251."""
    block = bytes(range(251))
    first = start % 251
    return (block * (size // 251 + 2))[first:first + size]


def raises(exception_class, function, *args, **kwargs):
    """Return the exception that the call must raise. It has this class or a subclass."""
    try:
        result = function(*args, **kwargs)
    except exception_class as exc:
        return exc
    raise AssertionError('%r %r returned %r, did not raise %s' % (args, kwargs, result, exception_class.__name__))


def split_in_every_way(data, parts=2):
    """Yield every way to split `data` into `parts` consecutive pieces, none of them empty."""
    if parts == 1:
        yield [data]
        return
    for cut in range(1, len(data) - parts + 2):
        for rest in split_in_every_way(data[cut:], parts - 1):
            yield [data[:cut]] + rest


# The agent

def configure(agent_addr, own_ip):
    global _agent_addr, _own_ip
    _agent_addr, _own_ip = agent_addr, own_ip


def _configure_from_environment():
    agent = _setting('XAS_AGENT')
    if not agent:
        raise RuntimeError('no peer agent: set XAS_AGENT to its ip:port')
    if agent == 'loopback':
        import loopback_agent
        global _agent
        _agent = loopback_agent.Agent()
        configure((loopback_agent.IP, None), loopback_agent.IP)
        return
    ip, port = agent.split(':')
    configure((ip, int(port)), _setting('XAS_OWN_IP') or ip)


class _Agent:
    """The control connection. It is a blocking socket outside of every pool."""

    def __init__(self, addr):
        self._lock = allocate_lock() if THREADS else None
        try:
            self._connect(addr)
        except OSError:         # once in some hundred starts lwIP refuses the first connection: ENOBUFS
            self._connect(addr)
        self._file = self._socket.makefile('rb')
        self._write = getattr(self._socket, 'sendall', None) or self._socket.write

    def _connect(self, addr):
        self._socket = socket.socket()
        self._socket.connect(socket.getaddrinfo(addr[0], addr[1])[0][-1])

    def ask(self, *words):
        if self._lock:
            with self._lock:
                return self._ask(words)
        return self._ask(words)

    def _ask(self, words):
        self._write((' '.join([str(word) for word in words]) + '\n').encode())
        line = self._file.readline().decode()
        values = line.split()
        if not values or values[0] != 'ok':
            raise RuntimeError('%s: %s' % (words[0], line.strip() or 'the peer agent is gone'))
        return values[1:]


def _ask(*words):
    global _agent
    if _agent_addr is None:
        _configure_from_environment()
    if _agent is None:
        _agent = _Agent(_agent_addr)
    return _agent.ask(*words)


def connect_agent():
    """Open the control connection before a test counts files or allocations."""
    _ask('free', 'tcp')


# Addresses

def own_ip():
    """Return the address where peers reach the library under test."""
    if _own_ip is None:
        _configure_from_environment()
    return _own_ip


def peer_ip():
    """Return the address where the peers are."""
    if _agent_addr is None:
        _configure_from_environment()
    return _agent_addr[0]


def free_addr(kind='tcp'):
    """Return (ip, port) to bind to. The port was just free."""
    return (own_ip(), int(_ask('free', kind)[0]))


def refusing_addr():
    """Return (ip, port) that refuses TCP connections."""
    return (peer_ip(), int(_ask('refusing')[0]))


def deaf_addr():
    """Return (ip, port) that never answers a TCP connection."""
    return (peer_ip(), int(_ask('deaf')[0]))


def peer_name():
    """Return a host name of the peers' address."""
    if peer_ip() != '127.0.0.1' or CHIP:
        skip('the peers have no host name here')
    return 'localhost'


# Peers

class Peer:
    """A raw TCP connection at the other end. `port` is the port of the connecting end."""

    def __init__(self, number, port):
        self._number = number
        self.port = int(port)

    def send(self, data):
        for start in range(0, len(data), _CHUNK):
            _ask('send', self._number, hexlify(data[start:start + _CHUNK]).decode())

    def send_pattern(self, size, start=0):
        """Send bytes `start` to `start + size` of the test pattern. This returns at once."""
        _ask('pattern', self._number, size, start)

    def received(self):
        """Return all bytes received so far."""
        data = b''
        while True:
            chunk = _ask('received', self._number, len(data), _CHUNK)[0]
            if chunk == '-':
                return data
            data += unhexlify(chunk)

    def received_count(self):
        return int(_ask('state', self._number)[0])

    def received_pattern(self, start=0):
        """Return whether all bytes received so far are the test pattern from `start` on."""
        return _ask('matches', self._number, start)[0] == 'True'

    def state(self):
        """Return the state: open, eof (our side has ended), reset, closed; with TLS: secure or failed:why."""
        return _ask('state', self._number)[1]

    def ended(self):
        """Return True when our side has closed in any way."""
        return self.state() in ('eof', 'reset', 'closed')

    def echo(self, rounds, size):
        """Send `size` bytes, wait until they have come back, `rounds` times, without further control traffic."""
        _ask('echo', self._number, rounds, size)

    def echoed(self):
        return int(_ask('rounds', self._number)[0])

    def pause(self):
        """Stop reading."""
        _ask('pause', self._number)

    def resume(self):
        _ask('resume', self._number)

    def half_close(self):
        """End the peer's sending. It goes on receiving."""
        _ask('half_close', self._number)

    def close(self):
        _ask('close', self._number)

    def reset(self):
        """End the connection with a TCP reset."""
        _ask('reset', self._number)

    def cut_off(self):
        """End a TLS connection without close_notify."""
        _ask('cut_off', self._number)

    def start_tls(self, side, certificate='server', ciphers='-'):
        """Start TLS as 'client' or 'server'. `certificate` is its own or that of the authority; `ciphers` are for TLS
        1.2. The state becomes secure, or failed:why."""
        _ask('tls', self._number, side, certificate, ciphers)


class Listener:
    """A raw listening socket on the other side."""

    def __init__(self, number, port):
        self._number = number
        self.addr = (peer_ip(), port)

    def accept(self):
        """Return the next connection that has arrived, or None."""
        values = _ask('accept', self._number)
        return Peer(*values) if len(values) == 2 else None


class Crowd:
    """Many raw TCP connections. Each sends a line and waits for one."""

    def __init__(self, number):
        self._number = number

    def answered(self):
        """Return the number of lines that all of them have received."""
        return int(_ask('answered', self._number)[0])

    def ask_again(self):
        _ask('ask_again', self._number)

    def close(self):
        _ask('close', self._number)


class UdpPeer:
    """A raw UDP socket on the other side."""

    def __init__(self, number, port):
        self._number = number
        self.addr = (peer_ip(), port)

    def send(self, data, addr):
        _ask('sendto', self._number, addr[0], addr[1], hexlify(data).decode() or '-')

    def receive(self):
        """Return the next (datagram, sender's address) that has arrived, or None."""
        values = _ask('datagram', self._number)
        if values[0] == 'none':
            return None
        return (b'' if values[2] == '-' else unhexlify(values[2]), (values[0], int(values[1])))


def connect_peer(addr, recv_buffer=0):
    """Return a peer connected to `addr`. A small `recv_buffer` makes it a slow reader."""
    return Peer(*_ask('connect', addr[0], addr[1], recv_buffer))


def listen_peer(recv_buffer=0):
    number, port = _ask('listen', recv_buffer)
    return Listener(int(number), int(port))


def connect_crowd(addr, count):
    """Start connecting `count` peers to `addr`, which stay connected. This returns at once."""
    return Crowd(int(_ask('crowd', addr[0], addr[1], count)[0]))


def udp_peer():
    number, port = _ask('udp')
    return UdpPeer(int(number), int(port))


def limit_send_buffer(sock):
    """Make the system take little data at once from a TCP socket of the interpreter itself."""
    if not CHIP:    # Linux takes megabytes; MicroPython's socket module does not name the option
        sock.setsockopt(socket.SOL_SOCKET, getattr(socket, 'SO_SNDBUF', 7), 8192)


def udp_socket():
    """Return a bound UDP socket of the interpreter itself, and its address."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    addr = free_addr('udp')
    sock.bind(socket.getaddrinfo(addr[0], addr[1])[0][-1])
    sock.setblocking(False)
    return sock, addr


# Running

def run(module, name):
    """Run one test function. Return (outcome, text); the text is the reason of a skip or the traceback of a failure."""
    try:
        getattr(__import__(module), name)()
    except Skip as exc:
        return SKIPPED, str(exc)
    except (Exception, KeyboardInterrupt) as exc:
        return FAILED, _traceback(exc)
    return PASSED, ''


def _traceback(exc):
    if MICROPYTHON:
        from io import StringIO
        text = StringIO()
        sys.print_exception(exc, text)
        return text.getvalue()
    import traceback
    return traceback.format_exc()
