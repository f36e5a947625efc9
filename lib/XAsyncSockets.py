"""
XAsyncSockets: managed asynchronous TCP and UDP sockets in one file, for MicroPython 1.25+ and CPython 3.9+ on systems
that have poll().

    pool   = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, ('0.0.0.0', 7777))

    def on_line(client, line, arg):
        client.AsyncSendData(line.encode() + b'\\n')
        client.AsyncRecvLine(on_line)

    server.OnClientAccepted = lambda server, client: client.AsyncRecvLine(on_line)
    pool.AsyncWaitEvents()

Design. One thread, the pool's owner, reads, writes, changes and closes the sockets. There are four concepts:

    message    Another thread that wants something leaves a call in the pool's mailbox and wakes the loop (_do).
    interest   The bits that the poll set asks the system for, per socket (_set_interest).
    event      A socket that has something to tell stands in the pool's chain of due sockets (_post). The loop calls its
               _fire() when no handler runs, so handlers never nest. What there is to tell follows from the state of the
               socket, so that telling it takes no memory.
    timer      An XTimer in the pool's one list: timeouts of receives, connects, handshakes and ends, and CallLater.

A turn of the loop takes the messages, waits for the poll set, handles what is ready, then the due sockets, then the
timers. With workers, the handlers of sockets run in worker threads; a socket is busy meanwhile, and nothing else
happens to it. If no loop runs, a thread that calls the pool is its owner for the length of the call.

A TCP connection. Its phase is _CONNECTING, _HANDSHAKING, _OPEN or _FLUSHING; the one _deadline belongs to the phase. It
ends in four steps: _closing (nothing may be asked any more), _reason (closed), SocketID None (all is given back) and
_END_TOLD (OnClosed was called). What arrives is read into a scratch that connections share. Only what no handler took
moves to the connection's slot (_memory), or to a buffer for one receive that exceeds the slot (_own_memory). The short
way: a handler that asks for the same receive with the same timeout again skips all checks. It is open while _again
holds that timeout, None for none. It is closed while _again is `...`: with TLS, workers, a foreign pool or unread data.

Memory: if an operation finds none, only its connection ends. A small reserve is freed for that, and no socket is added
until it is allocated again. In the loop's thread, closing allocates call frames at most, and is repeated if it fails.

The file: 1 Portability, 2 Buffers, 3 Timers and the pool, 4 The sockets, 5 TLS.

MIT licence. Documentation: docs/library.md
"""

import errno
import select
import socket
import sys
import time

__version__ = '0.1.0'

# === 1. Portability: what differs between interpreters and ports ======================================================

try:
    from micropython import const
except ImportError:
    def const(value):
        return value

# MicroPython's compiler leaves out what only CPython needs: const() takes a literal, which CPython corrects here.
_MICROPYTHON = const(1)
if sys.implementation.name != 'micropython':
    globals()['_MICROPYTHON'] = 0

_ON_CHIP = _MICROPYTHON and sys.platform not in ('linux', 'darwin', 'win32')
_ESP32 = sys.platform == 'esp32'
_EPOLL = not _MICROPYTHON and hasattr(select, 'epoll')

# poll() and epoll share these values on every system, and MicroPython's (py/stream.h) are the same.
_IN = const(1)
_OUT = const(4)
_FAULT = const(56)          # ERR 8 | HUP 16 | NVAL 32
# What reports the peer's end while we do not read: RDHUP on Linux (poll(2)), HUP on ESP32 (ports/esp32/modsocket.c).
_PEER_END = 16 if _ESP32 else 0x2000 if sys.platform == 'linux' else 0

# MicroPython finds a builtin only after it has searched the module. The hot path uses these names of the module.
_callable, _isinstance, _len, _str, _type = callable, isinstance, len, str, type
_BYTES = (memoryview, bytes, bytearray)

_NO_DELAY = (6, getattr(socket, 'TCP_NODELAY', 1))     # level and option: the unix port has no names for them
_WOULD_BLOCK = (errno.EAGAIN, getattr(errno, 'EWOULDBLOCK', errno.EAGAIN))
_QUEUE_FULL = _WOULD_BLOCK + (errno.ENOMEM, errno.ENOBUFS)  # of a UDP socket: RP2 says ENOMEM

_ABSENT = (OSError, ValueError, KeyError)     # what the poll sets raise for a socket that they do not have

_LINE_END = const(2)                # bytes of the longest end of a line, b'\r\n'
_FRAME = const(1500)                # bytes of a frame of Ethernet
_MAX_SEC = const(518400)            # 6 days: less than half the period of a 32-bit port's ticks
# Nothing wakes MicroPython's poll(), so another thread's call may wait this long. CPython has a _Waker.
_MAX_WAIT_MS = 20 if _MICROPYTHON else 200000000    # 2 days; more than 24 would not fit into the C int of poll()
_ACCEPT_PAUSE_SEC = 0.1             # how long a server waits after an accept() that failed
_HANDLER_GRACE_MS = const(200)      # how long a thread may take from Create to setting the handlers
_AT_ONCE = const(15)                # the most reads of one socket in a row, and events that events cause; a bit mask
_KNOWN_ADDRESSES = const(64)        # how many a UDP socket remembers
_NAME_LIFE_MS = const(60000)        # how long a UDP socket believes a look-up

if _MICROPYTHON:
    import gc
    from time import ticks_add as _ticks_add
    from time import ticks_diff as _ticks_diff
    from time import ticks_ms as _ticks_ms
    _print_exception = sys.print_exception
    # These take no memory until they are used: one per KiB of heap, so that the heap is the limit, not their number.
    _DEFAULT_SLOTS = max(8, (gc.mem_free() + gc.mem_alloc()) // 1024)
    _SEND_QUEUE_LIMIT = max(16384, 128 * _DEFAULT_SLOTS)    # an eighth of the heap
else:
    _DEFAULT_SLOTS = 1000000
    _SEND_QUEUE_LIMIT = 64 * 1024 * 1024

    def _print_exception(exception):
        import traceback
        traceback.print_exception(type(exception), exception, exception.__traceback__)

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
        """Seconds of a monotonic clock, the unit of ExpireTimeSec. On MicroPython it wraps with ticks_ms."""
        return _ticks_ms() / 1000

try:
    from _thread import allocate_lock as _allocate_lock
    from _thread import get_ident as _get_ident
    from _thread import start_new_thread as _start_thread
    # Two threads may run at once and nothing guards a dict: RP2 and unix (MicroPython 1.28 tells, py/modsys.c).
    _UNGUARDED = _MICROPYTHON and getattr(sys.implementation, '_thread', 'unsafe') == 'unsafe'
except ImportError:     # a port without threads
    _UNGUARDED = False

    class _allocate_lock:
        def __enter__(self, *_):
            pass

        __exit__ = __enter__

    _get_ident = int    # int() is 0

    def _start_thread(function, args):
        raise OSError('this port of MicroPython has no threads')

# What a connection does: its _phase.
_CONNECTING = const(0)
_HANDSHAKING = const(1)
_OPEN = const(2)
_FLUSHING = const(3)    # closed by the application, with data still to be sent

# What the pending receive wants: its _wants. None: there is none.
_SOME = const(-1)           # whatever there is
_NO_MORE = const(-2)        # nothing: at the end, or while a receive is being set up (_claim)
# N: that many bytes; a str: a line of that encoding

_ANY_ADDRESS = ('0.0.0.0', 0)
_NO_MEMORY = MemoryError('out of memory')
_MAIN_THREAD = _get_ident()         # the thread that imported this module
_state_lock = _allocate_lock()      # guards _closing, _wants, _queued and IsSSL of every socket, and _last_id, _names


class XAsyncSocketsPoolException(Exception):
    """An error of XAsyncSocketsPool."""


class XAsyncSocketException(Exception):
    """An error of XAsyncSocket."""


class XAsyncTCPServerException(Exception):
    """An error of XAsyncTCPServer."""


class XAsyncTCPClientException(Exception):
    """An error of XAsyncTCPClient."""


class XAsyncUDPDatagramException(Exception):
    """An error of XAsyncUDPDatagram."""


class XFiFoException(Exception):
    """An error of XFiFo."""


def _error(kind, message, ex):
    """An exception that keeps its cause, `ex` (`raise ... from` prints a warning on MicroPython)."""
    message += ': %s' % (str(ex) or repr(ex))
    number = getattr(ex, 'errno', None)
    if type(number) is int and 'rrno' not in message:   # CPython's own text begins with it
        message += ' (errno %s)' % number
    error = kind(message)
    error.__cause__ = ex
    return error


def _require(right, kind, name, words, value):
    if not right:
        raise kind('"%s" must be %s, not %r' % (name, words, value))


def _check_size(name, value, kind):
    _require(type(value) is int and value > 0, kind, name, 'an int of 1 or more', value)


def _check_address(name, value, kind, least=0):
    _require(isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], str)
             and type(value[1]) is int and least <= value[1] <= 65535, kind, name,
             '(ip, port) with a port of %d to 65535' % least, value)


def _check_handler(name, value, kind):
    _require(value is None or callable(value), kind, name, 'callable or None', value)


def _check_pool(pool, kind):
    _require(hasattr(pool, 'AddAsyncSocket'), kind, 'asyncSocketsPool', 'an XAsyncSocketsPool', pool)


def _check_socket(value):
    _require(isinstance(value, XAsyncSocket), XAsyncSocketsPoolException, 'asyncSocket', 'an XAsyncSocket', value)


def _as_bytes(name, data, kind):
    """The bytes of any buffer, whatever its items are; not copied if they are bytes."""
    try:    # (a memoryview of None raises, but MicroPython's takes a str)
        return data if type(data) is bytes else bytes(memoryview(data if type(data) is not str else None))
    except TypeError as ex:
        raise _error(kind, '"%s" must be bytes or another buffer' % name, ex)


def _check_seconds(name, seconds, kind):
    """Check a timeout in seconds, and return it in milliseconds, 1 at least."""
    _require((type(seconds) is int or type(seconds) is float) and 0 < seconds <= _MAX_SEC, kind, name,
             'seconds, more than 0 and 518400 at most', seconds)
    return max(1, int(seconds * 1000))


def _resolve(address):
    """
    (family, system address) of (ip or host name, port), IPv4 first. Blocks while a name is looked up: no port has
    another way. Raises OSError. SOCK_STREAM also for UDP: RP2 prints a warning for any other type (extmod/modlwip.c).
    """
    found = socket.getaddrinfo(address[0] or '0.0.0.0', address[1], 0, socket.SOCK_STREAM)
    for info in found:
        if info[0] == socket.AF_INET:
            break
    else:
        info = found[0]
    return info[0], info[-1]


def _readable(address):
    """(ip, port) of a system address: a tuple, or opaque bytes on the unix port (ports/unix/modsocket.c)."""
    if isinstance(address, tuple):
        return address[:2]
    family, ip, port = socket.sockaddr(address)[:3]  # type: ignore[attr-defined]
    return socket.inet_ntop(family, ip), port  # type: ignore[attr-defined]


def _bind(sock, address):
    """Bind, and return the bound (ip, port). Raises OSError."""
    if not _MICROPYTHON:
        sock.bind(_resolve(address)[1])
        return sock.getsockname()[:2]
    if address[1]:
        system_address = _resolve(address)[1]
        sock.bind(system_address)
        return _readable(system_address)
    # There is no getsockname: draw a port of the dynamic range (RFC 6335, section 6) until one is free.
    seed = _ticks_ms() ^ id(sock)
    for left in range(63, -1, -1):
        seed = (seed * 1103515245 + 12345) & 0x3fffffff
        system_address = _resolve((address[0], 49152 + (seed >> 8) % 16384))[1]
        try:
            sock.bind(system_address)
            return _readable(system_address)
        except OSError:
            if not left:
                raise


def _switch_on(sock, option):
    try:
        sock.setsockopt(option[0], option[1], 1)
    except OSError:
        pass


def _raised_by_call(exception):
    """True if a TypeError came from the call itself, its argument count, and not from inside the function."""
    if not _MICROPYTHON:
        return exception.__traceback__.tb_next is None
    import io
    text = io.StringIO()
    _print_exception(exception, text)
    return text.getvalue().count('  File ') <= 1


if not _MICROPYTHON:
    class _Waker:
        """Wakes a waiting poll() from another thread: a socket that sends to another one."""

        def __init__(self):
            self._receiver, self._sender = socket.socketpair()
            self._receiver.setblocking(False)
            self._sender.setblocking(False)
            self.key = self._receiver.fileno()
            self._awake = False     # a byte is under way

        def wake(self):
            if not self._awake:
                self._awake = True
                try:
                    self._sender.send(b'\0')
                except OSError:     # full: it is awake anyway
                    pass

        def clear(self):
            try:
                while self._receiver.recv(64):
                    pass
            except OSError:
                pass
            self._awake = False     # the loop looks for messages next, also for one that came just now

        def close(self):
            self._receiver.close()
            self._sender.close()


# === 2. Buffers =======================================================================================================

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
        """Remove and return the oldest object. Raises XFiFoException if there is none."""
        with self._lock:
            node = self._first
            if node is not None:
                self._first = node[1]
                obj, node[0] = node[0], None    # _last may still hold the node
                return obj
        raise XFiFoException('Get: the queue is empty')

    def Clear(self):
        """Remove all objects."""
        with self._lock:
            self._first = self._last = None

    @property
    def Empty(self):
        """True if nothing is queued."""
        return self._first is None


class XBufferSlot:
    """
    One buffer of `size` bytes that is available or taken. keepAlloc: allocate it now and for good; otherwise its memory
    exists only while it is used.

    Size: its size in bytes.
    """

    Size = 0

    _memory = None      # with room for the end of a line behind `size` bytes
    _slots = None       # the XBufferSlots that it belongs to
    _next = None        # None while it is taken; the next free slot, or itself without _slots

    def __init__(self, size, keepAlloc=True):
        _check_size('size', size, ValueError)
        self.Size = size
        self._keep = keepAlloc
        self._next = self
        if keepAlloc:
            self._allocate()

    def _allocate(self):
        if self._memory is None:
            self._memory = memoryview(bytearray(self.Size + _LINE_END))
        return self._memory

    @property
    def Available(self):
        """True while nobody holds the slot; set it to False to take it and to True to give it back."""
        return self._next is not None

    @Available.setter
    def Available(self, value):
        slots = self._slots
        if value:
            self._give_back()
        elif slots is None:
            self._next = None
        else:
            with slots._lock:
                if self._next is not None:
                    before = slots
                    while before._next is not self:
                        before = before._next
                    before._next = self._next
                    self._next = None

    def _give_back(self):
        if self._next is not None:
            return
        if not self._keep:
            self._memory = None
        slots = self._slots
        if slots is None:
            self._next = self
            return
        with slots._lock:   # a linked list, for giving back must not allocate
            if self._next is None:
                self._next = slots._next
                slots._next = self

    @property
    def Buffer(self):
        """The buffer, a memoryview of Size bytes. Reading this does not take the slot."""
        return self._allocate()[:self.Size]


class XBufferSlots:
    """
    `slotsCount` buffers of `slotsSize` bytes, which bound what a server's connections may use. keepAlloc: allocate all
    memory now; otherwise each buffer's memory exists only while it is used, and an idle connection costs none.

    SlotsCount: their number. SlotsSize: the size of each, in bytes.
    """

    SlotsCount = SlotsSize = 0

    def __init__(self, slotsCount, slotsSize, keepAlloc=True):
        _check_size('slotsCount', slotsCount, ValueError)
        _check_size('slotsSize', slotsSize, ValueError)
        self.SlotsCount = slotsCount
        self.SlotsSize = slotsSize
        self._keep = keepAlloc
        self._lock = _allocate_lock()
        self._made = []
        self._next = self       # the first free slot, in a chain that ends with this object
        if keepAlloc:
            self._make(slotsCount)

    def _make(self, count):
        for _ in range(min(count, self.SlotsCount - len(self._made))):
            slot = XBufferSlot(self.SlotsSize, self._keep)
            slot._slots = self
            self._made.append(slot)
            slot._next = self._next
            self._next = slot

    def GetAvailableSlot(self):
        """Take a slot: an XBufferSlot, or None if all are taken."""
        with self._lock:
            if self._next is self:
                self._make(8)       # one by one, between connections, they would fragment a small heap
            slot = self._next
            if slot is self:
                return None
            self._next = slot._next
            slot._next = None
            return slot

    @property
    def Slots(self):
        """List of all the XBufferSlot objects."""
        with self._lock:
            self._make(self.SlotsCount)
            return list(self._made)


class _Scratch:
    """
    What the loop reads into: connections with buffers of one size share it, so that data which a handler takes at once
    needs no memory. `cut` is its first `length` bytes: messages of one length allocate nothing.
    """

    def __init__(self, size, scratches):
        self.size = size
        self.view = memoryview(bytearray(size))
        self.cut = b''
        self.length = -1
        scratches[size] = self

    def take(self, n):
        if n != self.length or not _MICROPYTHON:    # CPython: a handler may release() it
            self.cut = self.view[:n]
            self.length = n
        return self.cut


# === 3. Timers and the pool ===========================================================================================

class XTimer:
    """
    A call to be made later: what XAsyncSocketsPool.CallLater returns. XTimer(pool, handler, arg) makes one
    that is not started yet; Restart starts it. The pool calls handler(arg). (`socket` is for the pool's own timeouts.)
    """

    # `_at`, in ticks: its place in the pool's list. `_due`: when it is to fire, at `_at` or later; putting it off only
    # stores _due, and _fire_timers moves it once `_at` has come. Of those with one `_at`, the first started is first.
    _runs = False
    _ms = 0             # the timeout of a connection's receives; 0: the pending one has none

    def __init__(self, pool, handler, arg=None, socket=None):
        self._pool = pool
        self._handler = handler
        self._arg = arg
        self._socket = socket   # that it is a timeout of
        self._due = self._at = 0

    def Cancel(self):
        """Cancel the call. True if it was still to come, False if it was made or cancelled already."""
        pool = self._pool
        with pool._lock:
            was_running = self._runs
            self._leave()
            pool._set_alarm()
        return was_running

    def Restart(self, delaySec):
        """
        Make the call `delaySec` seconds from now, 0 or more, even if it was made or cancelled already. Allocates
        nothing. Raises XAsyncSocketsPoolException for a wrong `delaySec`.
        """
        self._start(_check_seconds('delaySec', delaySec, XAsyncSocketsPoolException) if delaySec != 0 else 0)

    def _start(self, ms):
        pool = self._pool
        with pool._lock:
            self._leave()
            self._due = _ticks_add(_ticks_ms(), ms)
            self._enter()
            pool._set_alarm()
            is_first = pool._timers[0] is self
        if is_first and _get_ident() != pool._owner:
            pool._wake()

    def _put_off(self):
        """As _start(_ms), but cheaper if it runs already and was to come earlier."""
        pool = self._pool
        self._due = _ticks_add(_ticks_ms(), self._ms)
        if not self._runs or _ticks_diff(self._due, self._at) < 0 or pool.public is not pool:
            self._start(self._ms)   # (a foreign pool looks at ExpireTimeSec)

    def _enter(self):
        """Take the place that _due asks for, behind those with the same time."""
        self._at = self._due
        timers = self._pool._timers
        first = 0
        end = len(timers)
        while first < end:
            middle = (first + end) >> 1
            if _ticks_diff(self._at, timers[middle]._at) < 0:
                end = middle
            else:
                first = middle + 1
        timers.insert(first, self)
        self._runs = True

    def _leave(self):
        if self._runs:
            self._pool._timers.remove(self)
            self._runs = False


class XClosedReason:
    """
    Why a socket was closed: the reason that OnClosed gets.

    ClosedByHost: Close() or StopWaitEvents() here. ClosedByPeer: the peer closed, and all that it had sent was
    delivered. Timeout: a receive, a connect or a handshake took too long. Error: anything else; CloseError of a TCP
    connection is the exception.
    """

    Error = 0x00
    ClosedByHost = 0x01
    ClosedByPeer = 0x02
    Timeout = 0x03

    @staticmethod
    def Name(reason):
        """The word for a reason, 'Timeout' for 3."""
        return ('Error', 'ClosedByHost', 'ClosedByPeer', 'Timeout')[reason]


class XAsyncSocketsPool:
    """
    The managed pool of XAsyncSocket objects, and the event loop.

    OnException: event f(xAsyncSocket or None, exception) for each error that nothing else reports: a handler that
    raised, a refused connection, the reason why Create returned None. If it is not set, the exception is printed.
    WaitEventsProcessing: True while the loop runs.
    """

    OnException = None
    WaitEventsProcessing = False

    _waker = None           # CPython's, while a loop runs
    _threaded = False       # other threads use the sockets, and nothing guards their dicts: see _set_all

    def __init__(self):
        self._lock = _allocate_lock()
        self._calls = []        # the mailbox: (socket, function, args); under the lock
        self._owner = None      # the thread that owns all that follows; set under the lock
        self._lent = False      # it is the owner for the moment only, because no loop runs
        self._sockets = {}      # by key, which is what poll() reports; changed by the owner, under the lock
        self._poll = None       # while a loop runs, or turns are made
        self._due_first = self._due_last = self     # the chain of due sockets, which ends with the pool
        self._timers = []       # in the order of their times; under the lock
        self._alarm = None      # ticks at which the first of them is to be looked at
        self._scratches = {}    # by size
        self._workers = None
        self._reserve = None    # memory to go on with when there is no other
        self._failing = None    # a socket that is to end for want of memory
        self._stopping = self._in_turn = False
        self.public = self      # whose four public methods our sockets call: see _ForeignPool
        # There are also _wait and WaitEventsProcessing. With one more, MicroPython's dict for 23 names would be almost
        # full, and each look-up of a method would search all of it: 5 % of a connection.

    # --- for applications

    def GetAllAsyncSockets(self):
        """List of the sockets managed now."""
        with self._lock:
            return list(self._sockets.values())

    def GetAsyncSocketByID(self, id):
        """The socket whose SocketID is `id`, or None."""
        for s in self.GetAllAsyncSockets():
            if s.SocketID == id:
                return s
        return None

    def CallLater(self, delaySec, handler, arg=None):
        """
        Call handler(arg) once, from the loop, `delaySec` seconds from now, 6 days at most; 0: as soon as no handler
        runs. Safe from any thread. Returns an XTimer. Raises XAsyncSocketsPoolException for a wrong argument.
        """
        _require(callable(handler), XAsyncSocketsPoolException, 'handler', 'callable', handler)
        timer = XTimer(self, handler, arg)
        timer.Restart(delaySec)
        return timer

    def AsyncWaitEvents(self, threadsCount=0):
        """
        Run the event loop. `threadsCount` 0: here, until StopWaitEvents. 1: in a new thread; returns once it runs.
        N > 1: that thread plus N-1 workers, which run handlers concurrently, never two events of one socket at once. A
        port that cannot start that many threads goes on with those it has. Raises XAsyncSocketsPoolException if none
        can be started.
        """
        _require(type(threadsCount) is int and threadsCount >= 0, XAsyncSocketsPoolException, 'threadsCount',
                 'an int of 0 or more', threadsCount)
        with self._lock:
            if self.WaitEventsProcessing:
                return
            if self._in_turn:
                raise XAsyncSocketsPoolException('AsyncWaitEvents: PollEvents is running')
            self._stopping = False
            self.WaitEventsProcessing = True
        me = _get_ident()
        try:
            self._open()
            if _UNGUARDED and (threadsCount or me != _MAIN_THREAD):
                self._set_threaded()
            if threadsCount:
                _start_thread(self._run, (threadsCount - 1,))   # which then starts the workers
        except Exception as ex:
            self._close_poll()
            raise _error(XAsyncSocketsPoolException, 'AsyncWaitEvents: the loop cannot start', ex)
        if not threadsCount:
            self._run(0)
        while self._owner == me:        # until the new thread has taken over
            time.sleep(0.001)

    def StopWaitEvents(self):
        """
        Stop the loop and close every socket with ClosedByHost; data queued for sending is still handed over, for
        LingerSec at most. Safe from any thread, and from the handler of a signal while AsyncWaitEvents(0) runs in the
        main thread. Inside a handler it returns at once, and the loop ends after the handler; elsewhere it returns when
        all is closed. If another thread calls PollEvents, the next turn of that thread closes everything.
        """
        me = _get_ident()
        self._stopping = True       # without the lock: a signal's handler may have interrupted the thread that holds it
        if not self.WaitEventsProcessing:
            if self._in_turn or self._owner not in (None, me) and not self._lent:
                self._wake()
            else:
                self._shut_down()
            return
        self._wake()
        if me != self._owner and not (self._workers is not None and me in self._workers.idents):
            while self.WaitEventsProcessing:
                time.sleep(0.001)

    def PollEvents(self, timeoutMs=0):
        """
        Run one turn, for programs that own their main loop, and return the number of events handled. Waits `timeoutMs`
        milliseconds at most for a first one; negative: for ever. Raises XAsyncSocketsPoolException inside a handler and
        while AsyncWaitEvents runs.
        """
        _require(type(timeoutMs) is int, XAsyncSocketsPoolException, 'timeoutMs', 'an int of milliseconds', timeoutMs)
        with self._lock:
            if self.WaitEventsProcessing or self._in_turn:
                raise XAsyncSocketsPoolException('PollEvents: the loop is already running')
        if self._poll is None or self._owner != _get_ident():
            self._open()
        count = self._turn(timeoutMs, True)
        if self._stopping:
            self._shut_down()
        return count

    # --- the extension point: XAsyncSocket and its subclasses rely on these four

    def AddAsyncSocket(self, asyncSocket):
        """
        Manage a socket, and watch it for failure. False if it is managed already. Raises XAsyncSocketsPoolException
        while the pool stops.
        """
        if not _isinstance(asyncSocket, XAsyncSocket):
            _check_socket(asyncSocket)
        if asyncSocket._key is not None or asyncSocket._reason is not None:
            if _get_ident() != self._owner:     # this thread may have asked for its removal
                self._do(asyncSocket, self.AddAsyncSocket, asyncSocket)
            return False
        if self._stopping:
            raise XAsyncSocketsPoolException('the pool is stopping')
        asyncSocket._key = asyncSocket._socket
        if not _MICROPYTHON:
            asyncSocket._key = asyncSocket._socket.fileno()
        is_owner = _get_ident() == self._owner
        if self._threaded or _UNGUARDED and self._owner is not None and not is_owner:
            _set_all(asyncSocket)
        if is_owner:
            self._watch(asyncSocket)
        else:
            self._do(asyncSocket, self._watch, asyncSocket)
        return True

    def RemoveAsyncSocket(self, asyncSocket):
        """Forget a socket without closing it. False if it is not managed."""
        if not _isinstance(asyncSocket, XAsyncSocket):
            _check_socket(asyncSocket)
        if asyncSocket._key is None:
            return False
        if _get_ident() != self._owner:
            self._do(asyncSocket, self.RemoveAsyncSocket, asyncSocket)
            return True
        with self._lock:
            if not _MICROPYTHON and self._sockets.get(asyncSocket._key) is not asyncSocket:
                asyncSocket._key = None     # the application closed the system socket, whose number is another's now
                return True
            self._sockets.pop(asyncSocket._key, None)
        if self._poll is not None:
            try:
                self._poll.unregister(asyncSocket._key)
            except _ABSENT:        # the application closed the system socket itself
                pass
        asyncSocket._key = None     # last: what Ctrl-C interrupts is done again
        return True

    def NotifyNextReadyForReading(self, asyncSocket, notify):
        """Call OnReadyForReading whenever the socket is readable, until told `notify` False."""
        self._notify(asyncSocket, _IN, notify)

    def NotifyNextReadyForWriting(self, asyncSocket, notify):
        """Call OnReadyForWriting once, as soon as the socket is writable; `notify` False: do not."""
        self._notify(asyncSocket, _OUT, notify)

    def _notify(self, s, bit, on):
        _check_socket(s)
        self._do(s, self._set_interest, s, bit, on)
        if s.ExpireTimeSec is not None:     # a plain attribute: no call tells that it was set
            self._do(s, s._look_at_expiry)

    # --- the poll set

    def _watch(self, s):
        # Small blocks, because a fragmented heap may have no large one. A MemoryError here refuses the socket.
        if self._reserve is None:
            self._reserve = list(map(bytearray, (64,) * 10))
        if s._key is None:          # another thread has removed it meanwhile
            return
        with self._lock:
            self._sockets[s._key] = s
        if self._poll is None:
            return
        try:    # may run while _turn iterates over ipoll(): an event read twice, or a turn later, does no harm
            self._poll.register(s._key, s._interest)
        except Exception:   # no `as`: with one more local, MicroPython takes the frame from the heap
            self._register_failed(s)
            raise

    def _register_failed(self, s):
        """
        A register() that finds no memory leaves an entry without its object, which crashes poll() and unregister()
        (extmod/modselect.c). Registering again completes the entry; then it is removed. Another socket is taken out
        meanwhile to make room, because the unix port's array for poll(2) may not be able to grow.
        """
        with self._lock:
            del self._sockets[s._key]
        if _MICROPYTHON:
            self._reserve = None
            for lender in self._sockets.values():
                try:
                    self._poll.modify(lender._key, 0)   # fails if _dispatch has taken a busy one out already
                    self._poll.unregister(lender._key)
                    break
                except OSError:
                    pass
            else:
                lender = None
            if self._register_at_last(s._key, 0):
                self._poll.unregister(s._key)
            if lender is not None:
                self._register_at_last(lender._key, 0 if lender._busy else lender._interest)
        s._key = None

    def _register_at_last(self, key, interest):
        for _ in range(1000):   # other threads may take the memory
            try:
                self._poll.register(key, interest)
                return True
            except MemoryError:
                time.sleep(0.001)

    def _set_interest(self, s, bit, on):
        interest = s._interest | bit if on else s._interest & ~bit
        if interest == s._interest:
            return
        s._interest = interest
        if s._key is not None and self._poll is not None and not s._busy:
            try:
                self._poll.modify(s._key, interest)
            except _ABSENT:        # see RemoveAsyncSocket
                pass

    if not _MICROPYTHON:
        def _wait(self, ms):
            """Pairs of key and events."""
            return self._poll.poll(ms / 1000 if _EPOLL else ms)

    # --- messages

    def _do(self, s, function, *args):
        """Have function(*args), which concerns the socket `s`, called by the owner: at once if this thread is it."""
        me = _get_ident()
        if me == self._owner:
            function(*args)
            return
        with self._lock:
            self._calls.append((s, function, args))
            idle = self._owner is None
            if idle:
                self._owner = me
                self._lent = True
            elif _UNGUARDED and not self._threaded:     # another thread's first call
                self._calls.insert(0, (None, self._set_threaded, ()))
        if not idle:
            self._wake()
            return
        while True:     # no loop runs: this thread is the owner for the moment
            self._take_calls()
            with self._lock:
                if not self._calls:
                    self._owner = None
                    self._lent = False
                    return

    def _take_calls(self):
        for _ in range(len(self._calls)):   # later ones wait for the next turn
            with self._lock:
                s, function, args = self._calls.pop(0)
            try:
                function(*args)
            except Exception as ex:
                self._report(s, ex)

    def _wake(self):
        if not _MICROPYTHON and self._waker is not None:
            self._waker.wake()

    def _set_threaded(self):
        self._threaded = True
        for s in self.GetAllAsyncSockets():
            _set_all(s)

    # --- events and errors

    def _post(self, s):
        """Have s._fire() called when no handler runs."""
        if s._next is None:
            s._next = self
            if self._due_first is self:
                self._due_first = s
            else:
                self._due_last._next = s  # type: ignore[attr-defined]
            self._due_last = s

    def _call(self, s, handler, *args):
        """Call a handler of the socket `s`, in a worker if there are any."""
        if self._workers is None:
            handler(*args)
        else:
            self._workers.give(s, handler, args)

    def _written(self, s):
        """OnReadyForWriting of `s` is over: see _ForeignPool."""

    def _report(self, s, exception):
        """Tell of an exception, and end the connection that it concerns. Servers and UDP sockets live on."""
        if s is not None:
            self._failing = s    # if what follows finds no memory, the next turn closes it
        if isinstance(exception, MemoryError):
            self._reserve = None
        self._tell(s, exception)
        if s is not None:
            s._fail(exception)
            self._failing = None

    def _tell(self, s, exception):
        try:
            try:
                if self.OnException is not None:
                    self.OnException(s, exception)
                    return
            except Exception as ex:
                _print_exception(ex)
            _print_exception(exception)
        except MemoryError:     # the connection ends all the same
            pass

    # --- the loop

    def _open(self):
        """Make this thread the owner, after waiting for a call of another thread to end, and make the poll set."""
        while True:
            with self._lock:
                if not self._lent or self._owner == _get_ident():
                    self._owner = _get_ident()
                    self._lent = False
                    break
            time.sleep(0.001)
        if self._poll is not None:
            return
        poll = select.epoll() if _EPOLL else select.poll()  # type: ignore[attr-defined]
        if _MICROPYTHON:
            self._wait = poll.ipoll  # type: ignore[attr-defined,method-assign]
        else:
            self._waker = _Waker()
            poll.register(self._waker.key, _IN)
        self._poll = poll
        for s in self.GetAllAsyncSockets():
            try:
                self._watch(s)
            except Exception as ex:
                self._report(s, ex)

    def _run(self, count):
        """The loop, until all sockets are closed."""
        try:
            self._owner = _get_ident()
            if count:
                workers = _Workers(self, count)
                if workers.idents:      # none: a port with no thread left
                    self._workers = workers
                    for s in self.GetAllAsyncSockets():
                        s._again = ...      # the short way calls handlers here
            while not self._stopping:
                try:
                    self._turn(-1, False)
                except MemoryError:     # for its frame
                    self._reserve = None
        finally:
            try:
                self._shut_down()
            finally:        # another Ctrl-C: the next turn, or StopWaitEvents, does the rest
                self.WaitEventsProcessing = False

    def _turn(self, wait_ms, once):
        """
        Wait for events and handle them, `once` or until the pool stops; returns their number. One long function: its
        calls are what a message costs MicroPython, which also takes a frame of more than 11 words from the heap.
        """
        count = 0
        start = _ticks_ms()
        left = wait_ms if 0 <= wait_ms < _MAX_WAIT_MS else _MAX_WAIT_MS
        sockets = self._sockets
        workers = self._workers
        self._in_turn = True
        try:
            if self._failing is not None:
                self._failing._fail(_NO_MEMORY)
                self._failing = None
            while True:
                if self._calls:
                    self._take_calls()
                ms = left
                due = None
                if self._due_first is not self:
                    ms = 0
                if self._alarm is not None:
                    now = _ticks_ms()
                    n = _ticks_diff(self._alarm, now)
                    if n <= 0:
                        n = 0
                        due = now
                    if n < ms:
                        ms = n
                if _MICROPYTHON and workers is not None and workers.busy and ms > 1:
                    ms = 1      # nothing wakes the loop when they are done
                for key, events in self._wait(ms):
                    try:
                        s = sockets[key]
                    except KeyError:    # closed by a handler of this turn, or the waker
                        if not _MICROPYTHON and key == self._waker.key:
                            self._waker.clear()
                        continue
                    count += 1
                    n = 0   # None while a read is under way: tells a failed read from a failed handler
                    try:
                        if events == _IN and s._again is not ...:    # the short way
                            scratch = s._scratch
                            read = s._read      # s._read(...) costs more: MicroPython looks for a method
                            n = None
                            n = read(scratch.view)
                            while n:
                                if s._wants != _SOME:
                                    s._deliver(scratch.take(n))
                                    break
                                if n != scratch.length or not _MICROPYTHON:
                                    scratch.take(n)
                                s._wants = None
                                handler = s._handler
                                handler(s, scratch.cut, s._argument)
                                if n != scratch.size or s._wants != _SOME or s._again is ... or not count & _AT_ONCE:
                                    break
                                count += 1      # the buffer was full: more may have come
                                n = None
                                n = read(scratch.view)
                            else:
                                if n == 0:
                                    s._peer_closed()
                        elif events == _IN == s._interest and not s._busy:  # as _dispatch would, without the call
                            if s.OnReadyForReading():
                                self.RemoveAsyncSocket(s)
                        else:
                            self._dispatch(s, events)
                    except Exception as ex:
                        if n is None:
                            s._read_failed(ex)
                        else:
                            self._report(s, ex)
                # Handle all that is due by now, up to `last`, which is None from then on. Then handle up to 15 events
                # that this has caused.
                last = self._due_last
                n = _AT_ONCE
                s = self._due_first
                while s is not self and n:
                    self._due_first = s._next  # type: ignore[attr-defined]
                    s._next = None  # type: ignore[attr-defined]
                    if last is None:
                        n -= 1
                    elif s is last:
                        last = None
                    if workers is None or not s._busy:  # type: ignore[attr-defined]  # posted again when it is back
                        count += 1
                        try:
                            s._fire()  # type: ignore[attr-defined]
                        except Exception as ex:
                            self._report(s, ex)
                    s = self._due_first
                if s is self:
                    self._due_last = self
                if due is not None:
                    count += self._fire_timers(due)     # last: data that has come prevents a timeout
                if self._stopping:
                    return count
                if once:
                    if count or not wait_ms:
                        return count
                    if wait_ms > 0:
                        left = wait_ms - _ticks_diff(_ticks_ms(), start)
                        if left <= 0:
                            return 0
                        left = min(left, _MAX_WAIT_MS)
        except MemoryError:     # nothing is lost: the next turn does it
            self._reserve = None
        finally:
            self._in_turn = False
        return count

    def _dispatch(self, s, events):
        """Call the hooks for `events`: what has arrived first, so that no error of writing loses it."""
        if s._busy:     # a worker has it: watch nothing. _FAULT is reported all the same: take it out until _go_on
            self._poll.modify(s._key, 0)
            if events & _FAULT:
                self._poll.unregister(s._key)
            return
        wanted = s._interest
        forget = handled = False
        if events & _IN and wanted & _IN:
            handled = True
            forget = s.OnReadyForReading()
        if events & _OUT and wanted & _OUT and s._reason is None:
            handled = True
            self._set_interest(s, _OUT, False)
            forget = s.OnReadyForWriting() or forget
        if events & _PEER_END and wanted & _PEER_END and s._reason is None:
            handled = True
            self._set_interest(s, _PEER_END, False)
            s._linger()
        if events & _FAULT and not handled and s._reason is None:
            forget = s.OnExceptionalCondition() or forget
        if forget:
            self.RemoveAsyncSocket(s)

    def _set_alarm(self):
        """The list of timers has changed."""
        self._alarm = self._timers[0]._at if self._timers else None

    def _fire_timers(self, now):
        """Call what was due at `now`, in order, and return the number."""
        count = 0
        timers = self._timers
        while True:
            with self._lock:
                if not timers or _ticks_diff(timers[0]._at, now) > 0:
                    return count
                timer = timers[0]
                put_off = _ticks_diff(timer._due, timer._at) > 0
                timer._leave()
                if put_off:
                    timer._enter()
                self._set_alarm()
            if put_off:
                continue
            count += 1
            try:
                timer._handler(timer._arg)
            except Exception as ex:
                if timer._socket is not None and isinstance(ex, MemoryError):
                    timer._start(100)   # it is still to be done: try again in 100 ms
                self._report(timer._socket, ex)

    def _shut_down(self):
        """Close every socket, hand over what is queued, and give the system's resources back."""
        self._stopping = True
        if self._poll is None:
            self._open()
        started = _ticks_ms()
        limit = int(XAsyncTCPClient.LingerSec * 1000)
        forced = False
        while True:
            for s in self.GetAllAsyncSockets():
                try:
                    if forced:
                        s._close(XClosedReason.ClosedByHost)
                        self.RemoveAsyncSocket(s)
                    else:
                        s.Close()
                except Exception as ex:
                    self._report(s, ex)
            busy = self._workers is not None and self._workers.busy
            if not (self._sockets or self._due_first is not self or self._calls or busy):
                break
            left = limit - _ticks_diff(_ticks_ms(), started)
            forced = left <= 0
            self._turn(max(10, min(left, 100)), True)
        self._close_poll()

    def _close_poll(self):
        if self._workers is not None:
            self._workers.stop()
            self._workers = None
        with self._lock:
            if not _MICROPYTHON and self._waker is not None:
                self._waker.close()
                self._waker = None
                if _EPOLL and self._poll is not None:
                    self._poll.close()
            if _MICROPYTHON:
                self._wait = None  # type: ignore[method-assign,assignment]
            self._poll = self._owner = self._reserve = None
            self._stopping = False
        self.WaitEventsProcessing = False


class _Workers:
    """Threads that run handlers. A socket that one works for is busy: all else that is due to it waits."""

    def __init__(self, pool, count):
        self.idents = []
        self.busy = 0               # the number of busy sockets; only the loop changes it
        self._pool = pool
        self._jobs = XFiFo()
        self._lock = _allocate_lock()
        self._gate = _allocate_lock()   # where workers wait; a worker that passes opens it again if more jobs wait
        self._gate.acquire()
        self._stopped = False
        started = 0
        for _ in range(count):
            try:
                _start_thread(self._run, ())
            except Exception:       # a port with fewer threads
                break
            started += 1
        while len(self.idents) < started:
            time.sleep(0.001)

    def give(self, s, handler, args, client=None):
        """Have a worker call handler(*args) for `s`, and for its `client`, too; asked by the loop."""
        # First, as it may raise; _go_on comes in a later turn.
        self._jobs.Put(([s] if client is None else [s, client], handler, args))
        self.busy += 1
        s._busy = True
        if client is not None:
            self.busy += 1
            client._busy = True
        self._open_gate()

    def _open_gate(self):
        with self._lock:
            if self._gate.locked():
                self._gate.release()

    def _go_on(self, s, exception):
        self.busy -= 1
        s._busy = False
        if s._key is not None:
            try:
                self._pool._poll.modify(s._key, s._interest)
            except _ABSENT:       # see _dispatch
                self._pool._watch(s)
        self._pool._post(s)
        if exception is not None:
            s._fail(exception)

    def stop(self):
        self._stopped = True
        while self.idents:
            self._open_gate()
            time.sleep(0.001)

    def _run(self):
        with self._lock:
            self.idents.append(_get_ident())
        woken = None        # True from passing the gate until the job is done
        sockets = None      # those of the job that the loop does not have back yet
        while not self._stopped:
            try:
                if not woken:
                    woken = self._gate.acquire()
                    continue
                if not sockets:
                    sockets, handler, args = self._jobs.Get()
                    called = False
                    if not self._jobs.Empty:
                        self._open_gate()
                if not called:
                    called = True
                    error = None
                    try:
                        handler(*args)
                    except BaseException as ex:     # sys.exit(), too, must not take the worker with it
                        error = ex
                        self._pool._tell(sockets[0], ex)
                while sockets:
                    self._pool._do(sockets[0], self._go_on, sockets[0], error)
                    sockets.pop(0)
                woken = handler = args = error = None
            except XFiFoException:  # another worker was quicker
                woken = None
            except BaseException:   # no memory, or OnException raised: go on from there, or the socket is busy for ever
                self._pool._reserve = None
                time.sleep(0.01)
        with self._lock:
            self.idents.remove(_get_ident())


class _ForeignPool(XAsyncSocketsPool):
    """
    Stands between one socket and a pool that somebody else wrote, and uses only that pool's four public methods. To
    have an event told, it asks for a call of OnReadyForWriting; for timeouts, it sets ExpireTimeSec.
    """

    def __init__(self, pool):
        super().__init__()
        self.public = pool
        self._socket = None

    def AddAsyncSocket(self, s):
        self._socket = s
        self.public.AddAsyncSocket(s)
        if s._interest & _IN:
            self.public.NotifyNextReadyForReading(s, True)

    def RemoveAsyncSocket(self, s):
        self.public.RemoveAsyncSocket(s)

    def _do(self, s, function, *args):
        function(*args)     # _owner stays None, so that no call goes past this method

    def _post(self, s):
        super()._post(s)
        if s._reason is None:
            self.public.NotifyNextReadyForWriting(s, True)
        elif s.SocketID is None:    # that pool calls nothing any more
            self._written(s)

    def _written(self, s):
        """OnReadyForWriting is over, or never comes again."""
        if not self._in_turn:
            self._in_turn = True
            while self._due_first is not self:
                self._due_first = self
                s._next = None
                try:
                    s._fire()
                except Exception as ex:
                    self._report(s, ex)
            self._in_turn = False
        if s._reason is None:
            self.public.NotifyNextReadyForWriting(s, self._due_first is not self or bool(s._interest & _OUT))

    def _set_interest(self, s, bit, on):
        super()._set_interest(s, bit, on)
        if bit == _IN:
            self.public.NotifyNextReadyForReading(s, on)
        elif bit == _OUT:
            self.public.NotifyNextReadyForWriting(s, on)

    def _set_alarm(self):
        super()._set_alarm()
        self._socket.ExpireTimeSec = None if self._alarm is None else \
            perf_counter() + _ticks_diff(self._alarm, _ticks_ms()) / 1000


# === 4. The sockets ===================================================================================================

def _ignore(*_):
    """The handler of a receive that has none."""


def _not_now(_):
    """The _write of a connection that cannot write now, or that has older data to write."""
    return -2


_END_TOLD = const(2)

_PLAIN = 'bytes are unread that the peer sent in plain'
_names = {}         # by class: see _set_all
_last_id = 0


def _next_id():
    global _last_id
    with _state_lock:
        _last_id = (_last_id + 1) & 0x3fffffff
        return _last_id


def _set_all(s):
    """
    Give a socket that threads share all its attributes: if nothing guards a dict, no thread may add to it while
    another one looks something up. Other sockets are spared the memory.
    """
    kind = type(s)
    with _state_lock:
        names = _names.get(kind)
        if names is None:
            names = []
            for name in dir(kind):
                value = getattr(kind, name)
                if name[:2] != '__' and not callable(value) and not isinstance(value, property):
                    names.append(name)
            _names[kind] = names
    for name in names:
        setattr(s, name, getattr(s, name))


class XAsyncSocket:
    """
    Abstract managed socket. Subclasses give OnReadyForReading and OnReadyForWriting, which the pool calls.

    asyncSocketsPool: the pool; socket: the system socket, made non-blocking here; recvBufSlot, sendBufSlot:
    XBufferSlot objects that are given back at the close, or None. Raises XAsyncSocketException.

    SocketID: unique int, None once closed. State: any object of the application's. OnClosed: event
    f(xAsyncSocket, closedReason) or f(closedReason), which comes once, at the end. ExpireTimeSec: None, or the time, in
    seconds of perf_counter(), when a pool is to close it with Timeout.
    """

    # No properties here and in the TCP classes: one makes storing an attribute five times as expensive on MicroPython.
    SocketID = None
    State = None
    OnClosed = None
    ExpireTimeSec = None

    _pool = None
    _key = None             # what poll() reports; None: not managed
    _interest = 0           # _IN, _OUT and _PEER_END as wanted
    _busy = False           # with a worker
    _next = None            # in the pool's chain of due sockets; None: it is not there
    _deadline = None        # XTimer of the phase that the socket is in
    _closing = False        # True: no further calls are accepted; _END_TOLD: OnClosed was called, too
    _reason = None          # XClosedReason once closed
    _phase = _OPEN

    def __init__(self, asyncSocketsPool, socket, recvBufSlot=None, sendBufSlot=None):
        if type(self) is XAsyncSocket:
            raise XAsyncSocketException('XAsyncSocket is abstract: use one of its subclasses')
        try:
            socket.setblocking(False)
        except Exception as ex:
            raise _error(XAsyncSocketException, '"socket" is not a usable socket', ex)
        self._recv_slot = recvBufSlot
        self._send_slot = sendBufSlot
        self._socket = socket
        # What closing stores is in the object's dict from the beginning, for a dict that grows takes memory.
        self._closing = False
        self._next = self._reason = None
        self.SocketID = _next_id()
        self._again = ...   # here, because each turn looks it up
        self._pool = asyncSocketsPool
        if not isinstance(asyncSocketsPool, XAsyncSocketsPool):
            self._pool = _ForeignPool(asyncSocketsPool)
        self._pool.AddAsyncSocket(self)

    def __repr__(self):
        text = '<' + type(self).__name__
        if self.SocketID is not None:
            text += ' #%d' % self.SocketID
        arrow = ' '
        for name in ('LocalAddr', 'CliAddr', 'SrvAddr'):
            if hasattr(self, name):
                text += arrow + '%s:%s' % getattr(self, name)
                arrow = ' -> '
        if self._reason is not None:
            return text + ' closed %s>' % XClosedReason.Name(self._reason)
        return text + (' connecting>' if self._phase == _CONNECTING else ' open>')

    def GetAsyncSocketsPool(self):
        """The pool that manages this socket."""
        return self._pool.public

    def GetSocketObj(self):
        """The system socket."""
        return self._socket

    def Close(self):
        """
        Close with ClosedByHost; a TCP connection stops reading at once, and first hands over what is queued for sending
        (it waits LingerSec for a peer that takes nothing). True the first time, False afterwards.
        """
        try:
            with _state_lock:
                if self._closing:
                    return False
                self._closing = True
            self._pool._do(self, self._start_close)
        except BaseException:   # another thread has no memory, or Ctrl-C: Close may be tried again
            self._closing = False
            raise
        return True

    def _start_close(self):
        self._close(XClosedReason.ClosedByHost)

    # --- hooks that a pool calls; one that returns True asks the pool to forget the socket

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

    # --- timers

    def _set_deadline(self, seconds, handler=None):
        """Have handler(self) called in `seconds`; None: not at all."""
        if self._deadline is not None:
            self._deadline.Cancel()
            self._deadline = None
        if seconds is not None and self._reason is None:
            self._deadline = XTimer(self._pool, handler, self, self)
            self._deadline._start(int(seconds * 1000))

    def _look_at_expiry(self):
        expires = self.ExpireTimeSec
        if expires is None or self._reason is not None:
            return
        left = int((expires - perf_counter()) * 1000)
        if _MICROPYTHON:    # it wraps there
            left = ((left + 0x20000000) & 0x3fffffff) - 0x20000000
        if left > 0:
            self._set_deadline(left / 1000, XAsyncSocket._look_at_expiry)
        else:
            self._close(XClosedReason.Timeout)

    # --- the end

    def _fail(self, exception):
        """A handler or hook of the socket raised `exception`; a connection ends with it."""

    def _close(self, closedReason=XClosedReason.Error):
        """Close at once, by the owner; OnClosed fires when no handler runs. Can be repeated, also if it failed."""
        if self._reason is not None and self.SocketID is None:
            return
        try:
            if self._reason is None:
                self._reason = closedReason
                self._closing = True
            self._clear()
            self._pool.RemoveAsyncSocket(self)
            if self._recv_slot is not None:
                self._recv_slot._give_back()
            if self._send_slot is not None:
                self._send_slot._give_back()
            self.SocketID = None
            self._socket.close()
        except MemoryError:
            self._pool._reserve = None
        except OSError:             # the application closed the system socket itself
            pass
        finally:                    # if something interrupted this, Ctrl-C perhaps, _fire does it again
            self._pool._post(self)

    def _clear(self):
        """Let go of what the subclass holds."""
        self._set_deadline(None)

    def _fire(self):
        """Tell what is due: here, the end."""
        if self._reason is None or self._closing == _END_TOLD:
            return
        if self.SocketID is not None:
            self._close()
            return
        self._closing = _END_TOLD
        handler = self.OnClosed
        if handler is not None:
            self.OnClosed = None
            self._pool._call(self, self._tell_end, handler)

    def _tell_end(self, handler):
        try:
            handler(self, self._reason)
        except TypeError as ex:
            if not _raised_by_call(ex):
                raise
            handler(self._reason)


class XAsyncTCPServer(XAsyncSocket):
    """
    Listening TCP socket.

    SrvAddr: the bound (ip, port). OnClientAccepted: event f(xAsyncTCPServer, xAsyncTCPClient).
    """

    OnClientAccepted = None

    _refusal_told = False       # that connections are refused for want of OnClientAccepted

    @staticmethod
    def Create(asyncSocketsPool, srvAddr, srvBacklog=256, recvBufSlots=None, bufSlots=None):
        """
        Listen on `srvAddr`, (ip, port); port 0 takes a free one. `srvBacklog`: connections that may wait to be accepted
        (MicroPython takes 255 at most: RP2 keeps the number in a byte, extmod/modlwip.c). `recvBufSlots` (alias
        bufSlots): the XBufferSlots that the connections share, one each; by default as many as suit the port's memory,
        allocated while needed. With no slot free, or no OnClientAccepted, a connection is refused. Returns the server.
        Raises XAsyncTCPServerException.
        """
        fail = XAsyncTCPServerException
        slots = recvBufSlots if recvBufSlots is not None else bufSlots
        _check_pool(asyncSocketsPool, fail)
        _check_address('srvAddr', srvAddr, fail)
        _check_size('srvBacklog', srvBacklog, fail)
        if slots is None:
            slots = XBufferSlots(_DEFAULT_SLOTS, 2048 if _ON_CHIP else 4096, False)
        _require(isinstance(slots, XBufferSlots), fail, 'recvBufSlots', 'an XBufferSlots or None', slots)
        sock = None
        try:
            sock = socket.socket(_resolve(srvAddr)[0], socket.SOCK_STREAM)
            if srvAddr[1]:
                _switch_on(sock, (socket.SOL_SOCKET, socket.SO_REUSEADDR))
            address = _bind(sock, srvAddr)
            # Not within the search for a port: lwIP must not bind a bound socket again when this fails.
            sock.listen(min(srvBacklog, 255) if _MICROPYTHON else srvBacklog)
            return XAsyncTCPServer(asyncSocketsPool, sock, address, slots)
        except Exception as ex:
            if sock is not None:
                sock.close()
            raise _error(fail, 'Create: cannot listen on "srvAddr" %s:%s' % tuple(srvAddr), ex)

    def __init__(self, asyncSocketsPool, srvSocket, srvAddr, bufSlots):
        self.SrvAddr = srvAddr
        self._slots = bufSlots
        self._interest = _IN
        super().__init__(asyncSocketsPool, srvSocket)

    def OnReadyForReading(self):
        """Accept several if there are many sockets, as turns take longer then. One too many costs 1 ms on RP2."""
        for _ in range(1 + _len(self._pool._sockets) // 16):
            accepted = self._accept()
            if accepted is None:
                return
            self._take_in(accepted)
            if self._busy or self._reason is not None or not self._interest:
                return

    def _accept(self):          # apart from its caller, because a `try` enlarges the frame: see _turn
        try:
            return self._socket.accept()
        except MemoryError:
            self._pause()
            raise
        except Exception:       # see _try_write
            return self._accept_again()

    def _accept_again(self):
        try:
            return self._socket.accept()
        except OSError as ex:
            if ex.errno not in _WOULD_BLOCK and ex.errno != errno.ECONNABORTED:
                self._pause()

    def _take_in(self, accepted):
        sock, address = accepted
        slot = client = None
        try:
            if self.OnClientAccepted is not None:
                slot = self._slots.GetAvailableSlot()
            elif not self._refusal_told:
                self._refusal_told = True
                self._pool._tell(self, XAsyncTCPServerException('a connection is refused: no OnClientAccepted is set'))
            if slot is None:
                sock.close()
                return
            client = XAsyncTCPClient(self._pool.public, sock, self.SrvAddr, address, slot)
            if self._pool._workers is None:
                self.OnClientAccepted(self, client)
            else:
                self._pool._workers.give(self, self.OnClientAccepted, (self, client), client)
        except Exception as ex:
            if client is not None:
                client._fail(ex)
            else:               # no memory: this one connection ends
                if slot is not None:
                    slot._give_back()
                sock.close()
                if self._pool._stopping:
                    return
                if isinstance(ex, MemoryError):
                    self._pause()
            self._pool._report(self, ex)

    def _pause(self):
        """Out of descriptors, sockets or memory: the listener stays readable, so look away for a moment."""
        self._set_deadline(_ACCEPT_PAUSE_SEC, XAsyncTCPServer._go_on)   # first, for it may find no memory
        self._pool._set_interest(self, _IN, False)

    def _go_on(self):
        self._pool._set_interest(self, _IN, True)


def _try_write(client, data):
    """The number of bytes that the system takes; -1 if the connection broke, and was closed; -2: see _not_now."""
    try:
        return client._write(data) or 0
    except Exception:   # no `as`: see _watch. A second try tells the error
        return client._write_again(data)


def _text(line, encoding):
    try:
        return _str(line, encoding)
    except Exception:       # see _try_write
        return None


def _encoding(name):
    """The spelling of an encoding that the interpreter knows. MicroPython has UTF-8 and its part ASCII."""
    known = type(name) is str
    if known:
        name = name.lower()
        if _MICROPYTHON:
            known = name in ('utf-8', 'utf8', 'ascii')
        else:
            try:
                'a'.encode(name)
            except (LookupError, ValueError):
                known = False
    _require(known, XAsyncTCPClientException, 'lineEncoding', 'UTF-8 or ASCII, or on CPython another codec', name)
    return name


class XAsyncTCPClient(XAsyncSocket):
    """
    TCP connection, outgoing or accepted.

    SrvAddr, CliAddr: (ip, port) of its ends; CliAddr is ('0.0.0.0', 0) if MicroPython cannot tell its own. IsSSL:
    True if TLS is in use. SendingBuffer: the connection's own sending buffer, a memoryview. CloseError: the
    exception that ended the connection, or None.

    Events f(xAsyncTCPClient): OnConnected, OnFailsToConnect: exactly one of them comes for a connection that was
    started. OnPeerFinished: comes once when the peer has ended its sending and all of it was delivered; if it is not
    set, the peer's end ends the connection. OnLineTooLong: comes once for a line that exceeds the buffer, which is
    skipped to its end while the receive stays pending; if it is not set, such a line ends the connection.

    Bounds, to be set on the class or on one connection. SendQueueLimit: bytes that may wait to be sent. LingerSec:
    seconds that an end waits for a peer that takes nothing, or, from its last read on, for an application that reads
    nothing. HandshakeSec: seconds that a TLS handshake may take.
    """

    SendQueueLimit = _SEND_QUEUE_LIMIT
    LingerSec = 5
    HandshakeSec = 10

    OnConnected = None
    OnFailsToConnect = None
    OnPeerFinished = None
    OnLineTooLong = None
    IsSSL = False
    CloseError = None

    # Of the base class, but found sooner here.
    OnClosed = ExpireTimeSec = _key = _deadline = _send_slot = None
    _busy = False
    _interest = _IN
    _phase = _OPEN
    _outcome = None         # the name of the event that comes before all others
    _made_ms = None         # ticks at which another thread than the loop's made it
    _host_name = None
    _tls = None
    _sent = None            # handler and argument of a send that is complete, and not told yet
    _sent_arg = None
    _sending = None         # (view, handler, arg): what could not be written, or told of, yet,
    _queue = None           # an XFiFo of what is behind it,
    _queued = 0             # and the bytes in all
    _memory = None          # where unread bytes are kept: the slot's memory, or what was _own_memory
    _own_memory = None      # memory for a receive that is larger than the slot, until _keep makes it _memory
    _timer = None           # XTimer of the receives' timeouts
    _in_long_line = False   # which is skipped
    _peer_done = False      # the peer sends no more

    @staticmethod
    def Create(asyncSocketsPool, srvAddr, connectTimeout=5, recvbufLen=4096, connectAsync=True, recvBufLen=None,
               sendBufLen=4096):
        """
        Connect to `srvAddr`, (ip or host name, port); a name is looked up here, which blocks. `connectTimeout`:
        seconds; None for the system's own limit. `recvbufLen` (alias recvBufLen), `sendBufLen`: sizes of the two
        buffers in bytes, allocated when needed. `connectAsync` False: wait here until connected. Returns the client,
        whose OnConnected or OnFailsToConnect will fire, or None if the connection cannot even be started; then
        OnException gets the reason. Raises XAsyncTCPClientException for a wrong argument.
        """
        fail = XAsyncTCPClientException
        size = recvbufLen if recvBufLen is None else recvBufLen
        _check_pool(asyncSocketsPool, fail)
        _check_address('srvAddr', srvAddr, fail, 1)
        _check_size('recvbufLen', size, fail)
        _check_size('sendBufLen', sendBufLen, fail)
        if connectTimeout is not None:
            _check_seconds('connectTimeout', connectTimeout, fail)
        sock = None
        try:
            family, address = _resolve(srvAddr)
            sock = socket.socket(family, socket.SOCK_STREAM)
            if connectAsync:
                sock.setblocking(False)
            else:
                sock.settimeout(connectTimeout)
            try:
                sock.connect(address)
            except OSError as ex:
                if not connectAsync or ex.errno != errno.EINPROGRESS:
                    raise
            client = XAsyncTCPClient(asyncSocketsPool, sock, _readable(address), None, XBufferSlot(size, False),
                                     XBufferSlot(sendBufLen, False))
        except Exception as ex:
            if sock is not None:
                sock.close()
            if isinstance(asyncSocketsPool, XAsyncSocketsPool) and not asyncSocketsPool._stopping:
                asyncSocketsPool._tell(None, _error(
                    fail, 'Create: no connection to "srvAddr" %s:%s' % tuple(srvAddr), ex))
            return None
        client._host_name = srvAddr[0]
        if connectTimeout is not None:
            client._pool._do(client, client._set_deadline, connectTimeout, XAsyncTCPClient._phase_over)
        asyncSocketsPool.NotifyNextReadyForWriting(client, True)
        return client

    def __init__(self, asyncSocketsPool, cliSocket, srvAddr, cliAddr, recvBufSlot, sendBufSlot=None):
        # All that XAsyncSocket.__init__ does, without calling it: an accept costs less so.
        self.SrvAddr = srvAddr
        self._address = cliAddr or _ANY_ADDRESS
        # What each message looks up, and what closing stores: see XAsyncSocket.__init__. (With 18 names; 17 would fill
        # the dict that MicroPython has for them, and make each look-up of a method slow.)
        self._wants = self._argument = None
        self._again = ...       # the timeout with which the same receive may be asked for again in the short way
        # The number of unread bytes in _memory. While _deliver calls a handler, it is minus the number of bytes behind
        # that handler's data: not 0, so that StartSSLContext refuses, and not above 0, so that the short way may open.
        self._held = 0
        self._handler = _ignore
        self._read = cliSocket.readinto if _MICROPYTHON else cliSocket.recv_into
        self._recv_slot = recvBufSlot
        if sendBufSlot is not None:
            self._send_slot = sendBufSlot
        if cliAddr:             # accepted
            self._write = cliSocket.write if _MICROPYTHON else cliSocket.send
        else:
            self._phase = _CONNECTING
            self._interest = 0
            self._outcome = None
            self._write = _not_now
            if getattr(asyncSocketsPool, '_owner', 0) not in (None, _get_ident()):
                self._made_ms = _ticks_ms()
        cliSocket.setblocking(False)
        _switch_on(cliSocket, _NO_DELAY)      # small messages go at once (RFC 896 delays them)
        self._closing = False
        self._next = self._reason = None
        self.SocketID = _next_id()
        if not _isinstance(asyncSocketsPool, XAsyncSocketsPool):
            asyncSocketsPool = _ForeignPool(asyncSocketsPool)
        self._pool = asyncSocketsPool
        self._scratch = asyncSocketsPool._scratches.get(recvBufSlot.Size) \
            or _Scratch(recvBufSlot.Size, asyncSocketsPool._scratches)
        self._socket = cliSocket
        asyncSocketsPool.AddAsyncSocket(self)

    # --- receiving: what the application asks for

    def AsyncRecvData(self, size=None, onDataRecv=None, onDataRecvArg=None, timeoutSec=None):
        """
        Receive once: f(xAsyncTCPClient, data, onDataRecvArg), with `data` a memoryview that is valid until the handler
        returns. `size` None: whatever has arrived, at least 1 byte; N: exactly N bytes, which may exceed the buffer.
        `timeoutSec`: seconds after which the connection is closed with Timeout. Returns True, or False on a closed
        connection and after the peer's end. Raises XAsyncTCPClientException for a wrong argument, if there is no
        memory for N bytes, and while a receive is pending.
        """
        if size is not None:
            _check_size('size', size, XAsyncTCPClientException)
        elif onDataRecv is self._handler and timeoutSec is self._again and timeoutSec is not ... \
                and self._wants is None and _get_ident() == self._pool._owner:
            if timeoutSec is not None:
                timer = self._timer     # as _put_off, without a call
                timer._due = _ticks_add(_ticks_ms(), timer._ms)  # type: ignore[attr-defined]
                if not timer._runs:  # type: ignore[attr-defined]
                    timer._start(timer._ms)  # type: ignore[attr-defined]
            self._argument = onDataRecvArg
            self._wants = _SOME
            return True
        onDataRecv = (onDataRecv, onDataRecvArg, timeoutSec)    # the same name: one more local enlarges the frame
        return self._receive(size or _SOME, onDataRecv)

    def AsyncRecvLine(self, onDataRecv=None, onDataRecvArg=None, timeoutSec=None, lineEncoding='UTF-8',
                      onLineRecv=None, onLineRecvArg=None):
        """
        Receive one line: f(xAsyncTCPClient, line, onDataRecvArg), with `line` a str without its end, LF or CR LF;
        onLineRecv and onLineRecvArg are aliases. `lineEncoding`: a codec of CPython; MicroPython has UTF-8. A str as
        the first positional argument is the encoding, as older programs pass it. A line longer than the buffer (see
        OnLineTooLong), or not of that encoding, closes the connection with Error. For the rest see AsyncRecvData.
        """
        if onDataRecv is self._handler and timeoutSec is self._again and timeoutSec is not ... \
                and self._wants is None and lineEncoding == 'UTF-8' and _get_ident() == self._pool._owner:
            if timeoutSec is not None:
                self._timer._put_off()  # type: ignore[attr-defined]
            self._argument = onDataRecvArg if onLineRecvArg is None else onLineRecvArg
            self._wants = 'utf-8'
            return True
        if _type(onDataRecv) is _str:
            onDataRecv, onDataRecvArg, timeoutSec, lineEncoding = \
                onDataRecvArg, timeoutSec, None if lineEncoding == 'UTF-8' else lineEncoding, onDataRecv
        onDataRecv = (onDataRecv if onLineRecv is None else onLineRecv,
                      onDataRecvArg if onLineRecvArg is None else onLineRecvArg, timeoutSec)
        return self._receive(_encoding(lineEncoding), onDataRecv)

    def _receive(self, wants, asked, claimed=False):
        """`asked`: handler, argument and timeout, in one so that frames are small."""
        if asked[0] is not None and not _callable(asked[0]):
            _check_handler('onDataRecv', asked[0], XAsyncTCPClientException)
        ms = 0 if asked[2] is None else _check_seconds('timeoutSec', asked[2], XAsyncTCPClientException)
        if not claimed:
            if _get_ident() != self._pool._owner or _type(wants) is not _str and wants > self._recv_slot.Size:
                return self._claim(wants, asked)
            if self._wants is not None:
                return self._refuse()
        if self._closing:
            return False
        self._handler = asked[0] or _ignore
        self._argument = asked[1]
        pool = self._pool
        self._again = ...
        if self._held <= 0 and not self._peer_done and not self.IsSSL and pool._workers is None and pool.public is pool:
            self._again = asked[2]
        self._wants = wants
        if self._timer is None and ms:
            self._timer = XTimer(pool, XAsyncTCPClient._receive_over, self, self)
        if self._timer is not None:
            self._timer._ms = ms
            if ms:
                self._timer._put_off()
        if self._held > 0 or self._peer_done or self._own_memory is not None:
            pool._post(self)
        return True

    def _claim(self, wants, asked):
        """A receive that another thread asks for, or that exceeds the buffer."""
        with _state_lock:
            if self._wants is not None:
                return self._refuse()
            self._wants = _NO_MORE      # so that nobody else asks for one
        try:
            if _type(wants) is not _str and wants > self._recv_slot.Size:
                self._own_memory = memoryview(bytearray(wants))
            self._pool._do(self, self._receive, wants, asked, True)
        except (MemoryError, OverflowError) as ex:
            self._wants = None
            raise _error(XAsyncTCPClientException, 'AsyncRecvData: no memory for this "size"', ex)
        return True

    def _refuse(self):
        if self._closing or self._peer_done and self._wants == _NO_MORE:
            return False
        raise XAsyncTCPClientException('a receive is already pending')

    def _receive_over(self):
        if not self._timer._ms or self._wants is None or self._wants == _NO_MORE:
            return
        if self._phase == _CONNECTING or self._busy:    # what waits for a connection counts from there
            self._timer._put_off()
        else:
            self._close(XClosedReason.Timeout)

    # --- receiving: what arrives

    def OnReadyForReading(self):
        """Read once and hand out what is wanted."""
        if not self._interest & _IN or self._closing and self._phase != _HANDSHAKING:
            return
        memory = self._memory
        held = self._held
        try:
            n = self._read(self._scratch.view if memory is None else memory[held:self._room()])
        except Exception as ex:
            self._read_failed(ex)
            return
        if self._tls is not None:
            self._after_tls(n)
        if n:
            self._deliver(self._scratch.take(n) if memory is None else memory[:held + n])
        elif n == 0:
            self._peer_closed()
        if self.ExpireTimeSec is not None and self._wants is None and self._phase == _OPEN:
            self.ExpireTimeSec = None   # no receive is pending: a foreign pool must not end this

    def _room(self):
        """How many bytes may be held: a line's end has room behind the buffer's size."""
        size = self._recv_slot.Size
        if _type(self._wants) is _str:
            return size + _LINE_END
        return max(size, self._held, self._wants or 0)

    def _read_failed(self, ex):
        if not isinstance(ex, OSError) or ex.errno not in _WOULD_BLOCK:
            if isinstance(ex, MemoryError):     # not the network's doing: OnException is told, too
                self._pool._report(self, ex)
            else:
                self._fail(ex)

    def _give(self, data):
        """Give data to the handler of the receive."""
        self._wants = None
        if self._pool._workers is None:
            handler = self._handler
            handler(self, data, self._argument)
        else:
            self._pool._workers.give(self, self._handler, (
                self, data if _type(data) is _str else memoryview(bytearray(data)), self._argument))

    def _deliver(self, view):
        """Call handlers with what is unread, `view`, as long as more is wanted, and keep the rest."""
        start = 0
        while start < _len(view) and self._wants is not None:
            if _type(self._wants) is _str:
                start += self._deliver_lines(bytes(view[start:] if start else view))   # a memoryview has no find
                if _type(self._wants) is _str:
                    break
                continue
            if self._wants == _NO_MORE or self._wants > _len(view) - start:
                break
            n = start
            start = n + self._wants if self._wants > 0 else _len(view)
            self._held = start - _len(view)
            self._give(view[n:start])
        if start < _len(view) or self._memory is not None or self._own_memory is not None:
            self._keep(view, start)

    def _deliver_lines(self, chunk):
        """Hand out lines while lines are wanted. Returns where the rest of `chunk` begins."""
        start = 0
        while _type(self._wants) is _str:
            n = chunk.find(b'\n', start)
            if n < 0:   # it has not ended yet
                n = _len(chunk) - start
                if self._in_long_line or n > self._recv_slot.Size + (1 if n and chunk[-1] == 13 else 0):
                    self._line_too_long()
                    return _len(chunk)
                break
            line = chunk[start:n - 1 if n > start and chunk[n - 1] == 13 else n]
            start = n + 1
            self._held = start - _len(chunk)
            if _len(line) > self._recv_slot.Size or self._in_long_line:
                self._line_too_long(True)
                if self._busy:      # with OnLineTooLong
                    break
                continue
            line = _text(line, self._wants)
            if line is None:
                self._fail(ValueError('a line is not ' + self._wants))
            elif self._pool._workers is None:   # as _give, without the call
                self._wants = None
                handler = self._handler
                handler(self, line, self._argument)
            else:
                self._give(line)
        return start

    def _line_too_long(self, ends=False):
        if self.OnLineTooLong is None:
            self._fail(ValueError('a line is longer than the buffer of %d bytes' % self._recv_slot.Size))
            return
        self._in_long_line = not ends
        if ends:
            self._pool._call(self, self.OnLineTooLong, self)

    def _keep(self, view, start):
        """Keep view[start:], which no handler took, and go on reading as long as there is room."""
        if self._reason is not None:
            return
        held = self._held = len(view) - start
        memory = self._memory
        move = start > 0 or memory is None      # out of the scratch, or to the beginning
        if self._own_memory is not None:
            memory, self._own_memory = self._own_memory, None
            move = True
        elif not held:
            memory = None
            if not self._recv_slot._keep:
                self._recv_slot._memory = None
        elif memory is None:
            memory = self._recv_slot._allocate()    # if that raises, the connection ends
        if held and move:
            memory[:held] = view[start:]    # may overlap: both interpreters use memmove
        if memory is not None:
            self._again = ...
        if memory is not self._memory:  # storing None would add a name to the object's dict
            self._memory = memory
        self._pause(held >= self._room())

    def _pause(self, paused):
        """Stop reading while the buffer is full."""
        if paused != bool(self._interest & _IN) or self._peer_done or self._closing:
            return
        if self._phase == _OPEN:
            self._set_deadline(None)    # _dispatch set it if it saw _PEER_END while reading was paused
        if self._tls is not None:
            self._tls.more = True       # it may hold data, which poll() does not see
            self._pool._post(self)
        self._pool._set_interest(self, _IN, not paused)
        if _PEER_END:
            self._pool._set_interest(self, _PEER_END, paused)

    # --- events

    def _fire(self):
        """Tell one thing that is due, the oldest first; what is left is due again."""
        handler = self._sent
        if handler is not None:
            arg = self._sent_arg
            self._sent = self._sent_arg = None
            if self._again is ...:    # there may be more to tell, which there is not while the short way is open
                self._pool._post(self)
            if self._write is _not_now and self._sending is not None:
                self._send_waiting()    # it stopped until this is told
            if self._pool._workers is None:
                handler(self, arg)
            else:
                self._pool._workers.give(self, handler, (self, arg))
            return
        if self._outcome is not None:
            self._tell_outcome()
            return
        if self._reason is not None:
            if self._sending is not None:
                self._send_waiting()
            XAsyncSocket._fire(self)
            return
        if self._own_memory is not None or self._held and self._wants is not None:
            if self._peer_done and self._phase == _OPEN:
                self._set_deadline(None)    # the application reads: _peer_closed waits anew
            self._deliver(self._memory[:self._held] if self._held else b'')     # b'': only for _keep
        if self._tls is not None and self._tls.more:
            self.OnReadyForReading()
        if self._peer_done and self._reason is None:
            self._peer_closed()

    # --- sending

    def AsyncSendData(self, data, onDataSent=None, onDataSentArg=None):
        """
        Send `data`, any object of the buffer protocol, after all that this thread gave before; it may be changed as
        soon as this returns. f(xAsyncTCPClient, onDataSentArg) is called once the system has all of it. Returns True,
        or False on a closed connection. Raises XAsyncTCPClientException for a wrong argument, and, with nothing of
        `data` queued, if more than SendQueueLimit bytes would wait; data that finds the queue empty is always taken.
        """
        if onDataSent is not None and not _callable(onDataSent):
            _check_handler('onDataSent', onDataSent, XAsyncTCPClientException)
        if not _isinstance(data, _BYTES) or _get_ident() != self._pool._owner:
            return self._send_later(data, -2, onDataSent, onDataSentArg)
        n = _try_write(self, data)
        if n != _len(data) or onDataSent is not None and self._sent is not None:
            return self._send_later(data, n, onDataSent, onDataSentArg)
        if onDataSent is not None:
            self._sent = onDataSent
            self._sent_arg = onDataSentArg
            if self._next is None:      # as _post, without a call, and without a further local: the frame is full
                n = self._next = self._pool
                if n._due_first is n:
                    n._due_first = self
                else:
                    n._due_last._next = self
                n._due_last = self
        return True

    def _write_again(self, data, write=None):
        try:
            return (write or self._write)(data) or 0
        except Exception as ex:
            if isinstance(ex, OSError) and ex.errno in _WOULD_BLOCK:
                return 0
            if not _MICROPYTHON and write is None and isinstance(ex, (BufferError, ValueError)):
                return 0    # not a plain memoryview: _as_bytes makes one of it, or raises
            self._fail(ex)
            return -1

    def _send_later(self, data, n, handler, arg):
        """
        `n`: bytes that the system took; -1: the connection broke; -2: not tried (another thread, or older data waits).
        Queue the other bytes, as a copy if the caller may change them.
        """
        if n == -1:
            return False
        n = max(n, 0)
        rest = _as_bytes('data', data, XAsyncTCPClientException)
        view = memoryview(rest)[n:] if rest is data else memoryview(rest[n:])     # hold no more than the rest of a copy
        if not view and handler is None:    # all is sent, but `data` has other items than bytes
            return True
        with _state_lock:
            if self._closing:
                return False
            if not n and self._queued and self._queued + len(view) > self.SendQueueLimit:
                raise XAsyncTCPClientException('AsyncSendData: the sending queue is full: %d bytes wait' % self._queued)
            self._queued += len(view)
        try:
            self._pool._do(self, self._queue_up, view, handler, arg)
        except MemoryError:
            with _state_lock:
                self._queued -= len(view)
            raise
        return True

    def _queue_up(self, view, handler, arg):
        """`view`, which is counted in _queued, waits for the socket to be writable."""
        if self._reason is not None:
            return
        if self._sending is not None:
            if self._queue is None:
                self._queue = XFiFo()
            self._queue.Put((view, handler, arg))
            return
        self._sending = (view, handler, arg)
        if self._write is not _not_now:     # from now on, all later data has to wait behind this
            self._write = _not_now
            self._send_waiting()
        elif self._phase != _CONNECTING:
            self._pool._set_interest(self, _OUT, True)

    def _writer(self):
        return self._tls.send if self._tls is not None else self._socket.write if _MICROPYTHON else self._socket.send

    def _send_waiting(self):
        """Write what waits, until the system takes no more or an onDataSent has to be called first; then go on."""
        progress = False
        while self._sending is not None and self._sent is None:
            view, handler, arg = self._sending
            if view:
                n = -1 if self._reason is not None else self._write_again(view, self._writer())
                if n < 0:               # it ends, and the rest goes nowhere
                    self._sending = None
                    if self._queue is not None:     # only what the object has is stored: see _clear
                        self._queue = None
                    return
                with _state_lock:
                    self._queued -= n
                progress = progress or n
                if n < len(view):
                    self._sending = (view[n:], handler, arg)
                    break
            if handler is not None:
                self._sent = handler
                self._sent_arg = arg
                self._pool._post(self)
            self._sending = None if self._queue is None or self._queue.Empty else self._queue.Get()
        if self._reason is not None:
            return
        if self._tls is not None:
            self._look_at_handshake()
        if self._sending is not None:
            self._write = _not_now
            if self._sent is None and (self._tls is None or self._tls.blocked == _OUT):
                self._pool._set_interest(self, _OUT, True)
            if progress and self._deadline is not None and self._phase != _HANDSHAKING:
                self._linger()          # anew, as the peer takes data
        elif self._phase == _FLUSHING:
            self._end_sending()
        elif self._peer_done:
            self._write = self._writer()
            self._pool._post(self)      # for what is unread comes first
        elif self._phase == _OPEN:
            self._write = self._writer()

    def OnReadyForWriting(self):
        """Go on with connecting, with TLS, or with what waits to be sent."""
        if self._reason is not None:
            return
        self._interest &= ~_OUT     # asked for once: ours has cleared it, a foreign pool has not
        if self._phase == _CONNECTING:
            self._connected()
        elif self._tls is not None:
            self.OnReadyForReading()
        if self._outcome is None and self._reason is None:
            if self._sending is not None:
                self._send_waiting()
            elif self._phase == _FLUSHING:
                self._end_sending()
        self._pool._written(self)

    def AsyncSendSendingBuffer(self, size=None, onDataSent=None, onDataSentArg=None):
        """Send the first `size` bytes of SendingBuffer, None for all. For the rest see AsyncSendData."""
        if self._closing:
            return False
        slot = self._sending_slot()
        if size is None:
            size = slot.Size
        _require(type(size) is int and 0 < size <= slot.Size, XAsyncTCPClientException, 'size',
                 'an int of 1 to %d or None' % slot.Size, size)
        return self.AsyncSendData(slot.Buffer[:size], onDataSent, onDataSentArg)

    def _sending_slot(self):
        if self._send_slot is None:
            self._send_slot = XBufferSlot(self._recv_slot.Size)
        return self._send_slot

    if _MICROPYTHON:    # no property: see XAsyncSocket
        def __getattr__(self, name):
            if name == 'CliAddr':
                return _readable(self._address)
            if name == 'SendingBuffer':
                return self._sending_slot().Buffer
            raise AttributeError("'%s' object has no attribute '%s'" % (type(self).__name__, name))
    else:               # CPython: __getattr__ would make all look-ups slow
        CliAddr = property(lambda self: _readable(self._address), doc='(ip, port) of the client.')
        SendingBuffer = property(lambda self: self._sending_slot().Buffer, doc="The connection's own sending buffer.")

    # --- connecting

    def _connected(self):
        """
        Writable for the first time: connected, or refused. MicroPython has no getsockopt, and ESP32 reports no error,
        so a read tells: it fails if the connection did.
        """
        n = None
        try:
            n = self._read(self._scratch.view)
        except Exception as ex:
            self._read_failed(ex)
            if self._reason is not None:
                return
        self._phase = _OPEN
        self._set_deadline(None)
        if not _MICROPYTHON:
            self._address = self._socket.getsockname()
        self._outcome = 'OnConnected'
        self._pool._post(self)
        if self._timer is not None and self._timer._ms and self._wants is not None:
            self._timer._put_off()
        if n == 0:      # _fire tells that after OnConnected
            self._peer_done = True
            return
        self._pool._set_interest(self, _IN, True)
        if n:   # it has come already, and waits until that is told
            self._keep(self._scratch.take(n), 0)

    def _tell_outcome(self):
        self._pool._post(self)      # for what is due behind it
        handler = getattr(self, self._outcome)
        made_ms = self._made_ms
        if handler is None and made_ms is not None and _ticks_diff(_ticks_ms(), made_ms) < _HANDLER_GRACE_MS:
            time.sleep(0.001)       # another thread made it, and may be about to set the handler
            return
        self._outcome = None
        self._send_waiting()        # only now, so that what is sent is told after it
        if handler is not None:
            self._pool._call(self, handler, self)

    # --- TLS

    @staticmethod
    def CreateSSLContext(keyfile=None, certfile=None, server_side=False, cert_reqs=0, ca_certs=None,
                         check_hostname=True):
        """
        An SSLContext for StartSSLContext, made in the same way on both interpreters: paths of PEM (on MicroPython also
        DER) files, `cert_reqs` 0, 1 or 2 for ssl.CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED. If it is 2, a client
        checks the host name, too; on CPython `check_hostname` False leaves that out. Raises XAsyncTCPClientException.
        """
        try:
            if _MICROPYTHON:
                import tls as ssl
            else:
                import ssl
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
            if not _MICROPYTHON:
                context.check_hostname = False
            context.verify_mode = cert_reqs  # type: ignore[attr-defined]
            if not _MICROPYTHON:
                context.check_hostname = check_hostname and not server_side and cert_reqs == 2
            if certfile:
                if _MICROPYTHON:
                    certfile, keyfile = _der(certfile, b'CERTIFICATE')[0], _der(keyfile or certfile, b'PRIVATE KEY')[0]
                context.load_cert_chain(certfile, keyfile)
            if ca_certs:
                for authority in _der(ca_certs, b'CERTIFICATE') if _MICROPYTHON else (ca_certs,):
                    context.load_verify_locations(authority)
            return context
        except Exception as ex:
            raise _error(XAsyncTCPClientException, 'the key or a certificate cannot be used', ex)

    def StartSSL(self, keyfile=None, certfile=None, server_side=False, cert_reqs=0, ca_certs=None):
        """
        Start TLS with the arguments of the former ssl.wrap_socket, whose files are read for each connection.
        `cert_reqs`: see CreateSSLContext. Returns True. Raises as StartSSLContext does.
        """
        return self.StartSSLContext(self.CreateSSLContext(keyfile, certfile, server_side, cert_reqs, ca_certs,
                                                          self._host_name is not None), server_side)

    def StartSSLContext(self, sslContext, serverSide=False, serverName=None):
        """
        Start TLS with `sslContext`, an ssl.SSLContext, on a connection at its start or in the middle of it (STARTTLS).
        `serverName`: the name that the server's certificate must have; None for the one that Create was given.
        The handshake never blocks the pool; sends and receives may be started at once and wait for it. If it fails,
        the connection closes with Error and CloseError tells why. Returns True. Raises XAsyncTCPClientException for a
        wrong argument, on a connection that is not open, and if plain data is unread (it could have been injected)
        or unsent.
        """
        _require(hasattr(sslContext, 'wrap_socket'), XAsyncTCPClientException, 'sslContext', 'an ssl.SSLContext',
                 sslContext)
        why = None
        with _state_lock:
            if self.IsSSL:
                why = 'TLS has already started'
            elif self._phase != _OPEN or self._closing:
                why = 'the connection is not open'
            elif self._queued:
                why = 'plain data is unsent; start TLS from its onDataSent'
            elif self._held:
                why = _PLAIN
            else:
                self.IsSSL = True       # what is sent from now on waits for TLS, also what another thread sends,
                self._write = _not_now
                self._read = _ignore    # and what arrives now is TLS's
        if why is not None:
            raise XAsyncTCPClientException('StartSSLContext: ' + why)
        self._pool._do(self, self._start_tls, sslContext, serverSide, serverName or self._host_name)
        return True

    def _start_tls(self, context, server_side, name):
        global _tls_class
        if self._reason is not None:
            return
        try:
            if self._held:      # it came after another thread asked
                raise ValueError(_PLAIN)
            kind = _tls_class = _tls_class or _make_tls_class()
            tls = kind(self._socket, context, server_side, name)
        except Exception as ex:
            self._fail(_error(XAsyncTCPClientException, 'StartSSLContext: TLS cannot start', ex))
            return
        self._socket = tls.socket
        self._tls = tls
        self._read = tls.receive
        self._write = _not_now
        self._again = ...
        self._phase = _HANDSHAKING
        self._set_deadline(self.HandshakeSec, XAsyncTCPClient._phase_over)
        tls.more = True     # a client speaks first
        self._pool._post(self)

    def _after_tls(self, n):
        """TLS has read: go on with what it waits for."""
        tls = self._tls
        tls.more = bool(n) and not tls.blocked  # type: ignore[attr-defined]
        # What poll() does not see: read on when the other sockets have had their turn.
        if tls.more:  # type: ignore[attr-defined]
            self._pool._post(self)
        self._look_at_handshake()
        if self._sending is not None:   # reading may be what it waited for
            self._send_waiting()
        elif tls.blocked == _OUT:  # type: ignore[attr-defined]
            self._pool._set_interest(self, _OUT, True)

    def _look_at_handshake(self):
        if self._phase != _HANDSHAKING or not self._tls.open:  # type: ignore[attr-defined]
            return
        self._phase = _OPEN
        self._set_deadline(None)
        if self._closing:
            self._start_close()
        elif self._sending is None:
            self._write = self._tls.send  # type: ignore[attr-defined]

    # --- the end

    def _linger(self):
        self._set_deadline(self.LingerSec, XAsyncTCPClient._phase_over)

    def _phase_over(self):
        """The deadline of connecting, of the handshake, or of the end has come."""
        reason = XClosedReason.Timeout
        if self._busy:
            self._set_deadline(0.02, XAsyncTCPClient._phase_over)
            return
        if self._phase == _HANDSHAKING:     # MicroPython learns of its end only with the first data: ask
            if self._tls.is_open():  # type: ignore[attr-defined]
                self._look_at_handshake()
                return
            self.CloseError = XAsyncTCPClientException('TLS: the handshake took too long')
        elif self._phase == _FLUSHING:
            reason = XClosedReason.ClosedByHost
        elif self._phase == _OPEN:
            if self.OnPeerFinished is not None:     # what came before waits for the application
                return
            reason = XClosedReason.ClosedByPeer
        self._close(reason)

    def _start_close(self):
        self._wants = _NO_MORE
        self._write = _not_now
        self._again = ...
        unsent = self._sending is not None or self._queued      # of another thread, and still in the mailbox
        if self._reason is not None or self._phase == _HANDSHAKING and unsent:
            return
        if self._phase == _CONNECTING or not unsent:
            self._end_sending()
            return
        self._phase = _FLUSHING
        self._pool._set_interest(self, _IN, False)
        self._linger()

    def _end_sending(self):
        if not _MICROPYTHON and self._tls is not None and not self._tls.say_goodbye():
            self._phase = _FLUSHING
            self._pool._set_interest(self, _IN, False)
            self._pool._set_interest(self, _OUT, True)
            if self._deadline is None:
                self._linger()
            return
        self._close(XClosedReason.ClosedByHost)

    def _fail(self, exception):
        if self._reason is None:
            self.CloseError = exception
        self._close()

    def OnExceptionalCondition(self):
        """Reset by the peer, or refused: a read tells the error."""
        error = None
        try:
            self._read(self._scratch.view)
        except Exception as ex:
            error = ex
        self._fail(error)

    def _peer_closed(self):
        """
        The peer sends no more; it may still take what is queued, and what it sent may still be read. Called again
        whenever that may have changed: all is delivered (then OnPeerFinished), or also sent (then the end).
        """
        # The common end: nothing unread (the short way is open), nothing unsent, and nobody to be asked.
        if self._again is not ... and self._write is not _not_now and self.OnPeerFinished is None:
            self._close(XClosedReason.ClosedByPeer)
            return
        self._again = ...
        if not self._peer_done:
            self._peer_done = True
            self._pool._set_interest(self, _IN, False)
            if self._held and self._wants is not None:
                self._deliver(self._memory[:self._held])
        if self._busy:      # a worker may want more, or answer
            self._pool._post(self)
            return
        unread = self._held and (self._wants is None or self._wants == _NO_MORE)
        if self.OnPeerFinished is not None and not (self._tls is not None and self._tls.truncated):
            if not unread and self._wants != _NO_MORE:
                self._wants = _NO_MORE
                self._pool._call(self, self.OnPeerFinished, self)
            return
        if self._sending is None and not unread:
            if self._tls is not None and self._tls.truncated:
                self._fail(OSError('TLS: the peer ended without close_notify, what it sent may not be all'))
            self._close(XClosedReason.ClosedByPeer)
        elif self._deadline is None:
            self._linger()

    def _clear(self):
        self._wants = _NO_MORE
        self._write = _not_now
        self._again = ...
        if self._phase == _CONNECTING:
            self._phase = _OPEN         # once: this may be repeated
            self._outcome = 'OnFailsToConnect'
        elif self._reason == XClosedReason.ClosedByHost:
            # With data unread it would be a reset, and the peer could lose what we sent last (RFC 2525, 2.17).
            try:
                for _ in range(16):     # not for ever: the peer may go on sending
                    if not self._read(self._scratch.view):
                        break
            except Exception:
                pass
        if self._tls is not None:
            if not _MICROPYTHON and self._reason != XClosedReason.Error:
                self._tls.say_goodbye()
            self._tls.close()
            self._tls = None
        if self._timer is not None:
            self._timer.Cancel()
        self._set_deadline(None)
        # Only what the object has is stored: see XAsyncSocket.__init__.
        if self._memory is not None:
            self._memory = None
        if self._own_memory is not None:
            self._own_memory = None
        self._argument = None
        self._handler = _ignore


class XAsyncUDPDatagram(XAsyncSocket):
    """
    UDP sender and, with a local address, receiver.

    LocalAddr: the bound (ip, port), or ('0.0.0.0', 0). OnRecv (alias OnDataRecv): event
    f(xAsyncUDPDatagram, remoteAddr, datagram), with `datagram` a memoryview that is valid until the handler returns.
    OnFailsToSend: event f(xAsyncUDPDatagram, datagram, remoteAddr). DroppedCount: datagrams that were larger than the
    buffer and not delivered. SendQueueLimit: datagrams that may wait to be sent; a further one fails.
    """

    SendQueueLimit = 16 if _ON_CHIP else 1024
    OnRecv = None
    OnFailsToSend = None
    DroppedCount = 0
    LocalAddr = _ANY_ADDRESS

    _known_since = 0
    _queue = None           # of the arguments of _send
    _queued = 0
    _outcomes = None        # an XFiFo of (handler, args) to be called

    @staticmethod
    def Create(asyncSocketsPool, localAddr=None, recvbufLen=4096, broadcast=False, recvBufLen=None):
        """
        `localAddr`: (ip, port) to receive at, port 0 takes a free one; None to send only. `recvbufLen` (alias
        recvBufLen): largest datagram to receive, in bytes. `broadcast`: allow sending to broadcast addresses, and share
        the port with other listeners. Returns the socket. Raises XAsyncUDPDatagramException.
        """
        fail = XAsyncUDPDatagramException
        size = recvbufLen if recvBufLen is None else recvBufLen
        _check_pool(asyncSocketsPool, fail)
        _check_size('recvbufLen', size, fail)
        if localAddr is not None:
            _check_address('localAddr', localAddr, fail)
        sock = None
        try:
            sock = socket.socket(socket.AF_INET if localAddr is None else _resolve(localAddr)[0], socket.SOCK_DGRAM)
            if broadcast:
                _switch_on(sock, (socket.SOL_SOCKET, socket.SO_BROADCAST))
                if localAddr is not None and localAddr[1]:
                    _switch_on(sock, (socket.SOL_SOCKET, socket.SO_REUSEADDR))
            address = None if localAddr is None else _bind(sock, localAddr)
            return XAsyncUDPDatagram(asyncSocketsPool, sock, None, address, size)
        except Exception as ex:
            if sock is not None:
                sock.close()
            raise _error(fail, 'Create: cannot open the socket%s' % (
                '' if localAddr is None else ' on "localAddr" %s:%s' % tuple(localAddr)), ex)

    def __init__(self, asyncSocketsPool, udpSocket, recvBufSlot, localAddr=None, size=4096):
        if localAddr is not None:
            self.LocalAddr = localAddr
            self._interest = _IN
        self._size = size
        self._known = {}        # system address by (ip or host name, port)
        self._peer = self._peer_system = None   # both of the last one
        # One byte more than is delivered, to know a datagram that is larger.
        self._into = size + 1 if _MICROPYTHON else memoryview(bytearray(size + 1))
        self._receive_from = udpSocket.recvfrom if _MICROPYTHON else udpSocket.recvfrom_into
        super().__init__(asyncSocketsPool, udpSocket, recvBufSlot)

    @property
    def OnDataRecv(self):
        """Alias of OnRecv."""
        return self.OnRecv

    @OnDataRecv.setter
    def OnDataRecv(self, handler):
        self.OnRecv = handler

    def OnReadyForReading(self):
        """Receive a datagram."""
        try:    # recvfrom on MicroPython: bytes, address; recvfrom_into on CPython: length, address
            got = self._receive_from(self._into)
        except OSError:         # nothing has come, or ICMP reports that an earlier one was not delivered
            return
        except MemoryError:     # left unread, it would be reported again at once
            self.DroppedCount += 1
            self._socket.recvfrom(1)
            raise
        self._deliver(got[0], got[1])

    def _deliver(self, data, address):
        if address != self._peer_system:
            self._peer = _readable(address)
            self._peer_system = address
        data = memoryview(data) if _MICROPYTHON else self._into[:data]
        if _len(data) > self._size:
            self.DroppedCount += 1
            return
        if _ESP32 and not len(data):    # it takes an empty one for the end; bind undoes that (modsocket.c)
            self._socket.bind(self.LocalAddr)
        address = self.OnRecv       # the handler: one more local would enlarge the frame
        if address is None or self._reason is not None:
            return
        if self._pool._workers is not None:
            data = memoryview(bytearray(data))
            self._pool._workers.give(self, address, (self, self._peer, data))
            return
        address(self, self._peer, data)

    def _look_up(self, address):
        known = self._known
        if address not in known and len(known) >= _KNOWN_ADDRESSES \
                or _ticks_diff(_ticks_ms(), self._known_since) > _NAME_LIFE_MS:
            known.clear()
        if not known:
            self._known_since = _ticks_ms()
        if address not in known:
            known[address] = _resolve(address)[1]
        found = known[address]
        if self._peer_system != found:
            self._peer, self._peer_system = _readable(found), found     # never a name, which gets old
        return found

    def AsyncSendDatagram(self, datagram, remoteAddr, onDataSent=None, onDataSentArg=None):
        """
        Send `datagram`, any object of the buffer protocol, to `remoteAddr`, (ip or host name, port). A name is looked
        up here, which blocks, and remembered for a minute. f(xAsyncUDPDatagram, onDataSentArg) is called once the
        system has it; if it does not take it, OnFailsToSend. Returns True, or False on a closed socket. Raises
        XAsyncUDPDatagramException for a wrong argument.
        """
        if remoteAddr == self._peer and onDataSent is None and _type(datagram) is not _str \
                and _get_ident() == self._pool._owner and self._try_send(datagram):
            return True
        return self._send_checked(datagram, remoteAddr, onDataSent, onDataSentArg)

    def _send_checked(self, datagram, remoteAddr, onDataSent, onDataSentArg):
        fail = XAsyncUDPDatagramException
        if self._closing:
            return False
        _check_handler('onDataSent', onDataSent, fail)
        _check_address('remoteAddr', remoteAddr, fail, 1)
        datagram = _as_bytes('datagram', datagram, fail)
        remoteAddr = tuple(remoteAddr)
        try:    # here also for another thread, so that the loop need not wait for it
            system_address = self._look_up(remoteAddr) if _get_ident() == self._pool._owner else \
                _resolve(remoteAddr)[1]
        except (OSError, ValueError):
            system_address = None
        self._pool._do(self, self._send, datagram, remoteAddr, system_address, onDataSent, onDataSentArg)
        return True

    def _try_send(self, datagram):
        """True if it goes to the last address at once; the slow way tells why it does not."""
        try:
            if not self._queued:
                self._socket.sendto(datagram, self._peer_system)
                return True
        except Exception:   # no `as`: see _watch
            pass
        return False

    def _send(self, datagram, remoteAddr, address, handler, arg):
        if self._reason is not None:
            return
        full = self._queued > 0
        if address is not None and not full:
            try:
                self._socket.sendto(datagram, address)
                return self._tell_later(handler, self, arg)
            except OSError as ex:
                if _ESP32 and not len(datagram) and ex.errno == errno.ETIMEDOUT:    # an empty one is sent, all the same
                    return self._tell_later(handler, self, arg)
                # ENOMEM is also what RP2 says of a datagram that its memory can never hold.
                full = ex.errno in _QUEUE_FULL and not (ex.errno == errno.ENOMEM and len(datagram) > _FRAME)
            except TypeError:       # an address of IPv6 for a socket of IPv4
                pass
        if address is None or not full or self._queued >= self.SendQueueLimit:
            return self._tell_later(self.OnFailsToSend, self, datagram, remoteAddr)
        if self._queue is None:
            self._queue = XFiFo()
        self._queue.Put((datagram, remoteAddr, address, handler, arg))
        self._queued += 1
        self._pool._set_interest(self, _OUT, True)

    def _tell_later(self, handler, *args):
        if handler is not None:
            if self._outcomes is None:
                self._outcomes = XFiFo()
            self._outcomes.Put((handler, args))
            self._pool._post(self)

    def _fire(self):
        if self._outcomes is None:
            return super()._fire()
        handler, args = self._outcomes.Get()
        if self._outcomes.Empty:
            self._outcomes = None
        if self._outcomes is not None or self._reason is not None:
            self._pool._post(self)
        self._pool._call(self, handler, *args)

    def OnReadyForWriting(self):
        """Send what waits."""
        self._interest &= ~_OUT     # asked for once: ours has cleared it, a foreign pool has not
        queue, self._queue, self._queued = self._queue, None, 0
        while queue is not None and not queue.Empty:    # one that is refused queues itself and all behind it again
            self._send(*queue.Get())
        self._pool._written(self)

    OnExceptionalCondition = OnReadyForReading      # an ICMP error about an earlier datagram: reading clears it

    def _clear(self):
        self._set_deadline(None)
        if self._queue is not None:
            self._queue = None
            self._queued = 0
        self._known.clear()


# === 5. TLS ===========================================================================================================

# The class that does TLS on a connected socket is made when TLS is first used: a program without TLS spares its memory.
# It has the same interface on both interpreters:
#
#   receive(into), send(data)   as readinto and write of a MicroPython socket: None for "not now", 0 the peer's end.
#                               They do the handshake, too. They raise what CloseError is to tell.
#   blocked                     what the last of these waits for, _IN or _OUT; 0 if it can go on at once
#   more                        the connection's note: to be read again at once
#   open                        True once the handshake is known to be over; is_open() finds out
#   truncated                   the peer's end came without close_notify: somebody may have cut off the rest
#   say_goodbye()               sends close_notify, False if that has to wait for _OUT; MicroPython has no call for it
#   socket, close()             the system socket from now on, and the end of what TLS holds beside it
_tls_class = None

if _MICROPYTHON:
    def _make_tls_class():
        import io

        class TLS(io.IOBase):
            """
            mbedTLS reads and writes the system socket by way of this object, which notes what the tls module does not
            tell (extmod/modtls_mbedtls.c): the direction it waits for, and whether the end came with close_notify.
            """

            def __init__(self, sock, context, server_side, name):
                self.socket = sock
                self.blocked = self._broken = 0
                self.open = self.more = self.truncated = self._over = self._asking = False
                # An IP address is no name to be indicated (RFC 6066, 3), but it can be verified.
                if name and not context.verify_mode and (':' in name or name.replace('.', '').isdigit()):
                    name = None
                self._tls = context.wrap_socket(self, server_side=server_side, do_handshake_on_connect=False,
                                                server_hostname=None if server_side else name)

            # These three are for mbedTLS. An exception must not pass through it.

            def readinto(self, into):
                if self._asking:
                    return 0
                if self._broken:
                    return self._broken
                n = None
                try:
                    n = self.socket.readinto(into)
                except OSError as ex:   # when asked again: raised now, it would lose what was read before it
                    self._broken = -ex.errno
                if n is None:
                    self.blocked = _IN
                elif n == 0:
                    self.truncated = True
                return n

            def write(self, data):
                try:
                    n = self.socket.write(data)
                except OSError as ex:
                    return -ex.errno
                if n is None:
                    self.blocked = _OUT
                return n

            def ioctl(self, request, arg):
                return 0

            # These are for the connection.

            def receive(self, into):
                if self._over:
                    return 0
                self.blocked = 0
                n = self._tls.readinto(into)
                if n is not None:
                    self.open = True
                    # Fewer than asked for, though the socket has more: close_notify. Asked again, TLS would wait.
                    self._over = n < len(into) and not self.blocked
                return n

            def send(self, data):
                self.blocked = 0
                n = self._tls.write(data)
                if n:
                    self.open = True
                return n

            def is_open(self):
                """Read as if the peer's end had come: a handshake fails then, an open connection reads 0 bytes."""
                self._asking = True
                try:
                    self.open = self.open or self._tls.readinto(bytearray(1)) == 0
                except Exception:
                    pass
                self._asking = False
                return self.open

            def close(self):
                self._tls.close()

        return TLS

    def _der(path, label):
        """The blocks of that label in a PEM file, or the file: few ports have mbedTLS's own PEM parser."""
        from binascii import a2b_base64
        _require(isinstance(path, str), ValueError, 'path', 'a str', path)
        with open(path, 'rb') as file:
            content = file.read()
        blocks = []
        for block in content.split(b'-----BEGIN ')[1:]:
            name, _, block = block.partition(b'-----')
            if name.endswith(label):
                blocks.append(a2b_base64(block.partition(b'-----')[0]))
        return blocks or [content]
else:
    def _make_tls_class():
        import ssl

        class TLS:
            def __init__(self, sock, context, server_side, name):
                self.blocked = 0
                self.open = self.more = self.truncated = False
                with _state_lock:
                    # Python makes OpenSSL treat a truncated stream as a proper end. A connection copies the options.
                    options = context.options
                    context.options = options & ~getattr(ssl, 'OP_IGNORE_UNEXPECTED_EOF', 0)
                    try:
                        self.socket = context.wrap_socket(
                            sock, server_side=server_side, do_handshake_on_connect=False, suppress_ragged_eofs=False,
                            server_hostname=None if server_side else name or None)
                    finally:
                        context.options = options

            def receive(self, into):
                n = self._call(self.socket.recv_into, into)
                if n and not self.socket.pending():
                    self.blocked = _IN
                return n

            def send(self, data):
                return self._call(self.socket.send, data) if len(data) else 0     # OpenSSL's write needs a byte

            def _call(self, function, argument):
                self.blocked = 0
                try:
                    if not self.open:
                        self.socket.do_handshake()
                        self.open = True
                    return function(argument)
                except ssl.SSLWantReadError:
                    self.blocked = _IN
                except ssl.SSLWantWriteError:
                    self.blocked = _OUT
                except ssl.SSLEOFError:
                    if not self.open or function != self.socket.recv_into:
                        raise
                    self.truncated = True
                    return 0
                return None

            def is_open(self):
                return self.open

            def say_goodbye(self):
                try:
                    self.socket.unwrap()
                except ssl.SSLWantWriteError:
                    return False
                except Exception:
                    pass
                return True

            def close(self):
                """The system socket holds all there is."""

        return TLS
