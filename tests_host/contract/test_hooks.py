"""The extension points: pools and managed sockets that the program defines itself."""
import select

from harness import (
    MANY,
    MICROPYTHON,
    SLOW,
    connect_peer,
    elapsed_ms,
    free_addr,
    limit_send_buffer,
    listen_peer,
    now_ms,
    pattern,
    pump,
    pump_for,
    refusing_addr,
    udp_peer,
    udp_socket,
)
from scenes import BUFFER_SIZE, Recorder

import XAsyncSockets
from XAsyncSockets import (
    XAsyncSocket,
    XAsyncSocketsPool,
    XAsyncTCPClient,
    XAsyncTCPServer,
    XAsyncUDPDatagram,
    XBufferSlots,
    XClosedReason,
)


class OwnPool:
    """A pool that is not an XAsyncSocketsPool. It has the four methods that sockets call, and a turn calls their hooks.

    Interest in reading stays until it is withdrawn, and interest in writing holds for one event. A socket whose hook
    returns True is forgotten. A socket whose ExpireTimeSec has passed is closed.
    """

    def __init__(self):
        self._interest = {}

    def AddAsyncSocket(self, xAsyncSocket):
        if xAsyncSocket in self._interest:
            return False
        self._interest[xAsyncSocket] = 0
        return True

    def RemoveAsyncSocket(self, xAsyncSocket):
        if xAsyncSocket not in self._interest:
            return False
        del self._interest[xAsyncSocket]
        return True

    def NotifyNextReadyForReading(self, xAsyncSocket, notify):
        self._set(xAsyncSocket, select.POLLIN, notify)

    def NotifyNextReadyForWriting(self, xAsyncSocket, notify):
        self._set(xAsyncSocket, select.POLLOUT, notify)

    def _set(self, xAsyncSocket, event, notify):
        if xAsyncSocket in self._interest:
            interest = self._interest[xAsyncSocket]
            self._interest[xAsyncSocket] = interest | event if notify else interest & ~event

    def PollEvents(self, timeoutMs=0):
        poll = select.poll()
        sockets = {}
        for xAsyncSocket, interest in self._interest.items():
            obj = xAsyncSocket.GetSocketObj()
            sockets[id(obj) if MICROPYTHON else obj.fileno()] = xAsyncSocket
            poll.register(obj, interest)
        for obj, events in poll.poll(timeoutMs):
            xAsyncSocket = sockets[id(obj) if MICROPYTHON else obj]
            self._run_hooks(xAsyncSocket, events)
        for xAsyncSocket in list(self._interest):
            expires = xAsyncSocket.ExpireTimeSec
            if expires is not None and XAsyncSockets.perf_counter() >= expires:
                xAsyncSocket._close(XClosedReason.Timeout)

    def _run_hooks(self, xAsyncSocket, events):
        forget = False
        if events & select.POLLIN:
            forget = xAsyncSocket.OnReadyForReading()
        if events & select.POLLOUT and xAsyncSocket in self._interest:
            self.NotifyNextReadyForWriting(xAsyncSocket, False)
            forget = xAsyncSocket.OnReadyForWriting() or forget
        if events & ~(select.POLLIN | select.POLLOUT) and xAsyncSocket in self._interest:
            xAsyncSocket.OnExceptionalCondition()
        if forget:
            self.RemoveAsyncSocket(xAsyncSocket)

    def sockets(self):
        return list(self._interest)


def accepted(pool):
    """Return a connection that the pool has accepted: (server, client, peer, events)."""
    events = Recorder()
    server = XAsyncTCPServer.Create(pool, free_addr(), recvBufSlots=XBufferSlots(4, BUFFER_SIZE))
    server.OnClientAccepted = events.accepted
    peer = connect_peer(server.SrvAddr)
    pump(pool, lambda: events.events)
    client = events.events.pop()[2]
    return server, events.watch(client), peer, events


def test_own_pool_server_lines_and_answers():
    pool = OwnPool()
    server, client, peer, events = accepted(pool)
    assert client in pool.sockets() and server in pool.sockets()
    lines = []

    def on_line(client, line, arg):
        lines.append(line)
        client.AsyncSendData(line.encode() + b'!')
        client.AsyncRecvLine(on_line)

    client.AsyncRecvLine(on_line)
    peer.send(b'one\ntwo\nthr')
    pump(pool, lambda: len(lines) == 2)
    peer.send(b'ee\n')
    pump(pool, lambda: peer.received() == b'one!two!three!')
    assert lines == ['one', 'two', 'three']


def test_own_pool_receives_started_outside_of_its_turns():
    pool = OwnPool()
    server, client, peer, events = accepted(pool)
    client.AsyncRecvLine(events.received)
    peer.send(b'one\ntwo\nrest')
    pump(pool, lambda: events.count('received') == 1)
    client.AsyncRecvLine(events.received)
    pump(pool, lambda: events.count('received') == 2)
    client.AsyncRecvData(None, events.received)
    pump(pool, lambda: events.count('received') == 3)
    assert events.values('received') == ['one', 'two', b'rest']
    client.AsyncRecvData(1000, events.received)
    peer.send_pattern(1000)
    pump(pool, lambda: events.count('received') == 4)
    assert events.values('received')[3] == pattern(1000)


def test_own_pool_large_send_to_a_slow_reader():
    size = MANY
    XAsyncTCPClient.SendQueueLimit = 2 * MANY
    pool = OwnPool()
    events = Recorder()
    server = XAsyncTCPServer.Create(pool, free_addr(), recvBufSlots=XBufferSlots(4, BUFFER_SIZE))
    server.OnClientAccepted = events.accepted
    peer = connect_peer(server.SrvAddr, SLOW)
    pump(pool, lambda: events.events)
    client = events.events.pop()[2]
    limit_send_buffer(client.GetSocketObj())
    peer.pause()
    client.AsyncSendData(pattern(size), events.sent, 'large')
    client.AsyncSendData(pattern(10, size), events.sent, 'small')
    pump_for(pool, 30)
    peer.resume()
    pump(pool, lambda: events.count('sent') == 2, limit_sec=20)
    assert events.values('sent') == ['large', 'small']
    pump(pool, lambda: peer.received_count() == size + 10)
    assert peer.received_pattern()


def test_own_pool_outgoing_connections():
    pool = OwnPool()
    events = Recorder()
    listener = listen_peer()
    client = events.watch(XAsyncTCPClient.Create(pool, listener.addr))
    pump(pool, lambda: events.count('connected'))
    client.AsyncRecvLine(events.received)
    peer = pump(pool, listener.accept)
    peer.send(b'hello\n')
    pump(pool, lambda: events.values('received') == ['hello'])
    peer.close()
    pump(pool, lambda: events.count('closed'))
    assert events.reason() == XClosedReason.ClosedByPeer
    assert pool.sockets() == []


def test_own_pool_refused_connection():
    pool = OwnPool()
    events = Recorder()
    client = events.watch(XAsyncTCPClient.Create(pool, refusing_addr()))
    pump(pool, lambda: events.count('closed'))
    assert events.events == [('failed', client), ('closed', XClosedReason.Error)]
    assert pool.sockets() == []


def test_own_pool_timeouts():
    pool = OwnPool()
    server, client, peer, events = accepted(pool)
    assert client.ExpireTimeSec is None
    client.AsyncRecvLine(events.received, timeoutSec=10)
    left = client.ExpireTimeSec - XAsyncSockets.perf_counter()
    assert 0 < left < 10.01, left
    peer.send(b'in time\n')
    pump(pool, lambda: events.count('received'))
    assert client.ExpireTimeSec is None
    start = now_ms()
    client.AsyncRecvLine(events.received, timeoutSec=0.1)
    pump(pool, lambda: events.count('closed'))
    assert 80 <= elapsed_ms(start) < 4000
    assert events.reason() == XClosedReason.Timeout
    assert client not in pool.sockets()


def test_own_pool_close_and_the_peers_close():
    pool = OwnPool()
    server, client, peer, events = accepted(pool)
    client.AsyncSendData(b'bye')
    assert client.Close() is True
    assert client.Close() is False
    pump(pool, lambda: events.count('closed'))
    assert events.reason() == XClosedReason.ClosedByHost
    pump(pool, peer.ended)
    assert peer.received() == b'bye'
    assert pool.sockets() == [server]
    second, client, peer, events = accepted(pool)
    peer.close()
    pump(pool, lambda: events.count('closed'))
    assert events.reason() == XClosedReason.ClosedByPeer
    server.Close()
    second.Close()
    pump(pool, lambda: pool.sockets() == [])


def test_own_pool_datagrams():
    pool = OwnPool()
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    udp.OnRecv = events.datagram
    peer = udp_peer()
    peer.send(b'one', udp.LocalAddr)
    pump(pool, lambda: events.events)
    udp.AsyncSendDatagram(b'two', peer.addr, events.sent, 'arg')
    assert pump(pool, peer.receive)[0] == b'two'
    pump(pool, lambda: events.values('sent') == ['arg'])
    udp.Close()
    assert pool.sockets() == []


class CountingPool(XAsyncSocketsPool):
    """A subclass of our pool that counts its sockets."""

    def __init__(self):
        super().__init__()
        self.added = []
        self.removed = []

    def AddAsyncSocket(self, xAsyncSocket):
        self.added.append(xAsyncSocket)
        return super().AddAsyncSocket(xAsyncSocket)

    def RemoveAsyncSocket(self, xAsyncSocket):
        self.removed.append(xAsyncSocket)
        return super().RemoveAsyncSocket(xAsyncSocket)


def test_a_subclass_of_the_pool_sees_sockets_come_and_go():
    pool = CountingPool()
    server, client, peer, events = accepted(pool)
    udp = XAsyncUDPDatagram.Create(pool)
    assert pool.added == [server, client, udp]
    client.Close()
    pump(pool, lambda: events.count('closed'))
    udp.Close()
    server.Close()
    assert [socket in pool.removed for socket in pool.added] == [True] * 3
    assert pool.GetAllAsyncSockets() == []


def test_the_four_pool_methods_answer():
    pool = XAsyncSocketsPool()
    udp = XAsyncUDPDatagram.Create(pool)
    assert pool.AddAsyncSocket(udp) is False, 'it is there already'
    assert pool.RemoveAsyncSocket(udp) is True
    assert pool.RemoveAsyncSocket(udp) is False
    assert pool.GetAllAsyncSockets() == []
    assert pool.AddAsyncSocket(udp) is True
    assert pool.GetAllAsyncSockets() == [udp]
    udp.Close()
    pool.NotifyNextReadyForReading(udp, True)
    pool.NotifyNextReadyForWriting(udp, True)
    pool.PollEvents(10)


class OwnSocket(XAsyncSocket):
    """A managed socket that the program defines. It records the calls of its hooks."""

    def __init__(self, pool, socket, recvBufSlot=None):
        super().__init__(pool, socket, recvBufSlot)
        self.reads = []
        self.writes = 0
        self.forget = False
        pool.AddAsyncSocket(self)

    def OnReadyForReading(self):
        self.reads.append(self.GetSocketObj().recvfrom(100)[0])
        return self.forget

    def OnReadyForWriting(self):
        self.writes += 1
        return self.forget


def own_socket(pool, *args):
    """Return a bound socket of OwnSocket, with its address and its recorder."""
    raw, addr = udp_socket()
    socket = OwnSocket(pool, raw, *args)
    events = Recorder()
    socket.OnClosed = events.closed
    assert socket.GetSocketObj() is raw
    return socket, addr, events


def test_own_socket_is_managed():
    pool = XAsyncSocketsPool()
    socket, addr, events = own_socket(pool)
    assert pool.GetAllAsyncSockets() == [socket]
    assert socket.GetAsyncSocketsPool() is pool
    assert pool.GetAsyncSocketByID(socket.SocketID) is socket
    socket.State = 'mine'
    assert socket.State == 'mine'
    assert socket.Close() is True
    assert socket.Close() is False
    pump(pool, lambda: events.count('closed'))
    assert events.reason() == XClosedReason.ClosedByHost
    assert socket.SocketID is None
    assert pool.GetAllAsyncSockets() == []


def test_own_socket_interest_in_reading_stays_until_taken_back():
    pool = XAsyncSocketsPool()
    socket, addr, events = own_socket(pool)
    peer = udp_peer()
    peer.send(b'1', addr)
    pump_for(pool, 50)
    assert socket.reads == [], 'no interest was announced yet'
    pool.NotifyNextReadyForReading(socket, True)
    pump(pool, lambda: len(socket.reads) == 1)
    peer.send(b'2', addr)
    pump(pool, lambda: len(socket.reads) == 2)
    pool.NotifyNextReadyForReading(socket, False)
    peer.send(b'3', addr)
    pump_for(pool, 50)
    assert socket.reads == [b'1', b'2']
    pool.NotifyNextReadyForReading(socket, True)
    pump(pool, lambda: len(socket.reads) == 3)


def test_own_socket_interest_in_writing_holds_for_one_event():
    pool = XAsyncSocketsPool()
    socket, addr, events = own_socket(pool)
    pump_for(pool, 30)
    assert socket.writes == 0
    pool.NotifyNextReadyForWriting(socket, True)
    pump(pool, lambda: socket.writes == 1)
    pump_for(pool, 30)
    assert socket.writes == 1
    pool.NotifyNextReadyForWriting(socket, True)
    pump(pool, lambda: socket.writes == 2)
    pool.NotifyNextReadyForWriting(socket, True)
    pool.NotifyNextReadyForWriting(socket, False)
    pump_for(pool, 30)
    assert socket.writes == 2


def test_own_socket_whose_hook_returns_true_is_forgotten():
    for hook in ('NotifyNextReadyForReading', 'NotifyNextReadyForWriting'):
        pool = XAsyncSocketsPool()
        socket, addr, events = own_socket(pool)
        socket.forget = True
        peer = udp_peer()
        peer.send(b'1', addr)
        getattr(pool, hook)(socket, True)
        pump(pool, lambda: socket.reads or socket.writes)
        pump(pool, lambda: not pool.GetAllAsyncSockets())
        peer.send(b'2', addr)
        pump_for(pool, 30)
        assert len(socket.reads) + socket.writes == 1


def test_own_socket_whose_hook_raises_harms_nobody():
    pool = XAsyncSocketsPool()
    raised = Recorder()
    pool.OnException = raised.raised
    socket, addr, events = own_socket(pool)

    class BadSocket(OwnSocket):
        def OnReadyForWriting(self):
            raise ValueError('hook')

    raw, _ = udp_socket()
    bad = BadSocket(pool, raw)
    pool.NotifyNextReadyForWriting(bad, True)
    pool.NotifyNextReadyForReading(socket, True)
    udp_peer().send(b'1', addr)
    pump(pool, lambda: socket.reads and raised.events)
    assert raised.events[0][1] is bad and isinstance(raised.events[0][2], ValueError)


def test_own_socket_gives_its_slots_back():
    pool = XAsyncSocketsPool()
    slots = XBufferSlots(1, 10)
    socket, addr, events = own_socket(pool, slots.GetAvailableSlot())
    assert slots.GetAvailableSlot() is None
    socket.Close()
    pump(pool, lambda: events.count('closed'))
    assert slots.GetAvailableSlot() is not None


def test_own_socket_closes_for_an_exceptional_condition():
    pool = XAsyncSocketsPool()
    socket, addr, events = own_socket(pool)
    socket.OnExceptionalCondition()
    pump(pool, lambda: events.count('closed'))
    assert events.reason() == XClosedReason.Error


def test_own_client_class_is_one_of_ours():
    """Every socket is an XAsyncSocket, because a program may check the type."""
    pool = XAsyncSocketsPool()
    server, client, peer, events = accepted(pool)
    for socket in (server, client, XAsyncUDPDatagram.Create(pool)):
        assert isinstance(socket, XAsyncSocket)
        for hook in ('OnReadyForReading', 'OnReadyForWriting', 'OnExceptionalCondition'):
            assert callable(getattr(socket, hook))
