"""Unusual cases of the contract: closing, the clock, memory, lines and TLS."""
import errno
import gc

import doubles
from harness import (
    CHIP,
    MANY,
    MICROPYTHON,
    connect_agent,
    connect_peer,
    deaf_addr,
    elapsed_ms,
    free_addr,
    needs_host,
    needs_threads,
    now_ms,
    open_files,
    pattern,
    pump,
    raises,
    skip,
    start_new_thread,
    udp_peer,
    wait,
)

# Each test imports the library itself. A test that uses the stand-ins of `doubles` installs them first.

WRAP = 1 << 30      # MicroPython's millisecond counter wraps here on a 32-bit chip


def names():
    """Return the library and the scenes, as one namespace each."""
    import scenes

    import XAsyncSockets as library
    return library, scenes


class Counter:
    """Replaces the library's millisecond counter. It wraps, and can be advanced."""

    def __init__(self, library, wraps_in_ms=WRAP):
        self._start = now_ms()
        self._ahead = WRAP - wraps_in_ms
        library._ticks_ms = self.now
        library._ticks_diff = lambda end, begin: ((end - begin + WRAP // 2) & (WRAP - 1)) - WRAP // 2

    def now(self):
        return (elapsed_ms(self._start) + self._ahead) & (WRAP - 1)

    def put_forward(self, hours=0, seconds=0):
        self._ahead += (hours * 3600 + seconds) * 1000


# Closing

def test_a_close_with_unread_data_sends_no_reset():
    """A reset could make the peer lose the last data."""
    _, scenes = names()
    for link in scenes.links():
        link.peer.send_pattern(1000)
        link.client.AsyncRecvData(1, link.events.received)
        link.pump(lambda: link.events.count('received'))    # the rest has arrived, too
        link.client.AsyncSendData(b'last words')
        link.client.Close()
        link.pump_closed()
        link.pump(link.peer.ended)
        assert link.peer.received() == b'last words'
        assert link.peer.state() == 'eof', 'a normal end, no reset'


def test_a_close_waits_for_a_peer_that_goes_on_reading():
    """The time limit for the last data applies to a peer that reads nothing. It restarts when the peer reads."""
    library, scenes = names()
    size = 2 * MANY
    library.XAsyncTCPClient.SendQueueLimit = size
    library.XAsyncTCPClient.LingerSec = 3
    link = scenes.Link(slow=True)
    for start in range(0, size, 1000):
        link.client.AsyncSendData(pattern(1000, start), link.events.sent)
    link.client.Close()
    link.pump_for(50)
    for _ in range(2):
        sent = link.events.count('sent')
        while link.events.count('sent') == sent:    # the first data comes from the system's buffers
            before = link.peer.received_count()
            link.peer.resume()
            wait(lambda: link.peer.received_count() > before)
            link.peer.pause()
            link.pump_for(20)
        link.pump_for(1700)
    assert link.peer.received_count() < size, 'the peer should be slow'
    link.peer.resume()
    assert link.pump_closed(limit_sec=20) == library.XClosedReason.ClosedByHost
    link.pump(link.peer.ended)
    assert link.peer.received_count() == size and link.peer.received_pattern()


def test_a_reset_is_noticed_while_only_sending():
    """After Close(), or after the peer's half-close, nothing is read any more, so only a write can notice the reset."""
    library, scenes = names()
    library.XAsyncTCPClient.SendQueueLimit = 2 * MANY
    library.XAsyncTCPClient.LingerSec = 60
    for half_closed in (False, True):
        for outgoing in (False, True):
            link = scenes.Link(outgoing, slow=True)
            link.client.AsyncSendData(pattern(MANY), link.events.sent)
            if half_closed:
                link.peer.half_close()
            else:
                link.client.Close()
            link.pump_for(50)
            assert link.events.events == []
            link.peer.reset()
            link.pump_closed()
            assert link.events.names() == ['closed']


# The clock

def test_the_connect_timeout_survives_the_wrap_of_the_counter():
    library, scenes = names()
    Counter(library, wraps_in_ms=100)
    pool = library.XAsyncSocketsPool()
    events = scenes.Recorder()
    start = now_ms()
    events.watch(library.XAsyncTCPClient.Create(pool, deaf_addr(), connectTimeout=0.25))
    pump(pool, lambda: events.count('closed'))
    assert 230 <= elapsed_ms(start) < 4000, elapsed_ms(start)
    assert events.names() == ['failed', 'closed']


def test_the_linger_time_survives_the_wrap_of_the_counter():
    library, scenes = names()
    library.XAsyncTCPClient.SendQueueLimit = 2 * MANY
    library.XAsyncTCPClient.LingerSec = 0.25
    link = scenes.Link(slow=True)
    Counter(library, wraps_in_ms=100)
    link.client.AsyncSendData(pattern(MANY))
    link.client.Close()
    assert link.pump_closed() == library.XClosedReason.ClosedByHost


def test_timeouts_that_overlap_for_weeks():
    """A timer is always running, so that the pool's clock never restarts; it must not overflow."""
    library, scenes = names()
    counter = Counter(library)
    link = scenes.Link()
    others = [link] + [scenes.Link(pool=link.pool) for _ in range(3)]

    def see_ended(count):
        """Check that the first `count` connections have ended, and no other."""
        link.pump(lambda: all([other.events.count('closed') for other in others[:count]]))
        link.pump_for(10)
        assert [other.events.count('closed') for other in others] == [1] * count + [0] * (4 - count)

    for number, other in enumerate(others):
        other.client.AsyncRecvLine(timeoutSec=5 * 24 * 3600)
        link.pump_for(10)
        counter.put_forward(hours=48)
        see_ended([0, 0, 1, 2][number])
    for number in (3, 4):
        counter.put_forward(hours=48)
        see_ended(number)
    for other in others:
        assert other.events.reason() == library.XClosedReason.Timeout


# Memory

def test_timeouts_of_closed_connections_hold_no_memory():
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    clients = scenes.Recorder()

    def on_accepted(server, client):
        clients.accepted(server, client)
        client.AsyncRecvLine(timeoutSec=3600)

    server = scenes.serve(pool, on_accepted)
    for _ in range(100):
        peer = connect_peer(server.SrvAddr)
        pump(pool, lambda: clients.events)
        peer.close()
        pump(pool, lambda: len(pool.GetAllAsyncSockets()) == 1)
        del clients.events[:]
    if MICROPYTHON:
        skip('MicroPython does not list its objects')
    gc.collect()
    held = [thing for thing in gc.get_objects() if isinstance(thing, library.XAsyncTCPClient)]
    assert len(held) <= 40, '%d of 100 closed connections' % len(held)


def test_a_receive_without_memory_raises():
    library, scenes = names()
    for link in scenes.links():
        error = raises(library.XAsyncTCPClientException, link.client.AsyncRecvData, 1 << (29 if CHIP else 60),
                       link.events.received)
        assert 'size' in str(error), error
        lines = link.read_lines(1)
        link.peer.send(b'lives on\n')
        link.pump(lambda: lines)
        assert lines == ['lives on']


def test_an_accept_without_memory_affects_only_that_connection():
    library, scenes = names()
    short = [True]

    class ShortPool(library.XAsyncSocketsPool):
        def AddAsyncSocket(self, s):
            if short and not isinstance(s, library.XAsyncTCPServer):
                short.clear()
                raise MemoryError('by the test')
            return super().AddAsyncSocket(s)

    pool = ShortPool()
    events = scenes.Recorder()
    pool.OnException = events.raised
    server = scenes.serve(pool, events.accepted, recvBufSlots=library.XBufferSlots(1, 50))
    refused = connect_peer(server.SrvAddr)
    pump(pool, lambda: refused.ended() and events.events)
    assert events.names() == ['raised'] and events.values('raised') == [server]
    peer = connect_peer(server.SrvAddr)
    pump(pool, lambda: events.count('accepted'))
    assert peer.state() == 'open', 'the only slot is free again'
    assert len(pool.GetAllAsyncSockets()) == 2


def test_an_accept_that_finds_no_memory_is_made_again_later():
    """The call may have taken a connection from the queue, so it is not repeated at once; each is told of."""
    library, scenes = names()
    connect_agent()
    files = None if CHIP else open_files()
    pool = library.XAsyncSocketsPool()
    events = scenes.Recorder()
    pool.OnException = events.raised
    server = scenes.serve(pool, events.accepted)

    class Short:
        """The listening socket. It finds no memory."""

        calls = 0
        missing = True

        def __init__(self, socket):
            self.close = socket.close
            self._accept = socket.accept

        def accept(self):
            self.calls += 1
            if self.missing:
                raise MemoryError('by the test')
            return self._accept()

    system_socket = server._socket
    short = server._socket = Short(system_socket)
    peers = [connect_peer(server.SrvAddr) for _ in range(2)]
    start = now_ms()
    pump(pool, lambda: short.calls == 4)
    assert elapsed_ms(start) > 250, 'it waits a moment before each'
    pool.PollEvents(5)
    assert events.names() == ['raised'] * 4 and events.values('raised') == [server] * 4, events.events
    short.missing = False
    pump(pool, lambda: events.count('accepted') == 2)
    assert events.count('raised') == 4, events.events
    assert [peer.state() for peer in peers] == ['open'] * 2
    for _, _, client in events.events[4:]:
        client.Close()
    server.Close()
    pump(pool, lambda: not pool.GetAllAsyncSockets())
    pool.StopWaitEvents()
    del events.events[:]
    assert CHIP or open_files() == files


def test_addresses_of_receivers_are_looked_up_once_a_minute():
    """64 of them are remembered. One more does not cost the others their place before it is used."""
    library, scenes = names()
    counter = Counter(library)
    look_up = library._resolve
    looked_up = []

    def counted(address):
        looked_up.append(address)
        return look_up(address)

    library._resolve = counted
    pool = library.XAsyncSocketsPool()
    events = scenes.Recorder()
    udp = library.XAsyncUDPDatagram.Create(pool)
    udp.OnFailsToSend = events.not_sent
    pool.PollEvents()
    ip = udp_peer().addr[0]
    addresses = [(ip, 20000 + number) for number in range(64)]
    for _ in range(3):
        for address in addresses:
            udp.AsyncSendDatagram(b'x', address)
            pool.PollEvents()
    assert looked_up == addresses, len(looked_up)
    counter.put_forward(seconds=45)
    udp.AsyncSendDatagram(b'x', addresses[0])
    assert looked_up == addresses, 'within the minute'
    counter.put_forward(seconds=16)
    udp.AsyncSendDatagram(b'x', addresses[1])
    assert looked_up == addresses + [addresses[1]], 'after the minute'
    pool.PollEvents()
    assert events.events == []


def test_addresses_of_many_receivers_hold_no_memory():
    if not MICROPYTHON:
        skip('CPython does not count allocations')
    library, _ = names()
    pool = library.XAsyncSocketsPool()
    udp = library.XAsyncUDPDatagram.Create(pool)
    ip = udp_peer().addr[0]
    used = []
    for start in range(20000, 20800, 200):
        for port in range(start, start + 200):
            udp.AsyncSendDatagram(b'x', (ip, port))
            pool.PollEvents()
        gc.collect()
        used.append(gc.mem_alloc())
    assert used[3] - used[1] < 4000, used


def test_a_queue_gives_each_object_to_one_thread():
    needs_threads()
    library, _ = names()
    fifo = library.XFiFo()
    count = 2000 if CHIP else 20000
    for number in range(count):
        fifo.Put(number)
    got = [[], [], []]
    done = [0, 0, 0]

    def take(thread):
        try:
            while True:
                got[thread].append(fifo.Get())
        except library.XFiFoException:
            done[thread] = 1

    for thread in range(3):
        start_new_thread(take, (thread,))
    wait(lambda: done == [1, 1, 1], limit_sec=20)
    assert sorted(got[0] + got[1] + got[2]) == list(range(count))


def test_a_connection_that_a_worker_gives_back_ends_if_it_cannot_be_watched():
    """A reset takes it out of the poll set while OnClientAccepted runs. It ends, and the server does not."""
    needs_threads()
    if MICROPYTHON:
        skip('a stand-in for a socket reports no reset that nobody asked for')
    doubles.install()
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    events = scenes.Recorder()
    pool.OnException = events.raised
    peers = []

    def on_accepted(server, client):
        client.OnClosed = events.closed
        wait(lambda: peers)
        peers[0].reset()
        wait(lambda: 'unregister' in doubles.poll_changes)
        doubles.fail('register', errno.ENOMEM)

    server = scenes.serve(pool, on_accepted)
    pool.AsyncWaitEvents(3)
    peers.append(connect_peer(server.SrvAddr))
    wait(lambda: events.count('closed'))
    assert pool.GetAllAsyncSockets() == [server]
    pool.StopWaitEvents()


def full_udp(number):
    """Return a UDP socket whose system queue is full (reported by this errno), and its recorder."""
    needs_host()
    doubles.install()
    library, scenes = names()
    send = doubles.Socket.sendto
    full = [True]

    def sendto(self, *args):
        if full:
            raise OSError(number, 'by the test')
        return send(self, *args)

    doubles.Socket.sendto = sendto
    library.XAsyncUDPDatagram.SendQueueLimit = 3
    pool = library.XAsyncSocketsPool()
    udp = library.XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    events = scenes.Recorder()
    udp.OnFailsToSend = events.not_sent
    return pool, udp, events, full


def datagrams_wait(number):
    pool, udp, events, full = full_udp(number)
    peer = udp_peer()
    for name in (b'1', b'2', b'3', b'4', b'5'):
        udp.AsyncSendDatagram(name, peer.addr, events.sent, name)
    pump(pool, lambda: len(events.events) == 2)
    for _ in range(3):
        pool.PollEvents(5)
    assert events.values('not_sent') == [b'4', b'5'], events.events
    assert events.count('sent') == 0
    full.clear()
    for name in (b'1', b'2', b'3'):
        assert pump(pool, peer.receive) == (name, udp.LocalAddr)
    pump(pool, lambda: events.count('sent') == 3)
    assert events.values('sent') == [b'1', b'2', b'3']
    udp.AsyncSendDatagram(b'6', peer.addr)
    assert pump(pool, peer.receive) == (b'6', udp.LocalAddr)


def test_datagrams_wait_for_a_full_system_queue_up_to_the_limit():
    datagrams_wait(errno.EAGAIN)


def test_datagrams_wait_if_a_full_system_queue_is_reported_as_on_rp2():
    datagrams_wait(errno.ENOMEM)


# Lines

def test_lines_of_another_encoding():
    library, scenes = names()
    for call in (lambda client, on_line: client.AsyncRecvLine(on_line, lineEncoding='latin-1'),
                 lambda client, on_line: client.AsyncRecvLine('ISO-8859-1', on_line)):
        for link in scenes.links():
            if MICROPYTHON:     # it decodes only UTF-8
                error = raises(library.XAsyncTCPClientException, call, link.client, link.events.received)
                assert 'lineEncoding' in str(error), error
                continue
            call(link.client, link.events.received)
            link.peer.send(b'caf\xe9\n')
            link.pump(lambda: link.events.events)
            assert link.events.events == [('received', 'caf\u00e9', None)], link.events.events
            lines = link.read_lines(1)
            link.peer.send('caf\u00e9\n'.encode())
            link.pump(lambda: lines)
            assert lines == ['caf\u00e9'], 'each receive has its own encoding'


# TLS

def test_unsent_plain_data_when_tls_starts_is_an_error():
    """It must not be mixed into the handshake; TLS starts from its onDataSent."""
    library, scenes = names()
    library.XAsyncTCPClient.SendQueueLimit = 2 * MANY
    link = scenes.Link(slow=True)
    link.client.AsyncSendData(pattern(MANY))
    raises(library.XAsyncTCPClientException, link.client.StartSSLContext, scenes.server_context(), True)
    assert link.client.IsSSL is False
    link.peer.resume()
    link.pump(lambda: link.peer.received_count() == MANY, limit_sec=20)
    assert link.peer.received_pattern()
