"""
XAsyncSockets: managed asynchronous TCP and UDP sockets in one file, for MicroPython 1.25+ and CPython 3.9+.

A pool waits for all its sockets at once and calls their events; an application is a set of small functions:

    pool   = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ('0.0.0.0', 7777))

    def on_line(client, line, arg):
        client.AsyncSendData(line.encode() + b'\\n')
        client.AsyncRecvLine(on_line)

    server.OnClientAccepted = lambda server, client: client.AsyncRecvLine(on_line)
    pool.AsyncWaitEvents()

How the file is laid out:
    1  Portability   everything that differs between interpreters and ports
    2  Buffers       XBufferSlot, XBufferSlots, XFiFo
    3  The pool      XAsyncSocketsPool: the loop, its timers, its worker threads
    4  The sockets   XAsyncSocket, XAsyncTCPServer, XAsyncTCPClient, XAsyncUDPDatagram

One rule makes it right with and without a global interpreter lock: a socket and the pool's poll set are touched
by one thread at a time, the loop's, or the worker that holds the socket. What other threads ask for is left in
the pool's mailbox and done by the loop.

MIT licence. Documentation: docs/library.md
"""

import errno
import gc
import heapq
import io
import select
import socket
import sys
import time

__version__ = '0.1.0'

# ============================================================================
# 1. Portability: everything that differs between interpreters and ports
# ============================================================================

try:
    from micropython import const
except ImportError:
    def const(value):
        return value

# A constant, so that MicroPython's compiler leaves out what only CPython needs.
_MICROPYTHON = const(1)
if sys.implementation.name != 'micropython':
    globals()['_MICROPYTHON'] = 0

# The unix port's socket module gives addresses as opaque bytes; every other one as tuples (ports/unix/modsocket.c).
_OPAQUE_ADDRESSES = hasattr(socket, 'sockaddr')

# MicroPython on a chip: no operating system below, poll() scans every socket, memory is counted in kilobytes.
_ON_CHIP = _MICROPYTHON and sys.platform not in ('linux', 'darwin', 'win32')

_ESP32 = sys.platform == 'esp32'

# poll() and epoll share these values on every system, and MicroPython's (py/stream.h) are the same.
_IN = const(1)
_OUT = const(4)
_FAULT = const(56)  # ERR 8 | HUP 16 | NVAL 32
_EVENT_BITS = const(0x3fff)

# Linux tells of the peer's end also while nothing is read (poll(2), POLLRDHUP), ESP32 of a reset to who asks for HUP
# (ports/esp32/modsocket.c); otherwise it shows when reading goes on.
_PEER_END = 0x2000 if sys.platform == 'linux' and (_OPAQUE_ADDRESSES or hasattr(select, 'epoll')) else \
    16 if _ESP32 else 0

# MicroPython looks for a builtin among all of a module's names first: what the hot path uses is one of them.
_callable, _len, _str, _type = callable, len, str, type

_WOULD_BLOCK = (errno.EAGAIN, getattr(errno, 'EWOULDBLOCK', errno.EAGAIN))

# What a UDP socket raises while its queue is full: RP2 ENOMEM (pbuf_alloc), others EAGAIN or ENOBUFS.
_DATAGRAM_QUEUE_FULL = _WOULD_BLOCK + (errno.ENOMEM, errno.ENOBUFS)

_FRAME = const(1500)  # bytes: what fits into a frame of Ethernet
_SLOT_SIZE = const(4096)
_SLOT_SIZE_ON_CHIP = const(2048)
_MAX_TIMEOUT_MS = const(518400000)  # 6 days: less than half the period of a 32-bit port's ticks, 2**30 ms
_MAX_WAIT_MS = const(200000000)     # a turn at least every 2.3 days keeps the pool's clock sure of the ticks' wraps
_CHIP_WAIT_MS = const(20)           # chips have nothing that wakes poll(): another thread's call waits this long
_NO_MEMORY_MS = const(10)           # how long threads wait for memory that others may give back
_ACCEPT_PAUSE_MS = const(100)       # how long a server that is out of resources waits before it tries again
_LINE_END = const(2)                # the longest end of a line, b'\r\n'
_NEW_MS = const(200)                # how long a thread may take from Create to its OnConnected = …
_NAME_LIFE_MS = const(60000)        # how long a UDP socket believes a look-up
_AT_ONCE = const(15)                # a power of 2 minus 1: reads of one socket, or events that events cause, at a time
_PATIENCE = const(-32)              # how often not to read at once again after there was nothing more
_KNOWN_ADDRESSES = const(64)        # how many a UDP socket remembers
_MANY = const(128)                  # sockets from which on the busy ones are asked first, …
_BUSY = const(64)                   # … and how many these are at the most
_RESERVE = const(10)                # pieces of 64 bytes that a pool keeps for the moment when there are no others
_SPARE = const(32)                  # words that a poll set keeps: more than two entries of it and a frame take
_ACCEPT_ROOM = const(256)           # bytes: more than accept() takes
_SLOTS_AT_ONCE = const(8)           # how many are made together

if _MICROPYTHON:
    from time import sleep_ms as _sleep_ms
    from time import ticks_add as _ticks_add
    from time import ticks_diff as _ticks_diff
    from time import ticks_ms as _ticks_ms
    _print_exception = sys.print_exception
    _HEAP_SIZE = gc.mem_free() + gc.mem_alloc()
    _DEFAULT_SLOTS = max(8, _HEAP_SIZE // 1024)
    _SEND_QUEUE_LIMIT = max(16384, _HEAP_SIZE // 8)
else:
    _DEFAULT_SLOTS = 1000000
    _SEND_QUEUE_LIMIT = 64 * 1024 * 1024

    def _print_exception(exception):
        import traceback
        traceback.print_exception(type(exception), exception, exception.__traceback__)

    def _sleep_ms(ms):
        time.sleep(ms / 1000)

    def _ticks_ms():
        return time.monotonic_ns() // 1000000

    def _ticks_diff(end, start):
        return end - start

    def _ticks_add(ticks, delta):
        return ticks + delta

try:
    from time import perf_counter  # type: ignore[attr-defined]
except ImportError:
    def perf_counter():
        """Seconds of a clock that only goes forward: what ExpireTimeSec is told in."""
        return time.ticks_ms() / 1000

try:
    from _thread import allocate_lock as _allocate_lock
    from _thread import get_ident as _get_ident
    from _thread import start_new_thread as _start_thread
    # Two threads may run at once and nothing guards a dict: RP2 and unix (MicroPython 1.28 tells, py/modsys.c).
    _UNGUARDED = _MICROPYTHON and getattr(sys.implementation, '_thread', 'unsafe') == 'unsafe'
except ImportError:  # a port without threads: one thread, so nothing to lock
    _UNGUARDED = False

    class _NoLock:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    _allocate_lock = _NoLock

    def _get_ident():
        return 1

    def _start_thread(function, args):
        raise OSError('this port of MicroPython has no threads')


_MAIN_THREAD = _get_ident()  # whose program imported this


def _error(kind, message, cause=None):
    """An exception of class `kind` that keeps its cause (`raise … from` prints a warning on MicroPython)."""
    number = getattr(cause, 'errno', None)
    if cause is not None:
        message += ': %s' % (cause if str(cause) else repr(cause))
        if type(number) is int and 'rrno' not in message:
            message += ' (errno %s)' % number
    error = kind(message)
    error.__cause__ = cause
    return error


def _raised_by_call(exception):
    """
    True where a TypeError came from the call itself, its argument count, and not from inside the function.
    """
    if not _MICROPYTHON:
        return exception.__traceback__.tb_next is None
    text = io.StringIO()
    _print_exception(exception, text)
    return text.getvalue().count('  File ') <= 1


def _would_block(exception):
    """True where an exception of recv or send only says: not now."""
    return isinstance(exception, OSError) and exception.errno in _WOULD_BLOCK


def _decode(view, encoding):
    """The text in a memoryview. MicroPython's str() knows UTF-8 only, so Latin-1 is spelt out for it."""
    if _MICROPYTHON and encoding.upper() in ('LATIN-1', 'LATIN1', 'ISO-8859-1'):
        return ''.join(chr(byte) for byte in view)
    return str(view, encoding)


def _resolve(address):
    """
    (family, system address) of (ip or host name, port), IPv4 first. Blocks while a name is looked up: no port
    has another way. Raises OSError. The socket type is given because RP2 warns about any other
    (extmod/modlwip.c).
    """
    found = socket.getaddrinfo(address[0] or '0.0.0.0', address[1], 0, socket.SOCK_STREAM)
    for info in found:
        if info[0] == socket.AF_INET:
            break
    else:
        info = found[0]
    return info[0], info[-1]


def _readable(address):
    """(ip, port) of a system address."""
    if isinstance(address, tuple):
        return address if len(address) == 2 else address[:2]
    family, ip, port = socket.sockaddr(address)[:3]  # type: ignore[attr-defined]
    return socket.inet_ntop(family, ip), port  # type: ignore[attr-defined]


def _bind(sock, address, listen_backlog=None):
    """
    Bind, listen where asked, and return the bound (ip, port). MicroPython has no getsockname, so there port 0
    means that we draw a port of the dynamic range (RFC 6335, section 6) until one is free. Raises OSError.
    """
    system_address = _resolve(address)[1]
    if address[1] or not _MICROPYTHON:
        sock.bind(system_address)
    else:
        system_address = _bind_free_port(sock, address[0])
    if listen_backlog is not None:
        # A socket that is bound must not be bound again when this fails: lwIP would go round in its list for ever.
        sock.listen(listen_backlog)
    return _readable(system_address if _MICROPYTHON else sock.getsockname())


def _bind_free_port(sock, ip):
    """Bind to a port that is free, and return the system address. Raises OSError."""
    seed = _ticks_ms() ^ id(sock)
    for _ in range(64):
        seed = (seed * 1103515245 + 12345) & 0x3fffffff
        system_address = _resolve((ip, 49152 + (seed >> 8) % 16384))[1]
        try:
            sock.bind(system_address)
            return system_address
        except OSError as ex:
            failure = ex
    raise failure


def _set_option(sock, level, name, number):
    """
    Switch a socket option on where the port has it; `number` is for ports that have it without its name.
    """
    try:
        sock.setsockopt(level, getattr(socket, name, number), 1)
    except OSError:
        pass


_IPPROTO_TCP = getattr(socket, 'IPPROTO_TCP', 6)
_TCP_NODELAY = getattr(socket, 'TCP_NODELAY', 1)


def _no_delay(sock):
    """Send small messages at once (RFC 896 delays them)."""
    try:
        sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
    except OSError:
        pass


def _was_sent(exception, datagram):
    """True for ESP32's sendto of an empty datagram: it takes the 0 bytes sent for "not now" and raises ETIMEDOUT."""
    return _ESP32 and not len(datagram) and exception.errno == errno.ETIMEDOUT


def _revive(udp_socket, address):
    """
    Go on after an empty datagram: ESP32 takes it for the end of a connection and reads nothing more, until the socket
    is bound, be it where it is already (ports/esp32/modsocket.c). What has come meanwhile is not lost.
    """
    if _ESP32:
        udp_socket.bind(address)


class _Poller:
    """
    The system's poll set, level-triggered: `wait(ms)` gives (key, events) pairs. MicroPython's poll.ipoll
    allocates nothing, but the set must not grow or shrink while its pairs are read (extmod/modselect.c), so
    the pool does that before it waits. Linux has epoll, whose cost does not grow with the sockets that are
    silent.
    """

    def __init__(self):
        self._epoll = None
        if _MICROPYTHON:
            self._set = select.poll()
            self.wait = self._set.ipoll
        elif hasattr(select, 'epoll'):
            self._set = self._epoll = select.epoll()
            self.wait = self._wait_epoll
        else:
            self._set = select.poll()
            self.wait = self._set.poll
        self.add = self._add if _MICROPYTHON else self._set.register
        self.change = self._set.modify
        self.remove = self._set.unregister
        self._spare = None

    def _add(self, key, events):
        """Watch `key`. Where that raises MemoryError, mend() is to be called before anything else."""
        if not self._spare:
            self._spare = [None] * _SPARE
        self._set.register(key, events)

    def mend(self, key):
        """
        register() that finds no memory leaves half an entry, which poll() and unregister() follow to nowhere
        (extmod/modselect.c). Asked again it makes that whole, for which memory is kept.
        """
        if self._spare:  # otherwise it was this that found none
            self._spare.clear()  # gives its memory back now, not at a collection
            self._remove_half(key)

    def _remove_half(self, key):
        self._register(key, 0)
        self._set.unregister(key)

    def _register(self, key, events):
        while True:
            try:
                self._set.register(key, events)
                return
            except MemoryError:  # another thread took it
                _sleep_ms(1)

    def look_at_all(self):
        """The next wait leaves none out."""

    def _wait_epoll(self, ms):
        return self._epoll.poll(ms / 1000 if ms >= 0 else -1, 512)

    def close(self):
        if self._epoll is not None:
            self._epoll.close()
        # The bound methods and the set refer to each other.
        self.add = self.change = self.remove = self.wait = self._set = self._epoll = None


class _BusyFirst(_Poller):
    """
    A poll set that asks the busy ones of many sockets first: poll(2), which is what the unix port has, costs as much
    for a silent socket as for any other. Those that had something lately are in a small set, too, which is asked alone
    while it has something, fifteen times of sixteen. Where the busy ones keep changing, all are asked for a while.
    """

    def __init__(self, sockets):
        super().__init__()
        self._sockets = sockets     # by key: the pool's
        self._many = False

    def _add(self, key, events):
        super()._add(key, events)
        if not self._many and _len(self._sockets) >= _MANY:
            self._begin()

    def _begin(self):
        try:
            self._start_anew(0)
            self.change, self.remove, self.wait = self._change, self._remove, self._wait
            self._many = True
        except MemoryError:  # all are asked every time, until there is some
            pass

    def _remove_half(self, key):
        """Where it is the array for poll(2) that cannot grow, another socket lends its place."""
        lender = None
        for lender in self._sockets:
            self._set.unregister(lender)
            break
        super()._remove_half(key)
        if lender is not None:
            self._register(lender, self._sockets[lender]._interest & _EVENT_BITS)

    def _start_anew(self, turns):
        self._turns = turns         # negative: how often all are asked from now on
        self._gain = _BUSY          # how often the small set sufficed, less the changes of it
        self._busy = select.poll()
        self._keys = {}             # what is in it

    def look_at_all(self):
        if self._many:
            self._turns = min(self._turns, -1)      # _wait counts it up

    def _change(self, key, events):
        self._set.modify(key, events)
        if key in self._keys:
            self._busy.modify(key, events)

    def _remove(self, key):
        self._set.unregister(key)
        if self._keys.pop(key, False):
            self._busy.unregister(key)
        if _len(self._sockets) < _MANY // 2:
            self._many = False
            self.change, self.remove, self.wait = self._set.modify, self._set.unregister, self._set.ipoll

    def _wait(self, ms):
        self._turns += 1
        if self._turns <= 0:
            return self._set.ipoll(ms)
        if self._turns & 15:
            for _ in self._busy.ipoll(0):
                if self._gain < _BUSY:
                    self._gain += 1
                return self._busy.ipoll(0)
        return self._ask_all(ms)

    def _ask_all(self, ms):
        self._turns = 0
        for key, _ in self._set.ipoll(ms):
            if key not in self._keys and not self._take_in(key):
                return self._set.ipoll(0)
        return self._busy.ipoll(0)

    def _take_in(self, key):
        if not self._gain or _len(self._keys) == _BUSY:
            self._start_anew(0 if self._gain else -_BUSY)
            return False
        s = self._sockets.get(key)
        try:
            self._busy.register(key, _IN if s is None else s._interest & _EVENT_BITS)
            self._keys[key] = True
        except MemoryError:  # it may have left half an entry: see _Poller.mend
            self._busy = self._set
            self._keys.clear()
            self._gain = 0
            return False
        self._gain -= 1
        return True

    def close(self):
        super().close()
        self._busy = self._keys = None


class _Waker:
    """
    Wakes a waiting poll() from another thread: a socket that sends to itself. CPython has socketpair; the
    unix port an abstract AF_UNIX address (unix(7)); chips have neither, and `key` is None there.
    """

    def __init__(self):
        self.key = self._receiver = self._sender = None
        if not _MICROPYTHON:
            self._receiver, self._sender = socket.socketpair()
            self._receiver.setblocking(False)
            self._sender.setblocking(False)
            self.key = self._receiver.fileno()
        elif _OPAQUE_ADDRESSES and sys.platform == 'linux':
            family = socket.AF_UNIX  # type: ignore[attr-defined]
            self._receiver = self._sender = socket.socket(family, socket.SOCK_DGRAM)
            address = b'%c\0\0XAsyncSockets-%d-%d' % (family, time.time_ns(), id(self))
            self._receiver.bind(address)
            self._receiver.connect(address)
            self._receiver.setblocking(False)
            self.key = self._receiver

        # What takes no memory: where a byte were lost for want of it, none would ever wake the loop again.
        if self.key is not None:
            self._send = getattr(self._sender, 'write' if _MICROPYTHON else 'send')
            self._receive = getattr(self._receiver, 'readinto' if _MICROPYTHON else 'recv_into')
            self._buffer = bytearray(64)

    def wake(self):
        if self._sender is not None:
            try:
                self._send(b'\0')
            except OSError:  # full: it is awake anyway
                pass

    def clear(self):
        try:
            while self._receive(self._buffer):
                pass
        except OSError:
            pass

    def close(self):
        if self._receiver is not None:
            self._receiver.close()
            self._sender.close()
            self.key = self._receiver = self._sender = None


# TLS on a connected socket: one interface for what the interpreters have.
#
#   receive(into), send(data)   as readinto and write of a MicroPython socket: None for "not now", 0 the peer's end.
#                               They do the handshake, too. They raise what CloseError is to tell.
#   blocked                     what the last of these waits for, _IN or _OUT; 0 where it can go on at once
#   open                        True once the handshake is known to be over; is_open() finds out, for good
#   truncated                   True where the peer's end came without close_notify: somebody may have cut off the rest
#   say_goodbye()               sends close_notify, False where that has to wait for _OUT
#   socket, close()             the system socket from now on, and the end of what TLS holds beside it

_CUT_OFF = 'TLS: the peer ended without close_notify, what it sent may not be all'
_GONE = 'the peer closed the connection'

if _MICROPYTHON:
    # The alerts by which a peer refuses a handshake (RFC 8446, 6.2); mbedTLS only says that there was one.
    _ALERTS = {40: 'no common cipher or version', 42: 'bad certificate', 43: 'unsupported certificate',
               44: 'certificate revoked', 45: 'certificate expired', 46: 'certificate not accepted',
               48: 'unknown authority', 70: 'no common version', 71: 'no cipher that is secure enough',
               112: 'unknown host name', 116: 'certificate required'}

    # mbedTLS's errors and the system's whose own text, if the port has it, does not tell a person what is wrong.
    _TLS_ERRORS = {-0x6e00: 'no common cipher', -0x6e80: 'no common version', -0x7480: 'the peer shows no certificate',
                   -0x7200: 'what the peer sends is not TLS', -0x7180: 'a record was damaged',
                   -0x7280: _GONE, -errno.ECONNRESET: _GONE, -32: _GONE}

    class _TLS(io.IOBase):
        """
        mbedTLS reads and writes the system socket by way of this object, which notes what the tls module does not
        tell (extmod/modtls_mbedtls.c): the direction it waits for, close_notify or not, the peer's alert.
        """

        def __init__(self, sock, context, server_side, host_name):
            self.socket = sock
            self.blocked = 0
            self.open = self.truncated = self.more = False
            self._read = sock.readinto
            self._write = sock.write
            self._over = self._asking = False
            self._broken = 0
            self._alert = self._failure = None
            # An IP address is no name to be indicated (RFC 6066, 3), but it can be verified.
            if host_name and not context.verify_mode and (':' in host_name or host_name.replace('.', '').isdigit()):
                host_name = None
            self._tls = context.wrap_socket(self, server_side=server_side, do_handshake_on_connect=False,
                                            server_hostname=None if server_side else host_name)

        # --- for mbedTLS; an exception must not pass through it

        def readinto(self, into):
            if self._asking:
                return 0
            if self._broken:
                return self._broken
            try:
                n = self._read(into)
            except OSError as ex:
                # When asked again: an error would take what was read before it with it (mp_stream_rw, py/stream.c).
                self._broken = -ex.errno
                n = None
            if n is None:
                self.blocked = _IN
            elif n == 0:
                self.truncated = True
            elif n == 2:
                self._alert = into[1]
            return n

        def write(self, data):
            try:
                n = self._write(data)
            except OSError as ex:
                return -ex.errno
            if n is None:
                self.blocked = _OUT
            return n

        def ioctl(self, request, arg):
            return 0

        # --- for the connection

        def receive(self, into):
            if self._over:
                return 0
            self.blocked = 0
            try:
                n = self._tls.readinto(into)
            except Exception as ex:
                raise self._failed(ex)
            if n is not None:
                self.open = True
                # Short, and not for the socket's sake: the end. Asked again, TLS would wait for what follows that.
                self._over = n < len(into) and not self.blocked
            return n

        def send(self, data):
            self.blocked = 0
            try:
                n = self._tls.write(data)
            except TypeError:
                raise
            except Exception as ex:
                raise self._failed(ex)
            if n:
                self.open = True
            return n

        def is_open(self):
            """
            The tls module does not tell when the handshake is over. So let the socket seem at its end: that is an
            error for a handshake, and for good, but nothing to a reader between two records.
            """
            if not self.open:
                self._asking = True
                try:
                    self.open = self._tls.readinto(bytearray(1)) == 0
                except Exception:
                    pass
                self._asking = False
            return self.open

        def _failed(self, ex):
            """The exception that tells a person why; the same when asked again."""
            if self._failure is None:
                number = ex.errno if isinstance(ex, OSError) else None
                if type(number) is not int:
                    why = str(ex).strip()  # ValueError, what is wrong with the certificate
                elif number == -0x7780:
                    why = 'refused by the peer: %s (alert %s)' % (_ALERTS.get(self._alert, 'failure'), self._alert)
                else:  # the system's come as they are in a handshake, negative later
                    why = _TLS_ERRORS.get(-abs(number)) or '%s (mbedTLS -0x%x)' % (ex, abs(number))
                self._failure = _error(XAsyncTCPClientException, 'TLS: ' + why)
                self._failure.__cause__ = ex
            return self._failure

        def say_goodbye(self):
            """MicroPython cannot send close_notify."""
            return True

        def close(self):
            self._tls.close()

    def _der(path, label):
        """The blocks of that label in a PEM file, or the file. Few ports have mbedTLS's own PEM parser."""
        from binascii import a2b_base64
        if not isinstance(path, str):  # open() takes numbers of open files, too
            raise ValueError('a path must be a str, not %r' % (path,))
        with open(path, 'rb') as file:
            content = file.read()
        blocks = []
        for block in content.split(b'-----BEGIN ')[1:]:
            name, _, block = block.partition(b'-----')
            if name.endswith(label):
                blocks.append(a2b_base64(block.partition(b'-----')[0]))
        return blocks or [content]

    def _tls_context(keyfile, certfile, server_side, cert_reqs, ca_certs, _check_hostname):
        import tls
        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER if server_side else tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = cert_reqs  # type: ignore[attr-defined]
        if certfile:
            context.load_cert_chain(_der(certfile, b'CERTIFICATE')[0], _der(keyfile or certfile, b'PRIVATE KEY')[0])
        if ca_certs:
            for certificate in _der(ca_certs, b'CERTIFICATE'):
                context.load_verify_locations(certificate)
        return context
else:
    class _TLS:
        def __init__(self, sock, context, server_side, host_name):
            import ssl
            self.blocked = 0
            self.open = self.truncated = self.more = False
            self._failure = None
            with _state_lock:
                # Python has OpenSSL take a cut off stream for one that ended. A connection copies the options.
                options = context.options
                context.options = options & ~getattr(ssl, 'OP_IGNORE_UNEXPECTED_EOF', 0)
                try:
                    self.socket = context.wrap_socket(
                        sock, server_side=server_side, do_handshake_on_connect=False, suppress_ragged_eofs=False,
                        server_hostname=None if server_side else host_name or None)
                finally:
                    context.options = options

        def receive(self, into):
            n = self._call(self.socket.recv_into, into)
            if n and not self.socket.pending():
                self.blocked = _IN
            return n

        def send(self, data):
            return self._call(self.socket.send, data) if len(data) else 0

        def _call(self, function, argument):
            self.blocked = 0
            try:
                if not self.open:
                    self.socket.do_handshake()
                    self.open = True
                return function(argument)
            except OSError as ex:
                name = type(ex).__name__
                if name == 'SSLWantReadError':
                    self.blocked = _IN
                elif name == 'SSLWantWriteError':
                    self.blocked = _OUT
                elif name == 'SSLEOFError' and self.open and function == self.socket.recv_into:
                    self.truncated = True
                    return 0
                else:
                    raise self._failed(ex)
            return None

        def _failed(self, ex):
            if self._failure is None:
                why = getattr(ex, 'verify_message', None) or getattr(ex, 'reason', None) or str(ex)
                if type(ex).__name__ in ('SSLEOFError', 'ConnectionResetError', 'BrokenPipeError'):
                    why = _GONE
                elif why.isupper():  # OpenSSL's name of the error
                    why = why.lower().replace('_', ' ')
                self._failure = _error(XAsyncTCPClientException, 'TLS: %s' % why)
                self._failure.__cause__ = ex
            return self._failure

        def is_open(self):
            return self.open

        def say_goodbye(self):
            try:
                self.socket.unwrap()
            except Exception as ex:
                return type(ex).__name__ != 'SSLWantWriteError'
            return True

        def close(self):
            """The system socket holds all there is."""

    def _tls_context(keyfile, certfile, server_side, cert_reqs, ca_certs, check_hostname):
        import ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = cert_reqs
        context.check_hostname = check_hostname and cert_reqs == ssl.CERT_REQUIRED
        if certfile:
            context.load_cert_chain(certfile, keyfile)
        if ca_certs:
            context.load_verify_locations(ca_certs)
        return context


# ============================================================================
# 2. Buffers
# ============================================================================

class XFiFoException(Exception):
    """An error of XFiFo."""


class XFiFo:
    """A first-in first-out queue of any length, safe between threads."""

    def __init__(self):
        self._lock = _allocate_lock()
        self._first = self._last = None

    def Put(self, obj):
        """Append `obj`."""
        node = [obj, None]
        with self._lock:
            if self._first is None:
                self._first = node
            else:
                self._last[1] = node
            self._last = node

    def Get(self):
        """Remove and return the oldest object. Raises XFiFoException where there is none."""
        with self._lock:
            node = self._first
            if node is not None:
                self._first = node[1]
                return node[0]
        raise XFiFoException('Get: the queue is empty')

    def Clear(self):
        """Remove all objects."""
        with self._lock:
            self._first = self._last = None

    @property
    def Empty(self):
        """True where nothing is queued."""
        return self._first is None


class XBufferSlot:
    """
    One buffer of `size` bytes that is available or taken. keepAlloc: allocate it now and for good; otherwise
    its memory exists only while it is used.

    Size: its size in bytes.
    """

    Size = 0

    def __init__(self, size, keepAlloc=True):
        _check_size('XBufferSlot', 'size', size, ValueError)
        self.Size = size
        self._keep = keepAlloc
        self._available = True
        self._memory = self._view = None
        self._slots = None
        self._next = None       # in the chain of the free ones of those slots, which takes no memory to put it back,
        self._chained = False   # and whether it is there
        if keepAlloc:
            self._allocate()

    def _allocate(self):
        # The end of a line of `size` bytes has room behind it.
        self._memory = memoryview(bytearray(self.Size + _LINE_END))
        self._view = self._memory[:self.Size]

    def _working_memory(self):
        """memoryview of size + _LINE_END bytes."""
        if self._memory is None:
            self._allocate()
        return self._memory

    def _forget_memory(self):
        if not self._keep:
            self._memory = self._view = None

    @property
    def Available(self):
        """True while nobody holds the slot; set it to False to take it and to True to give it back."""
        return self._available

    @Available.setter
    def Available(self, value):
        if value:
            self._give_back()
        else:
            self._available = False

    def _give_back(self):
        if self._available:
            return
        self._available = True
        self._forget_memory()
        slots = self._slots
        if slots is not None:
            with slots._lock:
                slots._chain(self)

    @property
    def Buffer(self):
        """The buffer, a memoryview of Size bytes. Reading this takes nothing."""
        if self._memory is None:
            self._allocate()
        return self._view


class XBufferSlots:
    """
    `slotsCount` buffers of `slotsSize` bytes, which bound what a server's connections may use. keepAlloc:
    allocate all memory now; otherwise each buffer's exists only while it is used, and an idle connection
    costs none.

    SlotsCount: their number. SlotsSize: the size of each, in bytes.
    """

    SlotsCount = SlotsSize = 0

    def __init__(self, slotsCount, slotsSize, keepAlloc=True):
        _check_size('XBufferSlots', 'slotsCount', slotsCount, ValueError)
        _check_size('XBufferSlots', 'slotsSize', slotsSize, ValueError)
        self.SlotsCount = slotsCount
        self.SlotsSize = slotsSize
        self._keep = keepAlloc
        self._lock = _allocate_lock()
        self._made = []
        self._free = None
        if keepAlloc:
            self._make(slotsCount)

    def _make(self, count):
        """`count` more, as long as there are not all."""
        for _ in range(min(count, self.SlotsCount - len(self._made))):
            slot = XBufferSlot(self.SlotsSize, self._keep)
            slot._slots = self
            self._made.append(slot)
            self._chain(slot)

    def _chain(self, slot):
        if not slot._chained:
            slot._chained = True
            slot._next = self._free
            self._free = slot

    def GetAvailableSlot(self):
        """Take a slot: an XBufferSlot, or None where all are taken."""
        with self._lock:
            while True:
                while self._free is not None:
                    slot = self._free
                    self._free = slot._next
                    slot._chained = False
                    if slot._available:  # the application may have taken it by hand
                        slot._available = False
                        return slot
                if len(self._made) >= self.SlotsCount:
                    return None
                # They stay. Each beside its first connection, they would leave no large piece of a small heap free.
                self._make(_SLOTS_AT_ONCE)

    @property
    def Slots(self):
        """List of all the XBufferSlot objects."""
        with self._lock:
            self._make(self.SlotsCount)
            return list(self._made)


class _Scratch:
    """
    The buffer that a thread reads into, shared by its sockets: data that a handler takes at once never needs
    memory of its own. `cut` is its first `length` bytes, kept so that messages of one length allocate
    nothing.
    """

    def __init__(self, size):
        self.size = size
        self.view = memoryview(bytearray(size))
        self.cut = None
        self.length = -1

    def take(self, n):
        self.cut = self.view[:n]
        self.length = n


# ============================================================================
# 3. The pool
# ============================================================================

class XClosedReason:
    """Why a socket was closed: what OnClosed tells."""

    Error = 0x00
    ClosedByHost = 0x01
    ClosedByPeer = 0x02
    Timeout = 0x03


# What the pending receive of a connection wants: its _wants.
_NOTHING = const(0)
_DIRECT = const(1)      # whatever arrives, straight from the scratch
_SOME = const(2)        # whatever has arrived
_EXACT = const(3)       # _size bytes, which the buffer can hold
_LINE = const(4)
_LARGE = const(5)       # more than the buffer can hold: into memory of its own, _size bytes of which have arrived
_NO_MORE = const(6)     # nothing ever: the application closed it, or it is closed

# What is due to a socket: its _due, 0 for nothing.
_ONE_SENT = const(1)    # nothing but _sent_handler
_EVENTS = const(2)      # _fire_event tells

# What is kept beside the events of interest: its _interest.
_MANAGED = const(0x4000)    # the poll set has it, or will have
_LISTED = const(0x8000)     # it is in the pool's list of changes
_POLLED = const(0x10000)    # the poll set has it, by its key: the system socket on MicroPython, its number on CPython


class XAsyncSocketsPoolException(Exception):
    """An error of XAsyncSocketsPool."""


class XAsyncSocketsPool:
    """
    The managed pool of XAsyncSocket objects, and the event loop.

    OnException: event f(xAsyncSocket, exception), called when a handler raises; None prints the traceback.
    WaitEventsProcessing: True while the loop runs.
    """

    WaitEventsProcessing = False

    def __init__(self):
        self.OnException = None
        self._lock = _allocate_lock()
        self._sockets = {}      # by SocketID; under the lock
        self._calls = []        # the mailbox: (socket, function, args) from other threads; under the lock
        self._owner = None      # the thread that may touch what follows: the loop's; set under the lock
        self._lent = False      # that thread is another one for a moment, because no loop runs
        self._poller = None
        self._waker = None
        self._woken = False
        self._by_key = {}       # sockets in the poll set, by what poll() reports
        self._changed = []      # sockets that wait for a change of the poll set
        self._gone = []         # what is to leave it
        self._timers = []       # heap of (due, number, socket); due is on the pool's clock
        self._timer_number = 0
        self._dead_timers = 0
        self._clock = 0         # ms since the pool was made, counted over the wraps of the ticks
        self._tick = _ticks_ms()
        self._alarm = self._tick    # when to look at the timers
        self._looked = 0        # the sockets have been looked at since, on that clock
        self._due_first = self._due_last = None  # chain of sockets that have events to fire
        self._scratches = {}
        self._reserve = None    # memory to go on with when there is no other
        self._workers = None
        self._threaded = False  # other threads use the sockets, and nothing guards their dicts: see _set_all
        self._stopping = False
        self._in_turn = False
        self.public = self      # whose four hooks our sockets call; see _ForeignPool
        # 29 names fill the dict that MicroPython has for them, and a full one is searched from end to end for every
        # method. With one name more it has room for 37: 3 % of a connection, 5 % of a chain of sends.
        self._room = None

    # --- for applications -----------------------------------------------------------------------------------

    def GetAllAsyncSockets(self):
        """List of the sockets managed now."""
        with self._lock:
            return list(self._sockets.values())

    def GetAsyncSocketByID(self, id):
        """The socket whose SocketID is `id`, or None."""
        with self._lock:
            return self._sockets.get(id) if type(id) is int else None

    def AsyncWaitEvents(self, threadsCount=0):
        """
        Run the event loop. 0: here, until StopWaitEvents. 1: in a new thread; returns once it runs. N > 1:
        that thread plus N-1 workers, which run handlers concurrently, never two events of one socket at once.
        A port that cannot start that many threads (RP2 has one) goes on with those it has. Raises
        XAsyncSocketsPoolException where no thread can be started.
        """
        if type(threadsCount) is not int or threadsCount < 0:
            raise XAsyncSocketsPoolException('AsyncWaitEvents: "threadsCount" must be an int of 0 or more')
        with self._lock:
            if self.WaitEventsProcessing:
                return
            self.WaitEventsProcessing = True
            self._stopping = False
        self._threaded = _UNGUARDED and (threadsCount > 0 or _get_ident() != _MAIN_THREAD)
        if not threadsCount:
            self._run(0, None)
            return
        started = []
        try:
            _start_thread(self._run, (threadsCount - 1, started))
        except Exception as ex:
            self.WaitEventsProcessing = False
            raise _error(XAsyncSocketsPoolException, 'AsyncWaitEvents: no thread could be started', ex)
        while not started:
            _sleep_ms(1)
        if started[0] is not None:
            raise _error(XAsyncSocketsPoolException, 'AsyncWaitEvents: the loop could not start', started[0])

    def StopWaitEvents(self):
        """
        Stop the loop and close every socket with ClosedByHost; data queued for sending is still handed over,
        for LingerSec at most. Safe from any thread and from inside a handler, where it returns at once and
        the loop ends after the handler; elsewhere it returns when all is closed.
        """
        me = _get_ident()
        with self._lock:
            looping = self.WaitEventsProcessing
            polling = not looping and self._owner == me
            if looping or polling:
                self._stopping = True
        if polling:
            if not self._in_turn:
                self._shut_down()
            return
        self._wake()
        if me == self._owner or (self._workers is not None and me in self._workers.idents):
            return
        while looping and self.WaitEventsProcessing:
            _sleep_ms(1)

    def PollEvents(self, timeoutMs=0):
        """
        Run one turn, for programs that own their main loop, and return the number of events handled. Waits
        `timeoutMs` milliseconds at most for a first one; negative: for ever. Raises
        XAsyncSocketsPoolException inside a handler and while AsyncWaitEvents runs.
        """
        if type(timeoutMs) is not int:
            raise XAsyncSocketsPoolException('PollEvents: "timeoutMs" must be an int of milliseconds')
        with self._lock:
            if self.WaitEventsProcessing or self._in_turn:
                raise XAsyncSocketsPoolException('PollEvents: the loop is already running')
            self._stopping = False
        if self._poller is None or self._owner != _get_ident():
            self._open()
            self._claim()
        try:
            count = self._turn(timeoutMs)
        except MemoryError:
            self._reserve = None
            count = 0
        if self._stopping:
            self._shut_down()
        return count

    # --- the extension point: XAsyncSocket and its subclasses rely on these four ----------------------------

    def AddAsyncSocket(self, asyncSocket):
        """Manage a socket, and watch it for failure. False where it is managed already."""
        if not isinstance(asyncSocket, XAsyncSocket):
            _check_socket('AddAsyncSocket', asyncSocket)
        with self._lock:
            if asyncSocket.SocketID is None or asyncSocket.SocketID in self._sockets:
                return False
            asyncSocket._owner = None if self._workers is not None else self._owner
            if self._reserve is None:  # rather no further socket than no reserve
                self._take_reserve()
            self._sockets[asyncSocket.SocketID] = asyncSocket
            if self._threaded:
                _set_all(asyncSocket)
        self._set_interest(asyncSocket, _MANAGED, _MANAGED)
        return True

    def RemoveAsyncSocket(self, asyncSocket):
        """Forget a socket without closing it. False where it is not managed."""
        if not isinstance(asyncSocket, XAsyncSocket):
            _check_socket('RemoveAsyncSocket', asyncSocket)
        with self._lock:
            if self._sockets.pop(asyncSocket.SocketID, None) is None:
                return False
        if _get_ident() == asyncSocket._owner:
            self._forget(asyncSocket)
        else:
            self._do(asyncSocket, self._forget, asyncSocket)
        return True

    def NotifyNextReadyForReading(self, asyncSocket, notify):
        """Call OnReadyForReading whenever the socket is readable, until told `notify` False."""
        _check_socket('NotifyNextReadyForReading', asyncSocket)
        self._set_interest(asyncSocket, _IN, _IN if notify else 0)

    def NotifyNextReadyForWriting(self, asyncSocket, notify):
        """Call OnReadyForWriting once, as soon as the socket is writable."""
        _check_socket('NotifyNextReadyForWriting', asyncSocket)
        self._set_interest(asyncSocket, _OUT, _OUT if notify else 0)

    # --- who may touch what ---------------------------------------------------------------------------------

    def _do(self, asyncSocket, function, *args):
        """Call function(*args) on the loop's thread: now where this is it, else by the mailbox."""
        if _get_ident() == self._owner and not asyncSocket._busy:
            function(*args)
            return
        with self._lock:
            self._calls.append((asyncSocket, function, args))
            idle = self._owner is None
            if idle:
                self._owner = _get_ident()
                self._lent = True
            elif _UNGUARDED and not self._threaded:
                self._threaded = True
                self._calls.append((None, self._set_all_sockets, ()))
        if not idle:
            self._wake()
            return
        # No loop runs: this thread is it for the moment.
        while True:
            self._take_calls()
            with self._lock:
                if not self._calls:
                    self._owner = None
                    self._lent = False
                    return

    def _take_reserve(self):
        """In pieces: after a flood, a small heap may have none that is large."""
        reserve = None
        for _ in range(_RESERVE):
            reserve = reserve, bytearray(64)
        self._reserve = reserve

    def _set_all_sockets(self):
        with self._lock:
            for s in self._sockets.values():
                _set_all(s)

    def _wake(self):
        waker = self._waker
        if waker is not None and not self._woken:
            self._woken = True
            waker.wake()

    def _take_calls(self):
        with self._lock:
            calls = self._calls
            self._calls = []
        for s, function, args in calls:
            try:
                if s is not None and s._busy:
                    with self._lock:
                        s._waiting.append((function, args))
                else:
                    function(*args)
            except Exception as ex:
                self._report(s, ex)

    def _guard(self, s, function, *args):
        try:
            function(*args)
        except Exception as ex:
            self._report(s, ex)

    def _report(self, asyncSocket, exception):
        """
        A handler raised; or there is no memory, and what needed it lets go of what it has. Raises MemoryError where
        there is none to tell it, but then that is done.
        """
        if isinstance(exception, MemoryError):
            self._reserve = None
            if asyncSocket is not None:
                asyncSocket._suffer(exception)
        self._tell(asyncSocket, exception)

    def _tell(self, asyncSocket, exception):
        try:
            if self.OnException is not None:
                self.OnException(asyncSocket, exception)
                return
        except Exception as ex:
            _print_exception(ex)
        _print_exception(exception)

    # --- the loop -------------------------------------------------------------------------------------------

    def _run(self, workers_count, started):
        """The loop, from its start to all sockets closed."""
        try:
            self._open()
            if workers_count:
                workers = _Workers(self, workers_count)
                self._workers = workers if workers.idents else None  # a port with no thread left
            self._claim()
        except Exception as ex:
            self._close_poller()
            if started is None:
                raise
            started.append(ex)
            return
        if started is not None:
            started.append(None)
        try:
            while not self._stopping:
                try:
                    self._turn(-1, once=False)
                except MemoryError:  # for the loop itself: what it was about to do is still to be done
                    self._reserve = None
        finally:
            self._shut_down()

    def _turn(self, wait_ms, once=True):
        """
        Wait for events and handle them, `once` or until the pool stops; returns their number. One long function on
        purpose: its calls are what a message costs MicroPython, whose functions also take a frame of more than 11
        words from the heap at every call (py/objfun.c), as `try` with `as` needs one. This one is called once.
        """
        count = ahead = 0
        start = _ticks_ms()
        left = wait_ms
        self._in_turn = True
        try:
            while True:
                limit_ms = left
                if self._calls:
                    self._take_calls()
                if self._timers:
                    n = _ticks_diff(self._alarm, _ticks_ms())
                    if n <= 0:
                        n = self._fire_timers()
                    if not 0 <= limit_ms <= n:
                        limit_ms = n
                if self._due_first is not None:
                    limit_ms = 0
                if self._changed or self._gone:
                    self._update_poll_set()
                if not 0 <= limit_ms < _MAX_WAIT_MS:
                    limit_ms = _MAX_WAIT_MS
                if self._waker.key is None and limit_ms > _CHIP_WAIT_MS:
                    limit_ms = _CHIP_WAIT_MS
                if self._workers is not None:
                    count += self._hand_over_ready(limit_ms)
                    if once or self._stopping:
                        return count
                    continue
                by_key = self._by_key
                for key, events in self._poller.wait(limit_ms):
                    try:
                        s = by_key[key]
                    except KeyError:  # closed by a handler of this turn, or the waker
                        self._not_a_socket(key)
                        continue
                    count += 1
                    n = None
                    try:
                        if events == _IN and s._wants == _DIRECT:
                            scratch = s._scratch
                            # In two steps, which make a function that is an attribute cheaper on both interpreters.
                            read = s._read
                            n = read(scratch.view)
                            while n:
                                if not _MICROPYTHON:  # never the same view twice: a handler may release() it
                                    scratch.cut = scratch.view[:n]
                                elif n != scratch.length:
                                    scratch.take(n)
                                s._wants = _NOTHING
                                handler = s._handler
                                handler(s, scratch.cut, s._arg)
                                # A full buffer: more may have arrived. Where that holds, reading at once is cheaper
                                # than to ask poll(), where it does not, dearer.
                                if n != scratch.size or s._wants != _DIRECT:
                                    break
                                ahead += 1
                                if ahead <= 0 or not ahead & _AT_ONCE:
                                    break
                                n = None
                                n = read(scratch.view)
                                if not n:
                                    ahead = _PATIENCE
                            else:
                                s._take(n)
                        elif events == _IN and s._straight:
                            read = s._read
                            n = read(s._scratch.view)
                            s._take(n)
                        else:
                            self._dispatch(s, events)
                    except Exception as ex:
                        if n is None and events == _IN and s._straight:
                            ahead = _PATIENCE
                            s._read_failed(ex)
                        else:
                            self._report(s, ex)
                # The events that are due now and a few completions that they cause; then sockets get their turn.
                last = self._due_last
                caused = _AT_ONCE
                while self._due_first is not None:
                    s = self._due_first
                    if last is None:
                        if not caused or s._due != _ONE_SENT:
                            break
                        caused -= 1
                    elif s is last:
                        last = None
                    key = self._due_first = s._due_next
                    if key is None:
                        self._due_last = None
                    else:
                        s._due_next = None
                    count += 1
                    n = s._due
                    s._due = 0
                    try:
                        if n == _ONE_SENT:
                            n = s._sent_arg
                            key = s._sent_handler
                            s._sent_handler = s._sent_arg = None
                            key(s, n)
                        else:
                            s._fire_event()
                    except Exception as ex:
                        self._report(s, ex)
                if self._stopping:
                    return count
                if once:
                    if count or not wait_ms:
                        return count
                    if wait_ms > 0:  # on a chip, poll() has waited for a part of it: see _CHIP_WAIT_MS
                        left = wait_ms - _ticks_diff(_ticks_ms(), start)
                        if left <= 0:
                            return 0
        finally:
            self._in_turn = False

    def _not_a_socket(self, key):
        if key == self._waker.key:
            self._waker.clear()
            self._woken = False  # last: what is asked for in between is seen at the next turn

    def _dispatch(self, s, events):
        """
        Call the hooks for `events`: what has arrived first, so that it is not lost to an error of writing.
        """
        wanted = s._interest
        forget = False
        handled = False
        if events & _IN and wanted & _IN:
            handled = True
            forget = s.OnReadyForReading()
        if events & _OUT and wanted & _OUT and s._end_reason is None:
            handled = True
            self._set_interest(s, _OUT, 0)  # one-shot
            forget = s.OnReadyForWriting() or forget
        if events & _PEER_END and s._paused and s._end_reason is None:
            handled = True
            self._set_interest(s, _PEER_END, 0)
            s._peer_ended_unread()
        if events & _FAULT and not handled and s._end_reason is None:
            forget = s.OnExceptionalCondition() or forget
        if forget:
            self.RemoveAsyncSocket(s)

    def _claim(self):
        """Make this thread the one that may touch the poll set and, without workers, the sockets."""
        while True:
            with self._lock:
                if not self._lent:
                    self._owner = _get_ident()
                    for s in self._sockets.values():
                        s._owner = None if self._workers is not None else self._owner
                        if self._threaded:
                            _set_all(s)
                    return
            _sleep_ms(1)

    def _open(self):
        if self._poller is None:
            if self._waker is None:
                self._waker = _Waker()
            poller = _BusyFirst(self._by_key) if _OPAQUE_ADDRESSES else _Poller()
            if self._waker.key is not None:
                poller.add(self._waker.key, _IN)
            self._poller = poller

    def _close_poller(self):
        with self._lock:
            poller, waker = self._poller, self._waker
            self._poller = self._waker = self._owner = None
            self._woken = False
        for s in self._by_key.values():
            s._interest &= ~(_MANAGED | _POLLED)
        self._by_key.clear()
        if waker is not None:
            waker.close()
        if poller is not None:
            poller.close()
        self.WaitEventsProcessing = False

    def _shut_down(self):
        """Close every socket, hand over what is queued, and give the system's resources back."""
        self._stopping = True
        self._reserve = None
        started = _ticks_ms()
        limit = int(XAsyncTCPClient.LingerSec * 1000)
        try:
            while True:
                self._take_calls()  # what was sent before the stop goes out
                for s in self.GetAllAsyncSockets():
                    self._guard(s, s.Close)
                left = limit - _ticks_diff(_ticks_ms(), started)
                busy = self._workers is not None and (self._workers.serving or self._workers.returned is not None)
                if left <= 0 or not (self._sockets or self._due_first or self._calls or busy):
                    break
                self._turn(min(left, 100))
        finally:
            if self._workers is not None:
                self._workers.stop()
                self._take_returned()
                self._workers = None
            self._take_calls()
            for s in self.GetAllAsyncSockets():
                s._close(XClosedReason.ClosedByHost)
                self.RemoveAsyncSocket(s)
            while self._due_first is not None:
                self._turn(0)
            self._close_poller()

    # --- the poll set ---------------------------------------------------------------------------------------

    def _set_interest(self, s, bit, value):
        """Have the poll set show `value` for `bit` before the next wait. Free where it does already."""
        if _get_ident() != self._owner and s._holder != _get_ident():
            self._do(s, self._set_interest, s, bit, value)
            return
        bit = s._interest & ~bit | value
        if bit != s._interest:
            if not bit & _LISTED and (self._workers is None or not s._busy):
                bit |= _LISTED
                self._changed.append(s)
            s._interest = bit
        if not s._own_timeouts and s._wake is None:
            self._schedule(s)

    def _update_poll_set(self):
        changed = self._changed
        gone = self._gone
        # First those to remove: MicroPython's unix port hands poll() the array with its gaps, which fails with EINVAL
        # where that is longer than the process may have files (extmod/modselect.c; poll(2)).
        while gone:
            self._poller.remove(gone.pop())
        while changed:
            s = changed.pop()
            s._interest &= ~_LISTED
            if not s._interest & _MANAGED or self._workers is not None and s._busy:
                continue
            try:
                if s._interest & _POLLED:
                    self._poller.change(s._socket if _MICROPYTHON else s._key, s._interest & _EVENT_BITS)
                    continue
                key = s._socket
                if not _MICROPYTHON:
                    key = s._key = key.fileno()
                self._poller.add(key, s._interest & _EVENT_BITS)
                s._interest |= _POLLED
                self._by_key[key] = s
            except Exception as ex:
                if _MICROPYTHON and isinstance(ex, MemoryError):
                    self._poller.mend(s._socket)
                    s._suffer(ex)
                s._close(XClosedReason.Error)
                self._report(s, ex)

    def _forget(self, s):
        """
        Take a socket out of the poll set: at once on CPython, where its number may come again at the next
        open.
        """
        if s._wake is not None:
            s._wake = None
            self._dead_timers += 1
        polled = s._interest & _POLLED
        s._interest &= ~(_MANAGED | _POLLED)
        if not polled:
            return
        key = s._socket if _MICROPYTHON else s._key
        self._by_key.pop(key, None)
        if not _MICROPYTHON:
            self._remove_now(key)
            return
        try:
            self._gone.append(key)
        except MemoryError:
            self._remove_now(key)

    def _remove_now(self, key):
        try:
            self._poller.remove(key)
        except (OSError, ValueError, KeyError):  # its owner closed the system socket first
            pass

    def _write_interest_done(self, s):
        """OnReadyForWriting is over; here its interest was for once."""

    def _exchange(self, s, wrapped):
        """`wrapped` takes the place of the system socket of `s`: TLS."""
        self._forget(s)
        s._socket = wrapped
        self._set_interest(s, _MANAGED | _OUT, _MANAGED)

    # --- timers ---------------------------------------------------------------------------------------------

    def _now(self):
        """The pool's clock: milliseconds that wrap with no tick. It starts anew whenever no timer runs."""
        tick = _ticks_ms()
        self._clock += _ticks_diff(tick, self._tick)
        self._tick = tick
        return self._clock

    def _set_clock_back(self):
        """Before the clock leaves the small ints of a 32-bit port, which would cost memory at every turn."""
        base = self._clock
        self._clock = 0
        self._looked -= base
        timers = []
        for due, number, s in self._timers:  # their order stays
            if s._wake == due:
                s._wake = due - base
                timers.append((due - base, number, s))
        self._timers = timers
        self._dead_timers = 0

    @staticmethod
    def _left_ms(s):
        """
        Milliseconds until the timeout of `s`, None where it has none. A subclass may provide its own
        ExpireTimeSec.
        """
        left = s._left_ms()
        if left is not None:
            return left
        if not s._own_timeouts and s.ExpireTimeSec:
            left = int((s.ExpireTimeSec - perf_counter()) * 1000)
            return ((left + 0x20000000) & 0x3fffffff) - 0x20000000 if _MICROPYTHON else left  # perf_counter wraps there
        return s._limit_ms  # none is running, but when one starts again the timer need not be touched

    def _schedule(self, s):
        """
        Look at `s` when its timeout is over. The timer stays where it is when the timeout is put off: that is
        free.
        """
        left = self._left_ms(s)
        if left is None:
            return
        if not self._timers:
            self._clock = 0
            self._looked = -1
            self._tick = _ticks_ms()
        due = self._now() + max(0, left)
        if s._wake is not None:
            if s._wake <= due:
                return
            self._dead_timers += 1
        timers = self._timers
        if self._dead_timers > 16 and self._dead_timers > len(timers) // 2:
            timers[:] = [timer for timer in timers if timer[2]._wake == timer[0]]
            heapq.heapify(timers)
            self._dead_timers = 0
        self._timer_number = (self._timer_number + 1) & 0x0fffffff
        heapq.heappush(timers, (due, self._timer_number, s))
        s._wake = due
        if timers[0][2] is s:
            self._alarm = _ticks_add(self._tick, min(due - self._clock, _MAX_WAIT_MS))

    def _fire_timers(self):
        """
        Fire what is due, and return how long to wait for the next. What was due when the sockets were last looked at:
        while a handler takes its time, data arrives that others wait for, and that comes first.
        """
        if self._now() >= 0x20000000:
            self._set_clock_back()
        timers = self._timers
        while timers and timers[0][0] <= self._looked:
            timer = heapq.heappop(timers)
            s = timer[2]
            if s._wake != timer[0]:
                self._dead_timers -= 1
                continue
            s._wake = None
            if s._busy:  # looked at again when its worker gives it back
                continue
            try:
                left = self._left_ms(s)
                if left is None:
                    continue
                if left > 0:
                    self._schedule(s)
                else:
                    s._expired()
            except Exception as ex:
                self._report(s, ex)
                if isinstance(ex, MemoryError) and s._wake is None:  # it is looked at again, which needs no memory
                    heapq.heappush(timers, timer)
                    s._wake = timer[0]
                    self._alarm = _ticks_add(_ticks_ms(), _ACCEPT_PAUSE_MS)
                    return _ACCEPT_PAUSE_MS
        left = _MAX_WAIT_MS
        if timers:
            self._looked = self._now()
            left = max(0, min(left, timers[0][0] - self._looked))
            if not left:
                self._poller.look_at_all()
        self._alarm = _ticks_add(self._tick, left)
        return left

    # --- events that are due --------------------------------------------------------------------------------

    def _post(self, s, due=_EVENTS):
        """Have s._fire_event() called when no handler runs. By the thread that owns `s`."""
        if s._due:
            s._due = _EVENTS
            return
        if self._workers is None or not s._busy:  # else its worker sees to it
            if self._due_last is None:
                self._due_first = s
            else:
                self._due_last._due_next = s
            self._due_last = s
        s._due = due

    def _next_due(self):
        s = self._due_first
        following = self._due_first = s._due_next
        if following is None:
            self._due_last = None
        else:
            s._due_next = None
        return s

    # --- buffers and workers --------------------------------------------------------------------------------

    def _scratch(self, size):
        with self._lock:
            scratch = self._scratches.get(size)
            if scratch is None:
                scratch = self._scratches[size] = _Scratch(size)
            return scratch

    # A socket goes to a worker and comes back without memory, so that none is lost where there is no more: its
    # _waiting, made once, is [the next one in the queue, events, left the poll set?, what waits for its return...], and
    # is touched under the lock. What is called in between has a frame of 11 words at most (see _turn), too little for
    # some a `with`. In the poll set it is silenced meanwhile; it leaves that only if its peer is gone, which poll()
    # tells in any case: to enter it again takes memory.

    def _hand_over_ready(self, limit_ms):
        """A turn with workers; returns the number of sockets that they were given."""
        workers = self._workers
        if workers.returned is not None:
            if self._take_returned():
                return 0
            if not 0 <= limit_ms < _NO_MEMORY_MS:
                limit_ms = _NO_MEMORY_MS
        ready = workers.ready  # copied, because the poll set changes meanwhile
        end = 0
        try:
            for key, events in self._poller.wait(limit_ms):
                if end == _len(ready):
                    ready.extend((None, 0))
                ready[end] = key
                ready[end + 1] = events
                end += 2
        except MemoryError:  # the others are ready next time, too
            self._reserve = None
        count = 0
        for i in range(0, end, 2):
            key = ready[i]
            ready[i] = None
            s = self._by_key.get(key)
            if s is None:
                self._not_a_socket(key)
            elif s._busy:
                s._waiting[2] = True
                self._by_key.pop(key, None)
                self._remove_now(key)
            else:
                try:
                    if s._waiting is None:
                        s._waiting = [None, 0, False]
                    self._hand_over(s, ready[i + 1])
                    count += 1
                except MemoryError as ex:
                    self._report(s, ex)
        while self._due_first is not None:
            s = self._due_first
            if s._waiting is None:
                s._waiting = [None, 0, False]
            self._next_due()
            if not s._busy:  # otherwise it is still due when it comes back
                count += 1
                self._hand_over(s, 0)
        return count

    def _hand_over(self, s, events):
        """Let a worker serve `s`."""
        s._waiting[1] = events
        s._busy = True
        if s._interest & _POLLED:
            self._poller.change(s._socket if _MICROPYTHON else s._key, 0)
        self._workers.serve(s)

    def _give_back(self, s):
        """From a worker that is done with `s`."""
        s._holder = None
        workers = self._workers
        self._lock.acquire()
        s._waiting[0] = workers.returned
        workers.returned = s
        self._lock.release()
        self._wake()

    def _take_returned(self):
        """False where some found no memory; they are taken back in the next turn."""
        workers = self._workers
        with self._lock:
            s = workers.returned
            workers.returned = None
        while s is not None:
            following = s._waiting[0]
            try:
                self._take_back(s)
            except MemoryError:
                self._reserve = None
                with self._lock:
                    s._waiting[0] = workers.returned
                    workers.returned = s
            s = following
        return workers.returned is None

    def _take_back(self, s):
        """A worker is done with `s`, and may have what others sent in its buffers when the loop reads next."""
        with self._lock:
            s._use_scratches(self._scratches)
        if s._interest & _MANAGED and not s._interest & _LISTED:
            self._changed.append(s)
            s._interest |= _LISTED
        self._schedule(s)
        # Until here it may be tried again.
        s._busy = False
        waiting = s._waiting
        waiting[0] = None
        if waiting[2]:
            waiting[2] = False
            s._interest &= ~_POLLED
        if s._end_reason is not None:
            s._let_go()
        if _len(waiting) > 3:
            s._waiting = None
            for i in range(3, _len(waiting)):
                function, args = waiting[i]
                try:
                    try:
                        function(*args)
                    except Exception as ex:
                        self._report(s, ex)
                except MemoryError:  # to tell it
                    pass
        if s._due:
            s._due = 0
            self._post(s)


class _Workers:
    """Threads that serve sockets, each one socket at a time."""

    def __init__(self, pool, count):
        self.idents = set()
        self._pool = pool
        self._lock = pool._lock
        self._first = self._last = None     # a chain of sockets that wait for a worker
        self._kept = None                   # of those that workers keep
        self.returned = None                # and of those that they are done with
        self.ready = []                     # what poll() has just told, and its events
        self._idle = []
        self._running = 0
        self.serving = 0
        self._stopped = False
        for _ in range(count):
            try:
                _start_thread(self._run, ())
            except Exception:  # a port with fewer threads
                break
            with self._lock:
                self._running += 1
        while len(self.idents) < self._running:
            _sleep_ms(1)

    def serve(self, s):
        lock = self._lock
        lock.acquire()
        if self._first is None:
            self._first = s
        else:
            self._last._waiting[0] = s
        self._last = s
        self.serving += 1
        gate = self._idle.pop() if self._idle else None
        lock.release()
        if gate is not None:
            gate.release()

    def keep(self, s):
        """Where a worker has just made `s`: it serves that too, until the handler that made it is done."""
        me = _get_ident()
        if me in self.idents:
            s._waiting = [None, 0, False]
            s._busy = True
            s._holder = me
            self._lock.acquire()
            s._waiting[0] = self._kept
            self._kept = s
            self._lock.release()

    def _give_back_kept(self, me):
        while True:
            self._lock.acquire()
            before = None
            s = self._kept
            while s is not None and s._holder != me:
                before = s
                s = s._waiting[0]
            if before is not None and s is not None:
                before._waiting[0] = s._waiting[0]
            elif s is not None:
                self._kept = s._waiting[0]
            self._lock.release()
            if s is None:
                return
            self._pool._give_back(s)

    def stop(self):
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, []
        for gate in idle:
            gate.release()
        while self._running:
            _sleep_ms(1)

    def _run(self):
        """A worker's life. One long function, as XAsyncSocketsPool._turn is, whose frame is there from the start."""
        pool = self._pool
        lock = self._lock
        me = _get_ident()
        gate = _allocate_lock()
        gate.acquire()
        scratches = {}
        with lock:
            self.idents.add(me)
        while True:
            events = 0
            try:
                with lock:
                    s = self._first
                    if s is not None:
                        self._first = s._waiting[0]
                        events = s._waiting[1]
                    elif self._stopped:
                        self._running -= 1
                        return
                    else:
                        self._idle.append(gate)
            except MemoryError:
                _sleep_ms(_NO_MEMORY_MS)
                continue
            if s is None:
                gate.acquire()
                continue
            s._holder = me
            try:
                try:
                    s._use_scratches(scratches)
                    if events:
                        pool._dispatch(s, events)
                except Exception as ex:
                    pool._report(s, ex)
                if s._due:
                    s._due = 0
                    try:
                        s._fire_event()
                    except Exception as ex:
                        pool._report(s, ex)
            except MemoryError:  # to tell it
                pass
            if self._kept is not None:
                self._give_back_kept(me)
            pool._give_back(s)
            s = None
            lock.acquire()
            self.serving -= 1
            lock.release()


class _ForeignPool:
    """
    What our sockets ask of their pool beyond the four public hooks, for a pool that somebody else wrote: it
    calls OnReadyForWriting when events are due, and looks at ExpireTimeSec by itself.
    """

    def __init__(self, pool):
        self.public = pool
        self._reserve = None
        self._owner = _get_ident()
        self._lock = _allocate_lock()
        self._scratches = {}

    _scratch = XAsyncSocketsPool._scratch

    def AddAsyncSocket(self, s):
        s._owner = self._owner
        try:
            self.public.AddAsyncSocket(s)
        except Exception as ex:
            raise _error(XAsyncSocketException, 'XAsyncSocket: "asyncSocketsPool" does not take the socket', ex)
        if s._interest & _IN:
            self.public.NotifyNextReadyForReading(s, True)

    def RemoveAsyncSocket(self, s):
        self.public.RemoveAsyncSocket(s)

    def _do(self, asyncSocket, function, *args):
        function(*args)

    def _post(self, s, due=_EVENTS):
        if s._due:
            return
        s._due = due
        if s.SocketID is not None:
            self.public.NotifyNextReadyForWriting(s, True)
        else:  # that pool has forgotten it
            self._fire_events(s)

    def _write_interest_done(self, s):
        """Theirs may last until it is taken back."""
        self._fire_events(s)
        if s.SocketID is not None:
            self.public.NotifyNextReadyForWriting(s, s._due > 0 or s._has_unsent())

    def _fire_events(self, s):
        while s._due:
            s._due = 0
            try:
                s._fire_event()
            except Exception as ex:
                self._report(s, ex)

    def _set_interest(self, s, bit, value):
        if bit == _IN:
            self.public.NotifyNextReadyForReading(s, value > 0)
        elif bit == _OUT:
            self.public.NotifyNextReadyForWriting(s, value > 0)

    def _exchange(self, s, wrapped):
        self.public.RemoveAsyncSocket(s)
        s._socket = wrapped
        self.public.AddAsyncSocket(s)
        self.public.NotifyNextReadyForReading(s, True)

    def _schedule(self, s):
        """Nothing to do: that pool looks at ExpireTimeSec."""

    _guard = XAsyncSocketsPool._guard

    def _report(self, asyncSocket, exception):
        _print_exception(exception)


# ============================================================================
# 4. The sockets
# ============================================================================

def _check_size(where, name, value, kind):
    if type(value) is not int or value < 1:
        raise kind('%s: "%s" must be an int of 1 or more, not %r' % (where, name, value))


def _check_address(where, name, address, kind, lowest_port=0):
    if isinstance(address, (tuple, list)) and len(address) == 2 and isinstance(address[0], str) \
            and type(address[1]) is int and lowest_port <= address[1] <= 65535:
        return
    raise kind('%s: "%s" must be (ip, port) with a str and an int of %d to 65535, not %r'
               % (where, name, lowest_port, address))


def _check_handler(where, name, handler, kind):
    if handler is not None and not callable(handler):
        raise kind('%s: "%s" must be callable or None, not %r' % (where, name, handler))


def _check_socket(where, asyncSocket):
    if not isinstance(asyncSocket, XAsyncSocket):
        raise XAsyncSocketsPoolException('%s: "asyncSocket" must be an XAsyncSocket' % where)


def _check_pool(where, pool, kind):
    for name in ('AddAsyncSocket', 'RemoveAsyncSocket', 'NotifyNextReadyForReading', 'NotifyNextReadyForWriting'):
        if not hasattr(pool, name):
            raise kind('%s: "asyncSocketsPool" must be an XAsyncSocketsPool, not %r' % (where, pool))


def _timeout_ms(where, name, seconds, kind):
    """Milliseconds of a timeout in seconds."""
    if type(seconds) in (int, float) and 0 < seconds <= _MAX_TIMEOUT_MS // 1000:
        return max(1, int(seconds * 1000))
    raise kind('%s: "%s" must be seconds, more than 0 and %d at most, or None; not %r'
               % (where, name, _MAX_TIMEOUT_MS // 1000, seconds))


class XAsyncSocketException(Exception):
    """An error of XAsyncSocket."""


_state_lock = _allocate_lock()  # for the few words that any thread may change: numbers, ends, queue lengths
_last_number = 0


def _next_number():
    global _last_number
    with _state_lock:
        _last_number += 1
        return _last_number


# What is set after a socket is made.
_SET_LATER = ('OnClosed', 'OnConnected', 'OnFailsToConnect', 'OnFailsToSend', 'OnClientAccepted', 'CloseError',
              'State', 'IsSSL', 'DroppedCount', '_key', '_interest', '_due', '_due_next', '_wake',
              '_tick', '_limit_ms', '_deadline_ms', '_deadline_tick', '_end_reason', '_tells_end', '_failed', '_made',
              '_on_recv', '_busy', '_holder', '_waiting', '_owner', '_sending', '_sending_handler', '_sending_arg',
              '_queue', '_queued', '_sent_handler', '_sent_arg', '_sent', '_large', '_window', '_start', '_end',
              '_held', '_searched', '_phase', '_stalled', '_paused', '_peer_done', '_size', '_encoding',
              '_arming', '_send_slot_size', '_recv_slot', '_send_slot', '_tls', '_host_name', '_events', '_scratch')


def _set_all(s):
    """
    Give a socket that threads may share all its attributes: where nothing guards a dict, no thread may add to it
    while another one looks something up. Other sockets are spared the memory.
    """
    for name in _SET_LATER:
        if hasattr(type(s), name):
            setattr(s, name, getattr(s, name))


def _new(kind):
    """An instance for the application, any of whose threads may go on to use it: see _set_all."""
    s = object.__new__(kind)
    if _UNGUARDED:
        _set_all(s)
    return s


if not _MICROPYTHON:
    class _Computed:
        """
        A member that s._compute(name) gives, where it was not set. On CPython instead of __getattr__, which makes every
        other member of the class three times as expensive there.
        """

        def __init__(self, name):
            self._name = name

        def __get__(self, s, kind):
            return self if s is None else s._compute(self._name)


def _set_non_blocking(socket):
    try:
        socket.setblocking(False)
    except Exception as ex:
        raise _error(XAsyncSocketException, 'XAsyncSocket: "socket" is not a usable socket', ex)


class XAsyncSocket:
    """
    Abstract managed socket. Subclasses give OnReadyForReading and OnReadyForWriting, which the pool calls.

    asyncSocketsPool: the pool; socket: the system socket, made non-blocking here; recvBufSlot, sendBufSlot:
    XBufferSlot objects that are given back at the close, or None. Raises XAsyncSocketException.

    SocketID: unique int, None once closed. State: any object of the application's. OnClosed: event
    f(xAsyncSocket, closedReason) or f(closedReason).
    """

    # Attributes and not properties, here and below: one property in a class makes MicroPython search the class at
    # every attribute that is stored (py/objtype.c), at five times the price. Defaults stand in the class to keep
    # sockets small.
    SocketID = None
    State = None
    OnClosed = None

    _pool = None
    _key = None             # what poll() reports, on CPython
    _interest = 0           # _IN, _OUT and _PEER_END, as wanted, and _MANAGED, _LISTED, _POLLED
    _owner = None           # the thread that may use the socket with no more ado
    _due = 0                # in the pool's chain of events
    _due_next = None
    _busy = False           # with a worker, so not the loop's now
    _holder = None          # that worker's thread
    _waiting = None         # its place in queues, and what the loop has to do once it is back
    _wake = None            # when the pool's timer looks at this socket
    _own_timeouts = False   # True: ExpireTimeSec is ours, so the pool need not look for one of a subclass
    _tick = 0               # the timeout: its start, and its length or None
    _limit_ms = None
    _end_reason = None      # XClosedReason once closed
    _tells_end = True       # OnClosed is to be fired
    _recv_slot = None
    _send_slot = None
    _paused = False
    _wants = _NOTHING
    _straight = False       # True: _take(_read(_scratch.view)) is what OnReadyForReading does

    def __init__(self, asyncSocketsPool, socket, recvBufSlot=None, sendBufSlot=None):
        if type(self) is XAsyncSocket:
            raise XAsyncSocketException('XAsyncSocket is abstract: use one of its subclasses')
        if recvBufSlot is not None:
            self._recv_slot = recvBufSlot
        if sendBufSlot is not None:
            self._send_slot = sendBufSlot
        self._set_pool(asyncSocketsPool)
        self._join(socket)

    def _set_pool(self, pool):
        self._pool = pool if isinstance(pool, XAsyncSocketsPool) else _ForeignPool(pool)
        if not (self._recv_slot is None or isinstance(self._recv_slot, XBufferSlot)) \
                or not (self._send_slot is None or isinstance(self._send_slot, XBufferSlot)):
            raise XAsyncSocketException('XAsyncSocket: a buffer slot must be an XBufferSlot or None')

    def _join(self, socket):
        """Be managed by the pool."""
        try:
            socket.setblocking(False)
        except Exception:  # no `as`, for the reason given in XAsyncSocketsPool._turn: a second try tells the error
            _set_non_blocking(socket)
        self._socket = socket
        # Now: the end must not need a larger dict, there may be no memory.
        self._end_reason = self._due_next = self._owner = None
        self._due = 0
        self.SocketID = _next_number()
        self._pool.AddAsyncSocket(self)

    def GetAsyncSocketsPool(self):
        """The pool that manages this socket."""
        return self._pool.public

    def GetSocketObj(self):
        """The system socket."""
        return self._socket

    def Close(self):
        """Close with ClosedByHost. True the first time, False afterwards."""
        return self._close(XClosedReason.ClosedByHost)

    # --- hooks that a pool calls; a hook that returns True asks the pool to forget the socket ---------------

    def OnReadyForReading(self):
        """The system socket is readable."""
        return True

    def OnReadyForWriting(self):
        """The system socket is writable."""
        return True

    def OnExceptionalCondition(self):
        """The system socket failed."""
        self._close(XClosedReason.Error)
        return True

    if _MICROPYTHON:
        def __getattr__(self, name):
            return self._compute(name)
    else:
        ExpireTimeSec = _Computed('ExpireTimeSec')

    def _compute(self, name):
        # Properties in effect: see the note above.
        if name == 'ExpireTimeSec':  # when the pool calls _close(Timeout), in seconds of perf_counter(); None for never
            left = self._left_ms()
            return None if left is None else perf_counter() + left / 1000
        raise AttributeError("'%s' object has no attribute '%s'" % (type(self).__name__, name))

    # --- timeouts -------------------------------------------------------------------------------------------

    def _setExpireTimeout(self, timeoutSec):
        """Close with Timeout in `timeoutSec` seconds; None changes nothing."""
        if timeoutSec is not None:
            self._set_limit(_timeout_ms('XAsyncSocket', 'timeoutSec', timeoutSec, XAsyncSocketException))

    def _removeExpireTimeout(self):
        self._limit_ms = None

    def _set_limit(self, ms):
        self._tick = _ticks_ms()
        self._limit_ms = ms
        self._pool._do(self, self._pool._schedule, self)

    def _left_ms(self):
        """Milliseconds until the timeout of now, None where there is none."""
        if self._limit_ms is None:
            return None
        return self._limit_ms - _ticks_diff(_ticks_ms(), self._tick)

    def _expired(self):
        """The timeout is over."""
        self._close(XClosedReason.Timeout)

    # --- the end --------------------------------------------------------------------------------------------

    def _close(self, closedReason=XClosedReason.Error, triggerOnClosed=True):
        """Close at once; OnClosed fires when no handler runs. True the first time."""
        with _state_lock:
            self._wants = _NO_MORE
            if self._end_reason is not None:
                return False
            self._end_reason = closedReason
        if not triggerOnClosed:
            self._tells_end = False
        if _get_ident() == self._owner:
            self._let_go()
        elif self._holder is None or self._holder != _get_ident():
            self._pool._do(self, self._let_go)
        return True  # what a worker closes is released when it gives the socket back

    def _let_go(self):
        """_release, in the next turn again where it finds no memory: others let go of some meanwhile."""
        try:
            self._release()
        except MemoryError:
            self._pool._reserve = None
            self._pool._post(self)

    def _release(self):
        """Give back the system socket and all that belongs to it. What it has not got, it does not get now."""
        if self.SocketID is None:
            return
        self._pool.RemoveAsyncSocket(self)
        self.SocketID = None
        if self._limit_ms is not None:
            self._limit_ms = None
        self._say_goodbye()
        try:
            self._socket.close()
        except OSError:
            pass
        if self._recv_slot is not None:
            self._recv_slot._give_back()
            self._recv_slot = None
        if self._send_slot is not None:
            self._send_slot._give_back()
            self._send_slot = None
        self._clear()
        self._pool._post(self)

    def _say_goodbye(self):
        """What the peer is told before the system socket closes."""

    def _clear(self):
        """Let go of buffers and of what belongs to the application."""

    def _fire_event(self):
        """Call the handler of the event that is due, having posted what is due after it: here the last one."""
        if self._end_reason is None:
            return
        if self.SocketID is not None:
            if not self._busy:
                self._let_go()
            return
        handler = self.OnClosed
        if handler is not None:
            self.OnClosed = None  # exactly once in a socket's life
            if self._tells_end:
                self._tell_end(handler)

    def _tell_end(self, handler):
        try:
            handler(self, self._end_reason)
        except TypeError as ex:
            if not _raised_by_call(ex):
                raise
            handler(self._end_reason)

    def _has_unsent(self):
        return False

    def _suffer(self, ex):
        """What was to be done for this socket could not be. Raises nothing, and its frame is of 11 words."""
        try:
            self._out_of_memory(ex)
        except MemoryError:  # for what else was to be done: it is closed, or asked again
            pass
        if self._end_reason is not None:
            self._pool._post(self)

    def _out_of_memory(self, ex):
        """Let go of what there is, or wait."""

    def _use_scratches(self, scratches):
        """Read into these buffers from now on: they are a worker's own, or the loop's."""


# ------------------------------------------------------------------------------------------------------------

class XAsyncTCPServerException(Exception):
    """An error of XAsyncTCPServer."""


class XAsyncTCPServer(XAsyncSocket):
    """
    Listening TCP socket.

    SrvAddr: the bound (ip, port). OnClientAccepted: event f(xAsyncTCPServer, xAsyncTCPClient).
    """

    OnClientAccepted = None
    _own_timeouts = True

    @staticmethod
    def Create(asyncSocketsPool, srvAddr, srvBacklog=256, recvBufSlots=None, bufSlots=None):
        """
        Listen on `srvAddr`, (ip, port); port 0 takes a free one. `srvBacklog`: connections that may wait to
        be accepted (MicroPython takes 255 at most: RP2 keeps the number in a byte, extmod/modlwip.c).
        `recvBufSlots` (alias bufSlots): the XBufferSlots that the connections share, one each; by default as
        many as suit the port's memory, allocated only while needed. With no slot free, or no
        OnClientAccepted, a connection is refused. Returns the server. Raises XAsyncTCPServerException.
        """
        fail = XAsyncTCPServerException
        slots = recvBufSlots if recvBufSlots is not None else bufSlots
        _check_pool('Create', asyncSocketsPool, fail)
        _check_address('Create', 'srvAddr', srvAddr, fail)
        _check_size('Create', 'srvBacklog', srvBacklog, fail)
        if slots is None:
            slots = XBufferSlots(_DEFAULT_SLOTS, _SLOT_SIZE_ON_CHIP if _ON_CHIP else _SLOT_SIZE, keepAlloc=False)
        elif not isinstance(slots, XBufferSlots):
            raise fail('Create: "recvBufSlots" must be an XBufferSlots or None, not %r' % (slots,))
        srv_socket = None
        try:
            srv_socket = socket.socket(_resolve(srvAddr)[0], socket.SOCK_STREAM)
            if srvAddr[1]:
                _set_option(srv_socket, socket.SOL_SOCKET, 'SO_REUSEADDR', 4)
            address = _bind(srv_socket, srvAddr, min(srvBacklog, 255) if _MICROPYTHON else srvBacklog)
            server = _new(XAsyncTCPServer)
            server.__init__(asyncSocketsPool, srv_socket, address, slots)
        except Exception as ex:
            if srv_socket is not None:
                srv_socket.close()
            raise _error(fail, 'Create: cannot listen on "srvAddr" %s:%s' % tuple(srvAddr), ex)
        asyncSocketsPool.NotifyNextReadyForReading(server, True)
        return server

    def __init__(self, asyncSocketsPool, srvSocket, srvAddr, bufSlots):
        self.SrvAddr = srvAddr
        self._slots = bufSlots
        super().__init__(asyncSocketsPool, srvSocket)
        self._scratch = self._pool._scratch(bufSlots.SlotsSize)

    def OnReadyForReading(self):
        """Accept what waits; one at a time on a chip, where asking once too often waits (RP2: 1 ms)."""
        for _ in range(1 if _ON_CHIP else 64):
            try:
                if _MICROPYTHON:  # where accept() finds no memory, the connection is lost (ports/unix/modsocket.c)
                    bytearray(_ACCEPT_ROOM)
                cli_socket, address = self._socket.accept()
            except OSError as ex:
                if ex.errno not in _WOULD_BLOCK and ex.errno != errno.ECONNABORTED:
                    self._pause()
                return
            except MemoryError:
                self._pause()
                return
            client = slot = None
            try:
                if self.OnClientAccepted is not None:
                    slot = self._slots.GetAvailableSlot()
                if slot is None:
                    cli_socket.close()
                    continue
                client = object.__new__(XAsyncTCPClient)
                self._manage(client, cli_socket, address, slot)
                self.OnClientAccepted(self, client)
            except Exception as ex:  # its handler, or no memory: this one connection suffers
                self._drop(client, cli_socket, slot)
                client = None
                self._pool._report(self, ex)
            if self._holder is not None and client is not None and client.SocketID is not None:
                self._pool._give_back(client)
            if self._end_reason is not None or self._limit_ms is not None:
                return

    def _manage(self, client, cli_socket, address, slot):
        _no_delay(cli_socket)
        if self._holder is not None:  # the worker holds the connection too, until its first handler is done
            client._busy = True
            client._holder = self._holder
            client._waiting = [None, 0, False]
        client._scratch = self._scratch
        pool = self._pool
        if pool is pool.public:
            client._pool = pool
        client.__init__(pool.public, cli_socket, self.SrvAddr, address, slot)

    @staticmethod
    def _drop(client, cli_socket, slot):
        if client is not None and client.SocketID is not None:
            client._close(XClosedReason.Error)
            if client._busy:
                client._pool._give_back(client)
            return
        cli_socket.close()
        if slot is not None:
            slot._give_back()

    def _pause(self):
        """Out of descriptors, sockets or memory: the listener stays readable, so look away for a moment."""
        self._set_limit(_ACCEPT_PAUSE_MS)  # first: where this finds no memory, it must not look away for ever
        self._pool._set_interest(self, _IN, 0)

    def _expired(self):
        self._pool._set_interest(self, _IN, _IN)
        self._limit_ms = None

    def _out_of_memory(self, ex):
        self._pause()  # those that there are come first

    def _clear(self):
        self.OnClientAccepted = None


# ------------------------------------------------------------------------------------------------------------

class XAsyncTCPClientException(Exception):
    """An error of XAsyncTCPClient."""


_PLAIN_UNREAD = 'bytes are unread that the peer sent in plain'


def _ignore(*_):
    """The handler of a receive that has none."""


_BLOCKED = const(-2)


def _not_now(data):
    """The _write of a connection that cannot write now, or that has older data to write."""
    memoryview(data)  # raises TypeError for what is no data, as a write does
    return _BLOCKED


# What a connection does: its _phase.
_CONNECTING = const(0)
_HANDSHAKING = const(1)
_OPEN = const(2)
_HANDING_OVER = const(3)  # closed by the application, with data still to be sent


class XAsyncTCPClient(XAsyncSocket):
    """
    TCP connection, outgoing or accepted.

    SrvAddr, CliAddr: (ip, port) of its ends; CliAddr is ('0.0.0.0', 0) where MicroPython cannot tell its own.
    IsSSL: True where TLS is in use. SendingBuffer: the connection's own sending buffer, a memoryview.
    CloseError: the exception that ended the connection, or None. OnConnected, OnFailsToConnect: events
    f(xAsyncTCPClient); exactly one fires for a connection that was started.

    Bounds, to be set on the class or on one connection. SendQueueLimit: bytes that may wait to be sent.
    LingerSec: seconds that an end waits, for a peer that takes nothing of what is to be handed over, or for
    an application that leaves unread what a peer sent before it closed. HandshakeSec: seconds that a TLS handshake
    may take.
    """

    SendQueueLimit = _SEND_QUEUE_LIMIT
    LingerSec = 5
    HandshakeSec = 10

    OnConnected = None
    OnFailsToConnect = None
    IsSSL = False
    CloseError = None

    _own_timeouts = True
    _tls = None
    _phase = _OPEN
    _host_name = None
    _failed = False             # OnFailsToConnect is due
    _made = None                # when another thread than the loop's made it
    _deadline_ms = None         # for connecting, the handshake and the end; a receive's timeout is apart from it
    _deadline_tick = 0
    # receiving
    _encoding = 'UTF-8'
    _timeout_sec = None
    _size = 0
    _large = None
    _window = None              # what is unread: _window[_start:_end], in the scratch while handlers are called,
    _start = 0                  # else in _held, the slot's memory, which exists only meanwhile
    _end = 0
    _held = None
    _searched = 0               # where the search for a line's end goes on
    _stalled = False            # unread data, or the peer's end, waits for a receive
    _paused = False             # not reading
    _peer_done = False
    # sending
    _sending = None             # memoryview of what could not be written yet, with its handler; more in _queue
    _sending_handler = None
    _sending_arg = None
    _queue = None
    _queued = 0                 # bytes in all
    _sent_handler = None        # the completion that is due; more in _sent
    _sent_arg = None
    _sent = None
    _send_slot_size = None
    _scratch = None
    _arming = False             # another thread's receive is on its way to the loop

    @staticmethod
    def Create(asyncSocketsPool, srvAddr, connectTimeout=5, recvbufLen=4096, connectAsync=True, recvBufLen=None,
               sendBufLen=4096):
        """
        Connect to `srvAddr`, (ip or host name, port); a name is looked up here, which blocks.
        `connectTimeout`: seconds; None for the system's. `recvbufLen` (alias recvBufLen), `sendBufLen`: sizes
        of the two buffers in bytes, allocated when needed. `connectAsync` False: wait here until connected.
        Returns the client, whose OnConnected or OnFailsToConnect will fire, or None where the connection
        cannot even be started. Raises XAsyncTCPClientException for a wrong argument.
        """
        fail = XAsyncTCPClientException
        size = recvbufLen if recvBufLen is None else recvBufLen
        _check_pool('Create', asyncSocketsPool, fail)
        _check_address('Create', 'srvAddr', srvAddr, fail, 1)
        _check_size('Create', 'recvbufLen', size, fail)
        _check_size('Create', 'sendBufLen', sendBufLen, fail)
        ms = None if connectTimeout is None else _timeout_ms('Create', 'connectTimeout', connectTimeout, fail)
        cli_socket = None
        try:
            family, address = _resolve(srvAddr)
            cli_socket = socket.socket(family, socket.SOCK_STREAM)
            if connectAsync:
                cli_socket.setblocking(False)
            else:
                cli_socket.settimeout(connectTimeout)
            try:
                cli_socket.connect(address)
            except OSError as ex:
                if not connectAsync or ex.errno != errno.EINPROGRESS:
                    raise
            _no_delay(cli_socket)
        except Exception:
            if cli_socket is not None:
                cli_socket.close()
            return None
        try:
            client = _new(XAsyncTCPClient)
            client._send_slot_size = sendBufLen
            client._host_name = srvAddr[0]
            if getattr(asyncSocketsPool, '_owner', None) != _get_ident():
                client._made = _ticks_ms()
                if getattr(asyncSocketsPool, '_workers', None) is not None:
                    asyncSocketsPool._workers.keep(client)
            slot = XBufferSlot(size, keepAlloc=False)
            client.__init__(asyncSocketsPool, cli_socket, _readable(address), None, slot, None)
        except Exception as ex:
            cli_socket.close()
            raise _error(fail, 'Create: cannot manage the connection', ex)
        if ms is not None:
            client._set_deadline(ms)
        asyncSocketsPool.NotifyNextReadyForWriting(client, True)
        return client

    def __init__(self, asyncSocketsPool, cliSocket, srvAddr, cliAddr, recvBufSlot, sendBufSlot=None):
        self._ends = srvAddr, cliAddr
        self._wants = _NOTHING
        self._handler = _ignore
        self._arg = None
        self._timeout_sec = None
        self._phase = _OPEN if cliAddr else _CONNECTING
        self._interest = _IN if cliAddr else 0
        self._straight = True                   # nothing is held, and poll() tells of all that arrives
        self._socket = cliSocket
        self._read = cliSocket.readinto if _MICROPYTHON else cliSocket.recv_into
        self._set_writable(cliAddr is not None)
        self._recv_slot = recvBufSlot
        if sendBufSlot is not None:
            self._send_slot = sendBufSlot
        if self._pool is None:
            self._set_pool(asyncSocketsPool)
        if self._scratch is None:
            self._scratch = self._pool._scratch(recvBufSlot.Size)
        self._join(cliSocket)

    def _is_writable(self):
        """True where a write may be tried at once."""
        return self._phase == _OPEN and self._sending is None

    def _set_writable(self, writable):
        if not writable:
            self._write = _not_now
        elif self._tls is not None:
            self._write = self._tls.send
        else:  # write() is send() that returns None where send() raises to say "not now" (py/stream.c)
            self._write = self._socket.write if _MICROPYTHON else self._socket.send

    def _receive_into(self, buffer):
        """Where CPython's recv_into raises to say "not now", MicroPython's readinto returns None."""
        return self._read(buffer) if self._tls is None else self._tls.receive(buffer)

    if not _MICROPYTHON:
        SendingBuffer = _Computed('SendingBuffer')
        SrvAddr = _Computed('SrvAddr')
        CliAddr = _Computed('CliAddr')

    def _compute(self, name):
        if name == 'SendingBuffer':
            return self._sending_slot().Buffer
        if name == 'SrvAddr':
            return self._ends[0]
        if name == 'CliAddr':
            return _readable(self._ends[1]) if self._ends[1] else ('0.0.0.0', 0)
        return XAsyncSocket._compute(self, name)

    # --- receiving: what the application asks for -----------------------------------------------------------

    def AsyncRecvData(self, size=None, onDataRecv=None, onDataRecvArg=None, timeoutSec=None):
        """
        Receive once: f(xAsyncTCPClient, data, onDataRecvArg), with `data` a memoryview that is valid until
        the handler returns. `size` None: whatever has arrived, at least 1 byte; N: exactly N bytes, which may
        exceed the buffer. `timeoutSec`: seconds after which the connection is closed with Timeout. Returns
        True, or False on a closed connection. Raises XAsyncTCPClientException for a wrong argument, where
        there is no memory for N bytes, and while a receive is pending.
        """
        if self._wants or _get_ident() != self._owner:
            return self._receive_slowly(onDataRecv, onDataRecvArg, timeoutSec, size)
        if onDataRecv is not self._handler:
            self._set_handler(onDataRecv)
        if timeoutSec is not self._timeout_sec:
            self._set_timeout(timeoutSec)
        elif timeoutSec is not None:
            self._tick = _ticks_ms()
        self._arg = onDataRecvArg
        if size is None and self._straight:
            self._wants = _DIRECT
            return True
        self._want(size, None)
        return True

    def AsyncRecvLine(self, *args, **options):
        """
        AsyncRecvLine(onDataRecv=None, onDataRecvArg=None, timeoutSec=None, *, lineEncoding='UTF-8'); aliases
        onLineRecv, onLineRecvArg. Receive one line: f(xAsyncTCPClient, line, onDataRecvArg), with `line` a str
        without its end, LF or CR LF. `lineEncoding`: its encoding; a first positional str is taken for that, as
        older programs pass it. A line longer than the buffer, or not of that encoding, closes the connection with
        Error. For the rest see AsyncRecvData.
        """
        # Arguments in a tuple, for a frame of 11 words at the most: see XAsyncSocketsPool._turn.
        n = _len(args)
        handler = args[0] if n else None
        if options or n > 3 or self._wants or _type(handler) is _str or _get_ident() != self._owner:
            return self._receive_line_slowly(args, options)
        if handler is not self._handler:
            self._set_handler(handler)
        self._arg = args[1] if n > 1 else None
        n = args[2] if n > 2 else None
        if n is not self._timeout_sec:
            self._set_timeout(n)
        elif n is not None:
            self._tick = _ticks_ms()
        # What _want would do, without the call: 2 % of a line.
        self._encoding = 'UTF-8'
        self._wants = _LINE
        self._searched = self._start
        if self._stalled:
            self._pool._post(self)
        return True

    def _receive_line_slowly(self, args, options):
        encoding = 'UTF-8'
        if args and isinstance(args[0], str):
            encoding = args[0]
            args = args[1:]
        names = ('onDataRecv', 'onDataRecvArg', 'timeoutSec')
        if len(args) > len(names):
            raise XAsyncTCPClientException('AsyncRecvLine: too many arguments')
        given = dict(zip(names, args))
        for name, value in options.items():
            name = {'onLineRecv': 'onDataRecv', 'onLineRecvArg': 'onDataRecvArg'}.get(name, name)
            if name == 'lineEncoding':
                encoding = value
            elif name in names:
                given[name] = value
            else:
                raise XAsyncTCPClientException('AsyncRecvLine: there is no argument "%s"' % name)
        if not isinstance(encoding, str):
            raise XAsyncTCPClientException('AsyncRecvLine: "lineEncoding" must be a str, not %r' % (encoding,))
        return self._receive_slowly(given.get('onDataRecv'), given.get('onDataRecvArg'), given.get('timeoutSec'),
                                    None, encoding)

    def _receive_slowly(self, handler, arg, timeout, size, encoding=None):
        """The same from another thread, from a worker, or while no loop runs; and every refusal."""
        fail = XAsyncTCPClientException
        where = 'AsyncRecvData' if encoding is None else 'AsyncRecvLine'
        _check_handler(where, 'onDataRecv', handler, fail)
        if timeout is not None:
            _timeout_ms(where, 'timeoutSec', timeout, fail)
        if size is not None:
            _check_size(where, 'size', size, fail)
        with _state_lock:
            if self._wants == _NO_MORE:
                return False
            if self._wants or self._arming:
                raise fail('%s: a receive is already pending' % where)
            self._arming = True
        if self._holder is not None and self._holder == _get_ident():
            self._receive(handler, arg, timeout, size, encoding)
        else:
            self._pool._do(self, self._receive, handler, arg, timeout, size, encoding)
        return True

    def _receive(self, handler, arg, timeout, size, encoding):
        self._arming = False
        if self._wants == _NO_MORE:
            return
        self._handler = handler if handler is not None else _ignore
        self._arg = arg
        self._set_timeout(timeout)
        self._want(size, encoding)

    def _set_handler(self, handler):
        if not _callable(handler):
            _check_handler('AsyncRecv', 'onDataRecv', handler, XAsyncTCPClientException)
            handler = _ignore
        self._handler = handler

    def _set_timeout(self, seconds):
        """The timeout of this receive. Where the next asks for the same, the pool's timer is left alone."""
        self._limit_ms = None if seconds is None else _timeout_ms('AsyncRecv', 'timeoutSec', seconds,
                                                                  XAsyncTCPClientException)
        self._timeout_sec = seconds
        self._tick = _ticks_ms()
        if self._limit_ms is not None and self._holder is None:  # the loop looks at what a worker gives back
            self._pool._schedule(self)

    def _want(self, size, encoding):
        """
        Make a receive pending: a line of `encoding`, or `size` bytes, or, with None for both, whatever there
        is.
        """
        if encoding is not None:
            self._encoding = encoding
            self._wants = _LINE
            self._searched = self._start
        elif size is None:
            self._wants = _SOME
        else:
            self._want_bytes(size)
        if self._stalled:
            self._pool._post(self)

    def _want_bytes(self, size):
        _check_size('AsyncRecvData', 'size', size, XAsyncTCPClientException)
        if size <= self._recv_slot.Size:
            self._size = size
            self._wants = _EXACT
        else:
            self._want_large(size)

    def _want_large(self, size):
        try:
            self._large = memoryview(bytearray(size))
        except (MemoryError, OverflowError) as ex:
            raise _error(XAsyncTCPClientException, 'AsyncRecvData: no memory for a "size" of %d' % size, ex)
        self._size = 0
        self._wants = _LARGE
        self._straight = False

    # --- receiving: what arrives ----------------------------------------------------------------------------

    def OnReadyForReading(self):
        """Read once and hand out what is wanted."""
        if self._tls is not None:
            self._serve_tls()
            return
        try:
            n = self._receive_into(self._free())
        except Exception as ex:
            self._read_failed(ex)
            return
        self._pool._guard(self, self._take, n)

    def _free(self):
        """Where the next read goes, a memoryview: a slot has room for a line's end behind its size."""
        if self._held is not None:
            size = self._recv_slot.Size
            return self._held[self._end:size if self._wants != _LINE and self._end < size else size + _LINE_END]
        return self._large[self._size:] if self._wants == _LARGE else self._scratch.view

    def _read_failed(self, ex):
        if not _would_block(ex):
            self._fail(ex)

    def _take(self, n):
        """`n` more bytes are in _free(); 0 is the peer's end, None nothing."""
        if not n:
            if n == 0:
                self._peer_closed()
            return
        if self._held is not None:
            self._end += n
        elif self._wants == _LARGE:
            self._fill_large(n)
            return
        else:
            self._window = self._scratch.view
            self._start = self._searched = 0
            self._end = n
        self._hand_out_and_keep()

    def _hand_out_and_keep(self):
        try:
            self._hand_out()
        except Exception:  # a handler raised: what it left goes on afterwards
            self._keep()
            self._pool._post(self)
            raise
        if self._end != self._start or not self._straight:
            self._keep()

    def _hand_out(self):
        """Call handlers with what is unread, as long as more is wanted and there is enough."""
        self._stalled = False
        while self._end > self._start:
            wants = self._wants
            if wants == _LINE:
                if not self._hand_out_lines():
                    return
            elif wants <= _SOME and wants or wants == _EXACT and self._end - self._start >= self._size:
                start = self._start
                self._start = start + self._size if wants == _EXACT else self._end
                self._wants = _NOTHING
                self._handler(self, self._window[start:self._start], self._arg)
            elif wants == _LARGE:
                n = min(self._end - self._start, len(self._large))
                self._large[:n] = self._window[self._start:self._start + n]
                self._start += n
                self._fill_large(n)
            else:
                return

    def _hand_out_lines(self):
        """Hand out lines while lines are wanted. False where the next is not whole yet."""
        # Searched as bytes, because MicroPython can search neither a bytearray nor a memoryview.
        base = self._searched
        chunk = bytes(self._window[base:self._end])
        while True:
            found = chunk.find(b'\n', self._searched - base)
            if found < 0:
                self._searched = self._end
                unread = self._end - self._start - self._recv_slot.Size
                if unread > 1 or unread == 1 and self._window[self._end - 1] != 13:
                    self._fail_line()
                return False
            line = self._line(base + found)
            if line is None:
                return False
            self._wants = _NOTHING
            self._handler(self, line, self._arg)
            if self._wants != _LINE:
                return True

    def _line(self, end):
        """The line that ends at `end` of the window, without a CR; None where it closes the connection."""
        start = self._start
        self._start = self._searched = end + 1
        if end > start and self._window[end - 1] == 13:
            end -= 1
        if end - start > self._recv_slot.Size:
            return self._fail_line()
        return self._text(self._window[start:end])

    def _text(self, line):
        try:
            return _str(line, 'UTF-8') if self._encoding == 'UTF-8' else _decode(line, self._encoding)
        except Exception:  # LookupError or UnicodeError
            pass
        return self._fail_line('it is not %s' % self._encoding)

    def _fail_line(self, why='it is longer than the buffer'):
        self._fail(ValueError('a line cannot be received: ' + why))

    def _fill_large(self, n):
        """`n` more bytes are in `_large`."""
        self._size += n
        large = self._large
        if self._size < len(large):
            return
        self._large = None
        self._wants = _NOTHING
        self._straight = self._held is None and self._tls is None and not self._peer_done
        self._handler(self, large, self._arg)

    def _keep(self):
        """Keep what no handler took, in the slot's memory, and go on reading as long as there is room."""
        if self._end_reason is not None:
            return
        unread = self._end - self._start
        if not unread:
            self._start = self._end = 0
            self._window = None
            self._straight = self._tls is None and not self._peer_done and self._wants != _LARGE
            if self._held is not None:
                self._held = None
                self._recv_slot._forget_memory()
            self._resume()
            return
        if self._held is None or self._start:
            memory = self._take_memory()
            if memory is None:
                return
            memory[:unread] = self._window[self._start:self._end]  # may overlap: both interpreters use memmove
            self._held = self._window = memory
            self._searched -= self._start
            self._start = 0
            self._end = unread
        self._stalled = True
        self._straight = False
        # Only a line may use the room behind the slot's size, for its end.
        room = self._recv_slot.Size + (_LINE_END if self._wants == _LINE else 0)
        if unread < room:
            self._resume()
        elif not self._paused:
            self._paused = True
            self._pool._set_interest(self, _IN, 0)
            self._pool._set_interest(self, _PEER_END, _PEER_END)

    def _take_memory(self):
        try:
            return self._recv_slot._working_memory()
        except MemoryError as ex:
            self._fail(ex)
            return None

    def _resume(self):
        if self._paused and not self._peer_done:
            self._paused = False
            self._deadline_ms = None
            self._pool._set_interest(self, _PEER_END, 0)
            self._pool._set_interest(self, _IN, _IN)
            if self._tls is not None:
                self._go_on_with_tls()

    def _peer_ended_unread(self):
        """The peer closed behind a full buffer: the application has LingerSec to go on reading."""
        if self._deadline_ms is None:
            self._set_deadline(int(self.LingerSec * 1000))

    # --- sending --------------------------------------------------------------------------------------------

    def AsyncSendData(self, data, onDataSent=None, onDataSentArg=None):
        """
        Send `data`, any object of the buffer protocol, after all that was given before; it may be changed as
        soon as this returns. f(xAsyncTCPClient, onDataSentArg) is called once the system has all of it.
        Returns True, or False on a closed connection. Raises XAsyncTCPClientException for a wrong argument,
        and, with nothing of `data` queued, where more than SendQueueLimit bytes would wait; data that finds
        the queue empty is always taken.
        """
        if onDataSent is not None and not _callable(onDataSent):
            _check_handler('AsyncSendData', 'onDataSent', onDataSent, XAsyncTCPClientException)
        if _type(data) is _str:
            raise XAsyncTCPClientException('AsyncSendData: "data" must be bytes or another buffer, not a str')
        if _get_ident() != self._owner:
            return self._send_slowly(data, onDataSent, onDataSentArg)
        if _MICROPYTHON:
            n = self._try_write(data)
        else:  # where `try` costs nothing, the call is 5 % of an echo
            write = self._write
            try:
                n = write(data) or 0
            except Exception:
                n = self._write_again(data)
        if n != _len(data):
            return self._send_rest(data, n, onDataSent, onDataSentArg)
        if onDataSent is not None:
            if self._sent_handler is not None:
                self._add_sent(onDataSent, onDataSentArg)
                return True
            # What _add_sent would do, without the call: 7 % of a chain of 4 KiB each.
            self._sent_handler = onDataSent
            self._sent_arg = onDataSentArg
            self._pool._post(self, _ONE_SENT)
        return True

    def AsyncSendSendingBuffer(self, size=None, onDataSent=None, onDataSentArg=None):
        """Send the first `size` bytes of SendingBuffer, None for all. For the rest see AsyncSendData."""
        if self._wants == _NO_MORE:
            return False
        slot = self._sending_slot()
        if size is None:
            size = slot.Size
        if type(size) is not int or not 0 < size <= slot.Size:
            raise XAsyncTCPClientException('AsyncSendSendingBuffer: "size" must be an int of 1 to %d or None, not %r'
                                           % (slot.Size, size))
        return self.AsyncSendData(slot.Buffer[:size], onDataSent, onDataSentArg)

    def _sending_slot(self):
        if self._send_slot is None:
            size = self._send_slot_size or (self._recv_slot.Size if self._recv_slot is not None else _SLOT_SIZE)
            try:
                self._send_slot = XBufferSlot(size)
            except MemoryError as ex:
                raise _error(XAsyncTCPClientException, 'SendingBuffer: no memory', ex)
        return self._send_slot

    def _send_slowly(self, data, handler, arg):
        """From another thread, from a worker, while no loop runs, or while data waits already."""
        view = self._view_of(data)
        me = _get_ident()
        mine = me == self._holder or me == self._pool._owner and not self._busy
        if self._wants == _NO_MORE and mine:
            return False
        if mine and self._is_writable():
            return self._send_rest(view, self._try_write(view), handler, arg)
        if type(data) is not bytes:
            view = memoryview(bytes(view))
        with _state_lock:
            if self._wants == _NO_MORE:
                return False
            if self._queued and self._queued + len(view) > self.SendQueueLimit:
                raise XAsyncTCPClientException('AsyncSendData: the sending queue is full: %d bytes wait, '
                                               'SendQueueLimit is %d' % (self._queued, self.SendQueueLimit))
            self._queued += len(view)
        if mine:
            self._queue_up(view, handler, arg)
        else:
            self._pool._do(self, self._send_counted, view, handler, arg)
        return True

    def _send_counted(self, view, handler, arg):
        """Send what another thread gave, which is counted in _queued."""
        if not self._is_writable():
            self._queue_up(view, handler, arg)
            return
        with _state_lock:
            self._queued -= len(view)
        self._send_rest(view, self._try_write(view), handler, arg)

    def _try_write(self, data):
        """
        The number of bytes that the system takes now; -1 where the connection is broken, and closed thereby.
        """
        try:
            return self._write(data) or 0
        except Exception:  # no `as`, for the reason given in XAsyncSocketsPool._turn: a second try tells the error
            pass
        return self._write_again(data)

    def _write_again(self, data):
        try:
            return self._write(data) or 0
        except Exception as ex:
            if _would_block(ex):
                return 0
            if isinstance(ex, TypeError):
                raise _error(XAsyncTCPClientException, 'AsyncSendData: "data" must be bytes or another buffer', ex)
            self._fail(ex)
            return -1

    def _send_rest(self, data, n, handler, arg):
        """
        The system took `n` bytes of `data`: keep the others safe from what the caller does with its buffer.
        """
        if n < 0:
            return n == _BLOCKED and self._send_slowly(data, handler, arg)
        view = self._view_of(data)
        if n < len(view):
            view = view[n:]
            if type(data) is not bytes:
                try:
                    view = memoryview(bytes(view))
                except MemoryError as ex:
                    self._fail(ex)
                    return False
            with _state_lock:
                self._queued += len(view)
            self._queue_up(view, handler, arg)
        elif handler is not None:
            self._add_sent(handler, arg)
        return True

    def _queue_up(self, view, handler, arg):
        if self.SocketID is None:
            return
        self._set_writable(False)
        if self._sending is not None:
            if self._queue is None:
                self._queue = XFiFo()
            self._queue.Put((view, handler, arg))
            return
        self._sending = view
        self._sending_handler = handler
        self._sending_arg = arg
        if self._phase != _CONNECTING:
            self._pool._set_interest(self, _OUT, _OUT)

    @staticmethod
    def _view_of(data):
        """memoryview of the bytes of any buffer, whatever its items are."""
        try:
            if not _MICROPYTHON:
                return memoryview(data).cast('B')
            return memoryview(data if type(data) in (bytes, bytearray) else bytes(memoryview(data)))
        except TypeError as ex:
            raise _error(XAsyncTCPClientException, 'AsyncSendData: "data" must be bytes or another buffer', ex)

    def OnReadyForWriting(self):
        """Go on with connecting, with TLS, or with what waits to be sent."""
        if self._phase == _CONNECTING:
            self._connected()
        elif self._tls is not None:
            self._serve_tls()
        if self._sending is not None and self._tls is None and self._phase in (_OPEN, _HANDING_OVER):
            self._send_waiting()
        self._pool._write_interest_done(self)

    def _send_waiting(self):
        progress = False
        self._set_writable(True)
        while self._sending is not None:
            view = self._sending
            n = self._try_write(view)
            if n < 0:
                return
            if n:
                progress = True
                with _state_lock:
                    self._queued -= n
            if n < len(view):
                self._sending = view[n:]
                break
            if self._sending_handler is not None:
                self._add_sent(self._sending_handler, self._sending_arg)
            if self._queue is None or self._queue.Empty:
                self._sending = self._sending_handler = self._sending_arg = None
            else:
                self._sending, self._sending_handler, self._sending_arg = self._queue.Get()
        if self._sending is not None:
            self._set_writable(False)
            if self._has_unsent():
                self._pool._set_interest(self, _OUT, _OUT)
            if progress and self._deadline_ms is not None:
                self._set_deadline(self._deadline_ms)
        elif self._phase == _HANDING_OVER:
            self._set_writable(False)
            self._handed_over()
        elif self._peer_done:
            self._pool._post(self)

    def _has_unsent(self):
        """True where something waits for the system socket to be writable."""
        if self._tls is None:
            return self._sending is not None
        return self._tls.blocked == _OUT or self._sending is not None and not self._tls.blocked

    def _add_sent(self, handler, arg):
        """A send is complete: its handler is due."""
        if self._sent_handler is None:
            self._sent_handler = handler
            self._sent_arg = arg
            self._pool._post(self, _ONE_SENT)
            return
        if self._sent is None:
            self._sent = XFiFo()
        self._sent.Put((handler, arg))
        self._pool._post(self)

    # --- events that are due --------------------------------------------------------------------------------

    def _fire_event(self):
        handler = self._sent_handler
        if handler is not None:
            arg = self._sent_arg
            self._next_sent()
            handler(self, arg)
        elif self._failed:
            if self.OnFailsToConnect is None and self._is_new():
                self._pool._post(self)
                return
            self._failed = False
            self._pool._post(self)
            if self.OnFailsToConnect is not None:
                self.OnFailsToConnect(self)
        elif self._end_reason is not None:
            XAsyncSocket._fire_event(self)
        else:
            if self._stalled and _NOTHING < self._wants < _NO_MORE:
                self._hand_out_and_keep()
            if self._peer_done and self._end_reason is None:
                self._end_with_peer()
            elif self._tls is not None and self._tls.more and self._end_reason is None:
                self._serve_tls()

    def _next_sent(self):
        if self._sent is None:
            self._sent_handler = self._sent_arg = None
        else:
            self._sent_handler, self._sent_arg = self._sent.Get()
            if self._sent.Empty:
                self._sent = None
        if self._sent_handler is not None or self._stalled or self._failed or self._end_reason is not None \
                or self._tls is not None and self._tls.more:
            self._pool._post(self)

    # --- connecting and TLS ---------------------------------------------------------------------------------

    def _connected(self):
        """
        Writable for the first time: connected, or refused. MicroPython has no getsockopt, and ESP32 reports
        no error (ports/esp32/modsocket.c), so a read tells: it fails where the connection did.
        """
        if self.OnConnected is None and self._is_new():
            self._pool._set_interest(self, _OUT, _OUT)
            return
        try:
            n = self._receive_into(self._free())
        except Exception as ex:
            if not _would_block(ex):
                self._fail(ex)
                return
            n = None
        self._deadline_ms = None
        self._phase = _OPEN
        self._set_writable(self._sending is None)
        if not _MICROPYTHON:
            self._ends = self._ends[0], self._socket.getsockname()
        self._pool._set_interest(self, _IN, _IN)
        if self._limit_ms is not None:
            self._pool._schedule(self)
        if self.OnConnected is not None:
            self._pool._guard(self, self.OnConnected, self)
        if self._end_reason is not None or self._wants == _NO_MORE:
            return
        if n and self._tls is not None:
            self._fail(XAsyncTCPClientException('StartSSLContext: ' + _PLAIN_UNREAD))
        else:
            self._take(n)

    def _is_new(self):
        """Made a moment ago by a thread that may be about to set its handlers."""
        return self._made is not None and _ticks_diff(_ticks_ms(), self._made) < _NEW_MS

    @staticmethod
    def CreateSSLContext(keyfile=None, certfile=None, server_side=False, cert_reqs=0, ca_certs=None,
                         check_hostname=True):
        """
        An SSLContext for StartSSLContext, made in the same way on both interpreters: paths of PEM (on MicroPython
        also DER) files, `cert_reqs` 0, 1 or 2 for ssl.CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED. Where it is 2, a
        client checks the host name, too; on CPython `check_hostname` False leaves that out. Raises
        XAsyncTCPClientException where a file cannot be used.
        """
        try:
            return _tls_context(keyfile, certfile, server_side, cert_reqs, ca_certs, check_hostname)
        except Exception as ex:
            raise _error(XAsyncTCPClientException, 'the key or a certificate cannot be used', ex)

    def StartSSL(self, keyfile=None, certfile=None, server_side=False, cert_reqs=0, ca_certs=None):
        """
        Start TLS the old way, with arguments of the former ssl.wrap_socket; StartSSLContext is recommended, because
        this reads the files for each connection anew. Returns True. Raises XAsyncTCPClientException.
        """
        context = self.CreateSSLContext(keyfile, certfile, server_side, cert_reqs, ca_certs,
                                        self._host_name is not None)
        return self.StartSSLContext(context, server_side)

    def StartSSLContext(self, sslContext, serverSide=False):
        """
        Start TLS with an ssl.SSLContext, on a connection at its start or in the middle of it (STARTTLS). The
        handshake never blocks the pool; sends and receives may be started at once and wait for it. Where it
        fails, the connection closes with Error and CloseError tells why. Returns True. Raises
        XAsyncTCPClientException for a wrong argument, on a connection that is not open, and where plain data
        is unread (it could have been injected) or unsent.
        """
        fail = XAsyncTCPClientException
        if not hasattr(sslContext, 'wrap_socket'):
            raise fail('StartSSLContext: "sslContext" must be an ssl.SSLContext, not %r' % (sslContext,))
        if self.IsSSL:
            raise fail('StartSSLContext: TLS has already started')
        if self._phase != _OPEN or self._wants == _NO_MORE:
            raise fail('StartSSLContext: the connection is not open')
        left = self._plain_left()
        if left is not None:
            raise fail('StartSSLContext: ' + left)
        if self._holder is not None and self._holder == _get_ident():
            self._start_tls(sslContext, serverSide)
        else:
            self._pool._do(self, self._start_tls, sslContext, serverSide)
        return True

    def _plain_left(self):
        """What plain data stands in the way of TLS, None where none does."""
        if self._end > self._start or self._wants == _LARGE and self._size:
            return _PLAIN_UNREAD
        if self._sending is not None or self._queued:
            return 'plain data is unsent; start TLS from its onDataSent'
        return None

    def _start_tls(self, context, server_side):
        if self._phase != _OPEN or self.SocketID is None:
            return
        left = self._plain_left()
        if left is not None:  # another thread asked, and it came meanwhile
            self._fail(XAsyncTCPClientException('StartSSLContext: ' + left))
            return
        try:
            tls = _TLS(self._socket, context, server_side, self._host_name)
        except Exception as ex:
            self._fail(_error(XAsyncTCPClientException, 'StartSSLContext: TLS cannot start', ex))
            return
        if tls.socket is not self._socket:
            self._pool._exchange(self, tls.socket)
        self._tls = tls
        self.IsSSL = True
        self._straight = False
        if self._wants == _DIRECT:
            self._wants = _SOME
        self._phase = _HANDSHAKING
        self._set_writable(False)
        self._set_deadline(int(self.HandshakeSec * 1000))
        self._serve_tls()

    def _serve_tls(self):
        """
        Read once, then send what waits, whichever of both the system socket is ready for: TLS may have to write
        before it can read, and the other way round.
        """
        tls = self._tls
        tls.more = False
        if self._phase == _HANDSHAKING or self._phase == _OPEN and not self._paused:
            try:
                n = tls.receive(self._free())
            except Exception as ex:
                self._fail(ex)
                return
            if n and not tls.blocked:
                self._go_on_with_tls()
            if self._phase == _HANDSHAKING and tls.open:
                self._secured()
            self._pool._guard(self, self._take, n)
        if self._sending is not None:
            self._send_waiting()
            if self._phase == _HANDSHAKING and tls.open:
                self._secured()
        elif self._phase == _HANDING_OVER:
            self._handed_over()
        if self.SocketID is not None and self._has_unsent():
            self._pool._set_interest(self, _OUT, _OUT)

    def _go_on_with_tls(self):
        """TLS holds data which poll() does not see: read on, when the other sockets have had their turn."""
        self._tls.more = True
        self._pool._post(self)

    def _secured(self):
        """The handshake is over."""
        self._deadline_ms = None
        self._phase = _OPEN
        if self._limit_ms is not None:
            self._pool._do(self, self._pool._schedule, self)
        if self._sending is None:
            self._set_writable(True)
        if self._wants == _NO_MORE:  # closed by the application meanwhile
            self._start_close()

    # --- timeouts -------------------------------------------------------------------------------------------

    def _set_deadline(self, ms):
        self._deadline_ms = ms
        self._deadline_tick = _ticks_ms()
        self._pool._do(self, self._pool._schedule, self)

    def _left_ms(self):
        limit = self._limit_ms if self._wants < _NO_MORE else None
        if limit is not None and self._wants:
            limit -= _ticks_diff(_ticks_ms(), self._tick)
        if self._deadline_ms is None:
            return limit if self._wants else None
        left = self._deadline_ms - _ticks_diff(_ticks_ms(), self._deadline_tick)
        return min(left, limit) if limit is not None and self._phase == _HANDSHAKING else left

    def _expired(self):
        if self._phase == _HANDSHAKING:
            if _ticks_diff(_ticks_ms(), self._deadline_tick) >= self._deadline_ms and self._tls.is_open():
                self._secured()
                return
            self.CloseError = XAsyncTCPClientException('TLS: the handshake took too long')
        if self._phase == _HANDING_OVER:
            self._close(XClosedReason.ClosedByHost)
        elif self._phase == _OPEN and self._deadline_ms is not None:
            self._close(XClosedReason.ClosedByPeer if self.CloseError is None else XClosedReason.Error)
        else:
            self._close(XClosedReason.Timeout)

    # --- the end --------------------------------------------------------------------------------------------

    def Close(self):
        """
        Stop reading at once, hand over what is queued for sending (a peer that takes nothing of it is waited
        for LingerSec), then close with ClosedByHost. True the first time, False afterwards.
        """
        with _state_lock:
            if self._wants == _NO_MORE:
                return False
            self._wants = _NO_MORE
        if self._holder is not None and self._holder == _get_ident():
            self._start_close()
        else:
            self._pool._do(self, self._start_close)
        return True

    def _start_close(self):
        if self._end_reason is not None:
            return
        if self._phase == _CONNECTING or not self._queued and (self._phase != _OPEN or self._goodbye_said()):
            self._close(XClosedReason.ClosedByHost)
        elif self._phase == _OPEN:
            self._hand_over()

    def _hand_over(self):
        self._phase = _HANDING_OVER
        self._set_writable(False)
        self._pool._set_interest(self, _IN, 0)
        self._set_deadline(int(self.LingerSec * 1000))

    def _handed_over(self):
        if not self._queued and self._goodbye_said():  # queued: another thread's is on its way
            self._close(XClosedReason.ClosedByHost)

    def _goodbye_said(self):
        """False where close_notify waits for the system socket to be writable."""
        if self._tls is None or self._tls.say_goodbye():
            return True
        self._pool._set_interest(self, _OUT, _OUT)
        return False

    def _fail(self, ex):
        """Close because of an error; a connection that never was only fails to connect."""
        if self._close(XClosedReason.Error, triggerOnClosed=self._phase != _CONNECTING):
            self.CloseError = ex

    def _out_of_memory(self, ex):
        self._fail(ex)
        self._pool._do(self, self._let_go)  # where it was closed before, and that had no memory
        if self.SocketID is None:
            self._pool._post(self)

    def OnExceptionalCondition(self):
        """Reset by the peer, or refused: a read tells the error."""
        try:
            self._receive_into(self._scratch.view)
            error = None
        except Exception as ex:
            error = ex
        self._fail(error)

    def _peer_closed(self):
        """The peer sends no more; it may still take what is queued."""
        if self._tls is not None and self._tls.truncated:
            self.CloseError = XAsyncTCPClientException(_CUT_OFF)
        if self._end_with_peer():
            return
        self._peer_done = self._paused = self._stalled = True
        self._straight = False
        self._pool._set_interest(self, _IN, 0)

    def _end_with_peer(self):
        """Close, unless something is to be sent or to be read still. True where that is done."""
        enough = 0 < self._wants < _NO_MORE or self._end == self._start  # what is unread will never do
        if self._sending is None and enough:
            self._close(XClosedReason.ClosedByPeer if self.CloseError is None else XClosedReason.Error)
            return True
        if self._deadline_ms is None:
            self._set_deadline(int(self.LingerSec * 1000))
        return False

    def _say_goodbye(self):
        """
        A close with data unread would be a reset (RFC 9293, 3.6.1), which can take our last words from the
        peer.
        """
        if self._phase <= _HANDSHAKING:
            return
        try:
            if self._end_reason == XClosedReason.ClosedByHost:
                for _ in range(16):
                    if not self._receive_into(self._scratch.view):
                        break
        except Exception:
            pass
        if self._tls is not None and self._end_reason != XClosedReason.Error:
            self._tls.say_goodbye()

    def _clear(self):
        if self._phase == _CONNECTING:
            self._failed = True
        if self._tls is not None:
            self._tls.close()
            self._tls = None  # a timer may hold this object for a while
        self._write = _not_now
        self._handler = _ignore
        self._arg = None
        if self._stalled:
            self._stalled = False
        if self._sending is not None:
            self._sending = self._queue = self._sending_handler = self._sending_arg = None
        # Each only where it was set: an attribute more could need memory, when there is none.
        if self._window is not None:
            self._window = None
            if self._held is not None:
                self._held = None
            if self._end:
                self._end = self._start = 0
        if self._large is not None:
            self._large = None
        if self._deadline_ms is not None:
            self._deadline_ms = None

    def _use_scratches(self, scratches):
        if self._recv_slot is None:
            return
        size = self._recv_slot.Size
        if size not in scratches:
            scratches[size] = _Scratch(size)
        self._scratch = scratches[size]


# ------------------------------------------------------------------------------------------------------------

class XAsyncUDPDatagramException(Exception):
    """An error of XAsyncUDPDatagram."""


class XAsyncUDPDatagram(XAsyncSocket):
    """
    UDP sender and, with a local address, receiver.

    LocalAddr: the bound (ip, port), ('0.0.0.0', 0) without. OnRecv (alias OnDataRecv): event
    f(xAsyncUDPDatagram, remoteAddr, datagram), with `datagram` a memoryview that is valid until the handler
    returns. OnFailsToSend: event f(xAsyncUDPDatagram, datagram, remoteAddr). DroppedCount: datagrams that
    were larger than the buffer and not delivered. SendQueueLimit: datagrams that may wait to be sent; a
    further one fails.
    """

    SendQueueLimit = 16 if _ON_CHIP else 1024
    OnFailsToSend = None
    DroppedCount = 0

    LocalAddr = ('0.0.0.0', 0)

    _own_timeouts = True
    _on_recv = None
    _size = _SLOT_SIZE
    _queue = None           # XFiFo of the arguments of _send
    _queued = 0
    _events = None          # XFiFo of (handler, args) that are due

    @staticmethod
    def Create(asyncSocketsPool, localAddr=None, recvbufLen=4096, broadcast=False, recvBufLen=None):
        """
        `localAddr`: (ip, port) to receive at, port 0 takes a free one; None to send only. `recvbufLen` (alias
        recvBufLen): largest datagram to receive, in bytes. `broadcast`: allow sending to broadcast addresses,
        and share the port with other listeners. Returns the socket. Raises XAsyncUDPDatagramException.
        """
        fail = XAsyncUDPDatagramException
        size = recvbufLen if recvBufLen is None else recvBufLen
        _check_pool('Create', asyncSocketsPool, fail)
        _check_size('Create', 'recvbufLen', size, fail)
        if localAddr is not None:
            _check_address('Create', 'localAddr', localAddr, fail)
        udp_socket = None
        try:
            family = socket.AF_INET if localAddr is None else _resolve(localAddr)[0]
            udp_socket = socket.socket(family, socket.SOCK_DGRAM)
            if broadcast:
                _set_option(udp_socket, socket.SOL_SOCKET, 'SO_BROADCAST', 0x20)
                if localAddr is not None and localAddr[1]:
                    _set_option(udp_socket, socket.SOL_SOCKET, 'SO_REUSEADDR', 4)
            address = ('0.0.0.0', 0) if localAddr is None else _bind(udp_socket, localAddr)
            datagram = _new(XAsyncUDPDatagram)
            datagram.LocalAddr = address
            datagram._size = size
            datagram.__init__(asyncSocketsPool, udp_socket, None)
        except Exception as ex:
            if udp_socket is not None:
                udp_socket.close()
            where = '' if localAddr is None else ' on "localAddr" %s:%s' % tuple(localAddr)
            raise _error(fail, 'Create: cannot open the socket' + where, ex)
        if localAddr is not None:
            asyncSocketsPool.NotifyNextReadyForReading(datagram, True)
        return datagram

    def __init__(self, asyncSocketsPool, udpSocket, recvBufSlot):
        self._readable = {}     # (ip, port) by system address
        self._system = {}       # and the other way round
        self._from = self._from_system = None   # both of the peer that spoke last,
        self._to = self._to_system = None       # and of the one that was last sent to
        self._ahead = self._queued = 0
        self._names = {}        # host name: (system address, tick), for a minute
        # One byte more than is delivered, to know a datagram that is larger.
        if _MICROPYTHON:
            self._receive_from = udpSocket.recvfrom
            self._into = self._size + 1
        else:
            self._receive_from = udpSocket.recvfrom_into
            self._into = memoryview(bytearray(self._size + 1))
        self._send_to = udpSocket.sendto
        super().__init__(asyncSocketsPool, udpSocket, recvBufSlot, None)

    @property
    def OnRecv(self):
        """Event f(xAsyncUDPDatagram, remoteAddr, datagram)."""
        return self._on_recv

    @OnRecv.setter
    def OnRecv(self, handler):
        self._on_recv = handler

    OnDataRecv = OnRecv

    def OnReadyForReading(self):
        """
        Receive a datagram, and some more at once where there used to be more: cheaper than to ask poll(), while one
        try too many is dear (MicroPython: an exception).
        """
        ahead = self._ahead
        while True:
            try:  # recvfrom on MicroPython: bytes, address; recvfrom_into on CPython: length, address
                data, address = self._receive_from(self._into)
            except Exception as ex:
                ahead = _PATIENCE
                if not isinstance(ex, OSError):  # else nothing is there, or an earlier datagram came to nothing (ICMP)
                    self._read_failed(ex)
                break
            try:  # here and not in a method, whose call is 4 % of a datagram
                if address != self._from_system:
                    self._from = self._readable.get(address) or self._remember(address)
                    self._from_system = address
                data = memoryview(data) if _MICROPYTHON else self._into[:data]  # type: ignore[index]
                if _len(data) > self._size:
                    self.DroppedCount += 1
                else:
                    if not _len(data):
                        _revive(self._socket, self.LocalAddr)
                    if self._on_recv is not None:
                        self._on_recv(self, self._from, data)
            except Exception as ex:
                self._pool._report(self, ex)
            ahead += 1
            if ahead <= 0 or not ahead & _AT_ONCE or self._end_reason is not None:
                break
        self._ahead = ahead

    def _read_failed(self, ex):
        if isinstance(ex, MemoryError):  # for the datagram, which would be there again at once
            self.DroppedCount += 1
            self._socket.recvfrom(1)
        self._pool._report(self, ex)

    def _remember(self, system_address):
        """Decode an address once, not for every datagram that comes from it."""
        self._make_room()
        address = _readable(system_address)
        self._readable[system_address] = address
        self._system[address] = system_address
        return address

    def AsyncSendDatagram(self, datagram, remoteAddr, onDataSent=None, onDataSentArg=None):
        """
        Send `datagram`, any object of the buffer protocol, to `remoteAddr`, (ip or host name, port). A name
        is looked up here, which blocks, and remembered for a minute. f(xAsyncUDPDatagram, onDataSentArg) is
        called once the system has it; where it does not take it, OnFailsToSend. Returns True, or False on a
        closed socket. Raises XAsyncUDPDatagramException for a wrong argument.
        """
        if _type(datagram) is _str:
            raise XAsyncUDPDatagramException('AsyncSendDatagram: "datagram" must be bytes or another buffer, not a str')
        if onDataSent is not None:
            _check_handler('AsyncSendDatagram', 'onDataSent', onDataSent, XAsyncUDPDatagramException)
        if _get_ident() == self._owner and not self._queued:
            if remoteAddr is not self._to:
                self._look_up_known(remoteAddr)
            if self._try_send(datagram):
                if onDataSent is not None:
                    self._add_event(onDataSent, (onDataSentArg,))
                return True
        return self._send_slowly(datagram, remoteAddr, onDataSent, onDataSentArg)

    def _look_up_known(self, remote_address):
        self._to = self._to_system = None
        try:
            self._to_system = self._system[remote_address]
            self._to = remote_address
        except Exception:  # the slow way tells what is wrong with it, if anything
            pass

    def _try_send(self, datagram):
        """True where a send to _to succeeds at once; the slow way tells why it does not."""
        if _ESP32 and not _len(datagram):  # see _was_sent
            return False
        try:
            self._send_to(datagram, self._to_system)
        except Exception:  # no `as`, for the reason given in XAsyncSocketsPool._turn
            return False
        return True

    def _send_slowly(self, datagram, remote_address, handler, arg):
        if self._end_reason is not None:
            return False
        fail = XAsyncUDPDatagramException
        _check_address('AsyncSendDatagram', 'remoteAddr', remote_address, fail, 1)
        remote_address = tuple(remote_address)
        try:
            datagram = bytes(memoryview(datagram))
        except TypeError as ex:
            raise _error(fail, 'AsyncSendDatagram: "datagram" must be bytes or another buffer', ex)
        me = _get_ident()
        if me == self._holder or me == self._pool._owner and not self._busy:
            self._send(datagram, remote_address, None, handler, arg)
            return True
        try:
            system_address = _resolve(remote_address)[1]  # here, so that the loop need not wait for it
        except OSError:
            system_address = False
        self._pool._do(self, self._send, datagram, remote_address, system_address, handler, arg)
        return True

    def _send(self, datagram, remote_address, system_address, handler, arg):
        try:
            if system_address is None:
                system_address = self._look_up(remote_address)
            if system_address and not self._queued:
                try:
                    self._send_to(datagram, system_address)
                except OSError as ex:
                    if not _was_sent(ex, datagram):
                        raise
                if handler is not None:
                    self._add_event(handler, (arg,))
                return
        except OSError as ex:
            # ENOMEM is also what RP2 says of a datagram that its memory can never hold.
            if ex.errno not in _DATAGRAM_QUEUE_FULL or ex.errno == errno.ENOMEM and len(datagram) > _FRAME:
                system_address = None
        if not system_address or self._queued >= self.SendQueueLimit:
            self._fails(datagram, remote_address)
            return
        if self._queue is None:
            self._queue = XFiFo()
        self._queue.Put((datagram, remote_address, system_address, handler, arg))
        self._queued += 1
        self._pool._set_interest(self, _OUT, _OUT)

    def _look_up(self, address):
        """
        The system's form of an address: remembered for good where it is an ip, for a minute where it is a
        name.
        """
        known, until = self._names.get(address, (None, 0))
        if known is not None and _ticks_diff(until, _ticks_ms()) > 0:
            return known
        known = _resolve(address)[1]
        if _readable(known)[0] == address[0]:
            self._make_room()
            self._system[address] = known
            return known
        if len(self._names) >= _KNOWN_ADDRESSES:
            self._names.clear()
        self._names[address] = (known, _ticks_add(_ticks_ms(), _NAME_LIFE_MS))
        return known

    def _make_room(self):
        """The addresses that are known are bounded: a flood of spoofed ones must not grow memory."""
        if len(self._system) >= _KNOWN_ADDRESSES:
            self._readable.clear()
            self._system.clear()
            self._to = self._to_system = None

    def OnReadyForWriting(self):
        """Send what waits."""
        queue, self._queue, self._queued = self._queue, None, 0
        while queue is not None and not queue.Empty:  # one that is refused queues itself and all behind it again
            self._send(*queue.Get())
        self._pool._write_interest_done(self)

    def OnExceptionalCondition(self):
        """An ICMP error about an earlier datagram: reading clears it."""
        self.OnReadyForReading()

    def _has_unsent(self):
        return self._queued > 0

    def _fails(self, datagram, remote_address):
        if self.OnFailsToSend is not None:
            self._add_event(self.OnFailsToSend, (datagram, remote_address))

    def _add_event(self, handler, args):
        if self._events is None:
            self._events = XFiFo()
        self._events.Put((handler, args))
        self._pool._post(self)

    def _fire_event(self):
        events = self._events
        if events is None:
            XAsyncSocket._fire_event(self)
            return
        handler, args = events.Get()
        if events.Empty:
            self._events = None
        self._pool._post(self)
        handler(self, *args)

    def _clear(self):
        self._on_recv = self._queue = self._to = self._to_system = None
        self._queued = 0
        self._system = {}
