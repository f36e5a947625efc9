"""The library as a target, with real connections on the loopback interface: its framing of a stream, and any argument
of any public function. Inputs are JSON: see `framing` and `arguments`."""
import json
import socket

from XAsyncSockets import (
    XAsyncSocket,
    XAsyncSocketException,
    XAsyncSocketsPool,
    XAsyncSocketsPoolException,
    XAsyncTCPClient,
    XAsyncTCPClientException,
    XAsyncTCPServer,
    XAsyncTCPServerException,
    XAsyncUDPDatagram,
    XAsyncUDPDatagramException,
    XBufferSlot,
    XBufferSlots,
    XClosedReason,
    XFiFo,
)

SIZE = 16       # size of the buffers; small, so that inputs fill them


class Broken(Exception):
    """A promise is broken."""


def promise(holds, what, *about):
    if not holds:
        raise Broken('%s: %r' % (what, about))


class Stage:
    """A pool with a server. Each input gets a connection of its own."""

    def __init__(self):
        self.pool = XAsyncSocketsPool()
        self.pool.OnException = self._on_exception
        self.exceptions = []
        self.server = XAsyncTCPServer.Create(self.pool, ('127.0.0.1', 0), 16, XBufferSlots(4, SIZE, keepAlloc=False))
        self.server.OnClientAccepted = self._on_accepted

    def _on_exception(self, s, exception):
        self.exceptions.append(exception)

    def _on_accepted(self, server, client):
        self.client = client
        self.reason = None
        client.OnClosed = self._on_closed

    def _on_closed(self, client, reason):
        promise(self.reason is None, 'OnClosed comes once')
        self.reason = reason

    def connect(self):
        """Return (client, its peer, which is a blocking socket)."""
        self.client = None
        peer = socket.socket()
        peer.connect(socket.getaddrinfo(*self.server.SrvAddr)[0][-1])
        for _ in range(1000):
            if self.client is not None:
                return self.client, peer
            self.pool.PollEvents(10)
        raise Broken('a connection is accepted')

    def settle(self):
        """Run turns until nothing happens any more."""
        while self.pool.PollEvents():
            pass

    def end(self, client, peer):
        peer.close()
        client.Close()
        self.settle()
        promise(self.pool.GetAllAsyncSockets() == [self.server], 'nothing is left', self.pool.GetAllAsyncSockets())


_stage = None


def stage():
    global _stage
    if _stage is None:
        _stage = Stage()
    return _stage


# --- framing

class Reader:
    """Starts the receives that the input describes, and compares the results with the stream."""

    def __init__(self, client, asks, skips):
        self.client = client
        self.asks = asks
        self.skips = skips      # whether lines that are too long are skipped
        self.told = 0           # number of reported lines
        self.skipped = 0        # number of those before the last delivery
        if skips:
            client.OnLineTooLong = self.on_line_too_long
        self.stream = b''       # all data that was sent
        self.at = 0             # number of bytes that were delivered
        self.pending = None

    def arm(self):
        """Start the next receive."""
        if not self.asks or self.pending is not None:
            return
        self.pending = ask = self.asks.pop(0)
        if ask['want'] == 'line':
            done = self.client.AsyncRecvLine(self.on_data, lineEncoding=ask['encoding'])
        else:
            done = self.client.AsyncRecvData(ask['size'] if ask['want'] == 'exact' else None, self.on_data)
        promise(done is True, 'a receive starts', ask)

    def on_line_too_long(self, client):
        promise(self.pending is not None and self.pending['want'] == 'line', 'a line is requested')
        self.told += 1

    def on_data(self, client, data, arg):
        promise(self.pending is not None, 'one delivery for one receive', data)
        ask, self.pending = self.pending, None
        if ask['want'] == 'some':
            data = bytes(data)
            promise(0 < len(data) and data == self.stream[self.at:self.at + len(data)], 'the next bytes', data)
            self.at += len(data)
        else:
            due = self.due(ask)
            got = data if ask['want'] == 'line' else bytes(data)
            promise(due is not None and due[0] == got, 'the requested data', ask, got, due)
            self.at = due[1]
            self.skipped += due[2]
            promise(self.told == self.skipped, 'reported once for each line that is too long', self.told, self.skipped)
        if ask['inside']:
            self.arm()

    def due(self, ask):
        """Return (data to be delivered, the position after it, the number of lines skipped before it) for a line or an
        exact number of bytes. Return None while it is incomplete. The data is False if it can never be delivered."""
        at, skipped = self.at, 0
        if ask['want'] == 'exact':
            end = at + ask['size']
            return (self.stream[at:end], end, 0) if len(self.stream) >= end else None
        while True:
            rest = self.stream[at:]
            end = rest.find(b'\n')
            if end < 0:
                too_long = len(rest) - rest.endswith(b'\r') > SIZE
                return (False, 0, 0) if too_long and not self.skips else None
            line = rest[:end]
            if line.endswith(b'\r'):
                line = line[:-1]
            at += end + 1
            if len(line) <= SIZE:
                break
            if not self.skips:
                return False, 0, 0
            skipped += 1
        try:
            return str(line, 'utf-8'), at, skipped
        except UnicodeError:
            return False, 0, 0

    def check(self, reason):
        """After everything has arrived, check that a pending receive has a reason."""
        ask = self.pending
        if reason is not None:
            promise(reason == XClosedReason.Error and ask is not None and ask['want'] == 'line'
                    and (self.due(ask) or [None])[0] is False, 'only such a line ends a connection', reason, ask)
        elif ask is not None and ask['want'] == 'some':
            promise(self.at == len(self.stream), 'received data is delivered', self.stream[self.at:])
        elif ask is not None:
            promise(self.due(ask) is None, 'received data is delivered', ask, self.due(ask))


def framing(data):
    """
    Deliver a stream. `data` is {"skips": OnLineTooLong is set, "chunks": [text, a character for a byte, …],
    "asks": [{"want": "line" | "some" | "exact", "size", "encoding", "inside"}, …]}. The chunks arrive one by one. Each
    receive starts inside the handler of the one before, or after the next chunk.
    """
    given = json.loads(data)
    scene = stage()
    client, peer = scene.connect()
    reader = Reader(client, given['asks'], given['skips'])
    reader.arm()
    for text in given['chunks'] + [''] * len(given['asks']):
        chunk = bytes([ord(char) for char in text])
        if chunk and scene.reason is None:
            reader.stream += chunk
            peer.sendall(chunk) if hasattr(peer, 'sendall') else peer.write(chunk)
        scene.settle()
        reader.check(scene.reason)
        if scene.reason is not None:
            break
        reader.arm()
        scene.settle()
        reader.check(scene.reason)
    reason = scene.reason
    scene.end(client, peer)
    promise(not scene.exceptions, 'no handler raised', scene.exceptions)
    return '%d of %d bytes, %s' % (reader.at, len(reader.stream), reason)


# --- arguments

def handler(*args):
    """A handler that takes any arguments."""


class Anything:
    """An object that is neither callable nor a buffer nor a number."""

    def __init__(self, *_):
        pass


VALUES = (
    None, True, False, 0, 1, 2, 15, 16, 17, -1, 255, 65535, 65536, 1 << 62, 1 << 64, -(1 << 64), 0.0, 0.5, 1.0,
    -0.5, 1e-9, 1e300, float('inf'), float('-inf'), float('nan'), '', 'x', 'UTF-8', 'latin-1', 'no such',
    'a\0b', '127.0.0.1', b'', b'x', b'127.0.0.1', bytearray(3), memoryview(b'abc'), [], [1], (), (1, 2), {}, {1:
    2}, ('127.0.0.1', 1), ('127.0.0.1', 0), ['127.0.0.1', 1], ('127.0.0.1', -1), ('127.0.0.1', 65536),
    ('127.0.0.1', True), ('127.0.0.1', 1.0), ('127.0.0.1', '1'), (b'127.0.0.1', 1), ('127.0.0.1',), ('', 1),
    (None, 1), ('127.0.0.1', 1, 2), handler, Anything, Anything(), XClosedReason, Ellipsis)
ENORMOUS = (1 << 62, 1 << 64)


def calls(scene, client, udp):
    """Return the public callables: (function, arguments that must be right, number of free arguments, exception)."""
    pool = scene.pool
    tcp, server, datagram = XAsyncTCPClientException, XAsyncTCPServerException, XAsyncUDPDatagramException
    pools, sockets = XAsyncSocketsPoolException, XAsyncSocketException
    address = ('127.0.0.1', 1)
    free = ('127.0.0.1', 0)
    return (
        (client.AsyncRecvLine, (), 3, tcp), (client.AsyncRecvLine, (), 1, tcp),
        (client.AsyncRecvData, (), 4, tcp), (client.AsyncRecvData, (), 1, tcp),
        (client.AsyncRecvData, (1, handler), 2, tcp),
        (client.AsyncSendData, (), 1, tcp), (client.AsyncSendData, (b'x',), 2, tcp),
        (client.AsyncSendSendingBuffer, (), 3, tcp), (client.AsyncSendSendingBuffer, (), 1, tcp),
        (client.StartSSL, (), 5, tcp), (client.StartSSLContext, (), 2, tcp),
        (XAsyncTCPClient.CreateSSLContext, (), 6, tcp),
        (XAsyncTCPClient.Create, (), 5, tcp), (XAsyncTCPClient.Create, (pool,), 1, tcp),
        (XAsyncTCPClient.Create, (pool, address), 1, tcp), (XAsyncTCPClient.Create, (pool, address, 5), 1, tcp),
        (XAsyncTCPClient.Create, (pool, address, 5, 16), 1, tcp),
        (XAsyncTCPServer.Create, (), 4, server), (XAsyncTCPServer.Create, (pool,), 1, server),
        (XAsyncTCPServer.Create, (pool, free), 1, server), (XAsyncTCPServer.Create, (pool, free, 1), 1, server),
        (XAsyncUDPDatagram.Create, (), 4, datagram), (XAsyncUDPDatagram.Create, (pool,), 1, datagram),
        (XAsyncUDPDatagram.Create, (pool, free), 1, datagram),
        (udp.AsyncSendDatagram, (), 4, datagram), (udp.AsyncSendDatagram, (b'x',), 1, datagram),
        (udp.AsyncSendDatagram, (b'x', address), 2, datagram), (udp.AsyncSendDatagram, (), 1, TypeError),
        (pool.GetAsyncSocketByID, (), 1, ()), (pool.AddAsyncSocket, (), 1, pools),
        (pool.RemoveAsyncSocket, (), 1, pools), (pool.NotifyNextReadyForReading, (), 2, pools),
        (pool.NotifyNextReadyForWriting, (), 2, pools),
        (pool.CallLater, (), 3, pools), (pool.CallLater, (0,), 1, pools), (pool.CallLater, (0, handler), 1, pools),
        (pool.CallLater(0, handler).Restart, (), 1, pools),
        (XAsyncSocket, (pool,), 3, sockets), (XAsyncSocket, (), 2, sockets),
        (XFiFo().Put, (), 1, ()),
        (XBufferSlot, (), 2, ValueError), (XBufferSlots, (1,), 2, ValueError), (XBufferSlots, (), 1, TypeError))


FORBIDDEN = (     # callables that would wait, or start a loop
    ('AsyncWaitEvents', XAsyncSocketsPoolException, lambda value: type(value) is int and value >= 0),
    ('PollEvents', XAsyncSocketsPoolException, lambda value: type(value) is int and not 0 <= value <= 20))


def arguments(data):
    """Call a function. `data` is [number of the callable, [numbers of VALUES]]. The call works, or raises the exception
    of its class and leaks nothing. Afterwards the pool works as before."""
    number, picked = json.loads(data)
    picked = [VALUES[place % len(VALUES)] for place in picked]
    scene = stage()
    client, peer = scene.connect()
    udp = XAsyncUDPDatagram.Create(scene.pool, ('127.0.0.1', 0), SIZE)
    before = scene.pool.GetAllAsyncSockets()
    known = calls(scene, client, udp)
    number %= len(known) + len(FORBIDDEN)
    if number < len(known):
        function, given, count, may_raise = known[number]
        given += tuple(picked[:count])
        if may_raise is ValueError and any(type(value) is int and value in ENORMOUS for value in given):
            may_raise = (ValueError, MemoryError, OverflowError)
    else:
        name, may_raise, waits = FORBIDDEN[number - len(known)]
        function, given = getattr(scene.pool, name), tuple(picked[:1])
        if waits(given[0]):
            given = ('nothing',)
    result = 'raised'
    try:
        result = function(*given)
    except Exception as exception:
        promise(may_raise and isinstance(exception, may_raise), 'the exception of its class', function, given,
                exception)
        promise(str(exception) or isinstance(exception, MemoryError), 'an exception has a message', function, given)
        promise(len(scene.pool.GetAllAsyncSockets()) == len(before), 'nothing is created', function, given)
    if isinstance(result, XAsyncSocket) and result not in before:
        result.Close()
    peer.close()
    client.Close()
    udp.Close()
    scene.settle()
    promise(scene.pool.GetAllAsyncSockets() == [scene.server], 'nothing is left', function, given)
    del scene.exceptions[:]     # exceptions of an argument that was called as a handler
    _works(scene)
    return 'raised' if result == 'raised' else 'worked'


def _works(scene):
    client, peer = scene.connect()
    lines = []
    client.AsyncRecvLine(lambda client, line, arg: lines.append(line))
    peer.send(b'works\n')
    scene.settle()
    promise(lines == ['works'], 'the pool works', lines)
    scene.end(client, peer)


TARGETS = {'framing': framing, 'arguments': arguments}
