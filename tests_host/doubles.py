"""Stand-ins for the system's `socket` and `select` modules, which count, fail on demand, and look like those of a
chip. WallClock replaces the time of day.

They have to be installed before the library is imported, so a contract test that uses them does both in its function:

    doubles.install()
    from XAsyncSockets import ...

On CPython the stand-in is a subclass of the real socket. On MicroPython it has the method table of the RP2's socket
(extmod/modlwip.c): no fileno, addresses as (ip, port), numeric ones only; a stream object with an ioctl of its own,
which select.poll takes.
"""
import errno
import select
import socket
import sys
import time

from harness import MICROPYTHON, elapsed_ms, now_ms

_socket, _select = socket, select

made = []           # the kinds of all sockets that were made
backlogs = []       # arguments of listen
poll_changes = []   # calls that changed a poll set
failures = []       # methods that failed on demand
_faults = {}


def fail(method, number, count=1):
    """Let the next `count` calls of a method of a socket or a poll set raise OSError(number)."""
    _faults[method] = [number] * count


def _fault(method):
    if _faults.get(method):
        failures.append(method)
        raise OSError(_faults[method].pop(), 'by the test')


class _CountingPoll:
    """A poll object that records its changes."""

    def __init__(self, poll):
        self._poll = poll

    def __getattr__(self, name):
        attribute = getattr(self._poll, name)
        if name not in ('register', 'modify', 'unregister'):
            return attribute

        def counted(*args):
            _fault(name)
            poll_changes.append(name)
            return attribute(*args)

        return counted


class _Module:
    """The attributes of a module. Some of them are replaced."""

    def __init__(self, module, **replaced):
        self._module = module
        for name, value in replaced.items():
            setattr(self, name, value)

    def __getattr__(self, name):
        if name in _ABSENT_ON_CHIPS:
            raise AttributeError(name)
        return getattr(self._module, name)


_ABSENT_ON_CHIPS = ('sockaddr', 'inet_ntop', 'inet_pton', 'AF_UNIX', 'AF_INET6') if MICROPYTHON else ()


if MICROPYTHON:
    import io

    _POLL, _CLOSE = 3, 4    # requests of the stream protocol (py/stream.h)

    def _readable(address):
        family, ip, port = _socket.sockaddr(address)[:3]
        return _socket.inet_ntop(family, ip), port

    def _numeric(address):
        """Return the unix port's form of (ip, port). As on RP2, a host name is an error."""
        ip, port = address
        _socket.inet_pton(_socket.AF_INET, ip)
        return _socket.getaddrinfo(ip, port)[0][-1]

    class Socket(io.IOBase):
        """A socket that has only the methods of the RP2's sockets."""

        def __init__(self, family=_socket.AF_INET, kind=_socket.SOCK_STREAM, protocol=0, inner=None):
            self._inner = inner or _socket.socket(family, kind)
            self._poll = _select.poll()
            if inner is None:
                made.append(kind)
            for name in ('recv', 'send', 'read', 'readinto', 'write', 'setblocking', 'settimeout', 'setsockopt'):
                setattr(self, name, getattr(self._inner, name))

        def ioctl(self, request, argument):
            if request == _POLL:
                self._poll.register(self._inner, argument)
                for _, events in self._poll.ipoll(0):
                    return events
            elif request == _CLOSE:
                self._inner.close()
            return 0

        def accept(self):
            _fault('accept')
            inner, address = self._inner.accept()
            return Socket(inner=inner), _readable(address)

        def bind(self, address):
            self._inner.bind(_numeric(address))

        def connect(self, address):
            self._inner.connect(_numeric(address))

        def listen(self, backlog=2):
            backlogs.append(backlog)
            self._inner.listen(backlog)

        def recvfrom(self, size):
            _fault('recvfrom')
            data, address = self._inner.recvfrom(size)
            return data, _readable(address)

        def sendto(self, data, address):
            return self._inner.sendto(data, _numeric(address))

        def makefile(self, *_):
            return self

        def close(self):
            self._inner.close()

    def _getaddrinfo(host, port, *_):
        return [info[:4] + (_readable(info[4]),) for info in _socket.getaddrinfo(host, port)
                if info[0] == _socket.AF_INET]

else:
    class Socket(_socket.socket):
        """The system's socket. It is counted, and fails on demand."""

        def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
            super().__init__(family, type, proto, fileno)
            if fileno is None:
                made.append(self.type)

        def accept(self):
            _fault('accept')
            return super().accept()

        def listen(self, *backlog):
            backlogs.extend(backlog)
            super().listen(*backlog)

        def recvfrom(self, *args):
            _fault('recvfrom')
            return super().recvfrom(*args)

        def recvfrom_into(self, *args):
            _fault('recvfrom')
            return super().recvfrom_into(*args)

    _getaddrinfo = _socket.getaddrinfo


def install():
    """Make the library use these instead of the system's when it is imported next."""
    assert 'XAsyncSockets' not in sys.modules
    replaced = {'poll': lambda: _CountingPoll(_select.poll())}
    if hasattr(_select, 'epoll'):
        replaced['epoll'] = lambda *args: _CountingPoll(_select.epoll(*args))
    sys.modules['select'] = _Module(_select, **replaced)
    sys.modules['socket'] = _Module(_socket, socket=Socket, getaddrinfo=_getaddrinfo)


class WallClock:
    """The time of day that the library sees. Each `jump` happens a while after it was requested."""

    def __init__(self, after_ms):
        assert 'XAsyncSockets' not in sys.modules
        self._after_ms = after_ms
        self._start = now_ms()
        self._jump_sec = self._ahead_sec = 0
        sys.modules['time'] = _Module(
            time, time=lambda: time.time() + self._ahead(), time_ns=lambda: time.time_ns() + self._ahead() * 10 ** 9,
            gmtime=lambda *at: time.gmtime(*at or (time.time() + self._ahead(),)),
            localtime=lambda *at: time.localtime(*at or (time.time() + self._ahead(),)),
            # MicroPython has none, and the library's test for it would not work with this object.
            perf_counter=getattr(time, 'perf_counter', lambda: time.ticks_ms() / 1000))

    def jump(self, seconds):
        self._ahead_sec = self._ahead()
        self._start = now_ms()
        self._jump_sec = seconds

    def _ahead(self):
        return self._ahead_sec + (self._jump_sec if elapsed_ms(self._start) >= self._after_ms else 0)


EMFILE = 24
ECONNREFUSED = errno.ECONNREFUSED
