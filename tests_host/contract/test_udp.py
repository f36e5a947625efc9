"""XAsyncUDPDatagram: sending, receiving, broadcast, limits."""
import gc

from harness import (
    CHIP,
    ESP32,
    MICROPYTHON,
    free_addr,
    has_memory_for,
    open_files,
    own_ip,
    peer_name,
    pump,
    pump_for,
    raises,
    skip,
    udp_peer,
)
from scenes import Link, Recorder

from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram, XAsyncUDPDatagramException, XClosedReason


def receiver(**kwargs):
    """Return a pool, a bound UDP socket, its recorder, and a raw peer."""
    pool = XAsyncSocketsPool()
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'), **kwargs)
    udp.OnRecv = events.datagram
    udp.OnFailsToSend = events.not_sent
    udp.OnClosed = events.closed
    return pool, udp, events, udp_peer()


def test_a_socket_knows_its_address():
    pool = XAsyncSocketsPool()
    addr = free_addr('udp')
    assert XAsyncUDPDatagram.Create(pool, addr).LocalAddr == addr
    assert XAsyncUDPDatagram.Create(pool, localAddr=None).LocalAddr == ('0.0.0.0', 0), 'a sender has none'


def test_port_0_is_bound_and_reported():
    pool = XAsyncSocketsPool()
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(pool, (own_ip(), 0))
    udp.OnRecv = events.datagram
    ip, port = udp.LocalAddr
    assert ip == own_ip() and port > 0, udp.LocalAddr
    udp_peer().send(b'x', udp.LocalAddr)
    pump(pool, lambda: events.events)


def test_a_datagram_has_its_senders_address():
    pool, udp, events, peer = receiver()
    peer.send(b'reading', udp.LocalAddr)
    pump(pool, lambda: events.events)
    assert events.events == [('datagram', peer.addr, b'reading')], events.events


def test_the_handler_gets_the_socket_and_may_answer():
    pool, udp, events, peer = receiver()
    calls = []

    def on_recv(udp, addr, datagram):
        calls.append((udp, addr))
        udp.AsyncSendDatagram(datagram, addr, events.sent, 'arg')

    udp.OnRecv = on_recv
    peer.send(b'ping', udp.LocalAddr)
    answer = pump(pool, peer.receive)
    assert answer == (b'ping', udp.LocalAddr), answer
    assert calls == [(udp, peer.addr)]
    pump(pool, lambda: events.values('sent') == ['arg'])


def test_datagrams_arrive_in_order_and_separately():
    pool, udp, events, peer = receiver()
    together = 1 if CHIP else 4     # a socket queues one on lwIP before MicroPython 1.26, and four since
    for start in range(0, 40, together):
        for number in range(start, start + together):
            peer.send(b'%d' % number, udp.LocalAddr)
        pump(pool, lambda: events.count('datagram') == start + together)
    assert [event[2] for event in events.events] == [b'%d' % number for number in range(40)]


def test_the_older_name_of_the_handler():
    pool, udp, events, peer = receiver()
    udp.OnRecv = None
    udp.OnDataRecv = events.datagram
    assert udp.OnRecv == udp.OnDataRecv
    peer.send(b'x', udp.LocalAddr)
    pump(pool, lambda: events.events)


def test_without_a_handler_datagrams_are_dropped():
    pool, udp, events, peer = receiver()
    last = XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    last.OnRecv = lambda udp, addr, datagram: came.append(datagram)
    came = []
    udp.OnRecv = None
    peer.send(b'dropped', udp.LocalAddr)
    peer.send(b'it is past', last.LocalAddr)
    pump(pool, lambda: came)
    pump_for(pool, 50)
    udp.OnRecv = events.datagram
    peer.send(b'kept', udp.LocalAddr)
    pump(pool, lambda: events.events)
    assert [event[2] for event in events.events] == [b'kept']


def test_sending_from_an_unbound_and_from_a_bound_socket():
    pool, bound, events, peer = receiver()
    unbound = XAsyncUDPDatagram.Create(pool)
    for udp in (bound, unbound):
        calls = []
        assert udp.AsyncSendDatagram(b'data', peer.addr, lambda udp, arg: calls.append((udp, arg)), 'arg') is True
        assert calls == [], 'handlers run from the loop, not from the call'
        pump(pool, lambda: calls)
        assert calls == [(udp, 'arg')]
        data, addr = pump(pool, peer.receive)
        assert data == b'data'
        if udp is bound:
            assert addr == bound.LocalAddr
    unbound.AsyncSendDatagram(datagram=b'named', remoteAddr=peer.addr, onDataSent=None, onDataSentArg=None)
    assert pump(pool, peer.receive)[0] == b'named'


def test_every_kind_of_bytes_is_sent():
    pool, udp, events, peer = receiver()
    for data in (b'bytes', bytearray(b'array'), memoryview(b'view'), memoryview(b'a part')[2:]):
        udp.AsyncSendDatagram(data, peer.addr)
        assert pump(pool, peer.receive)[0] == bytes(data)


def test_the_callers_buffer_may_change_after_the_call():
    pool, udp, events, peer = receiver()
    data = bytearray(b'0')
    for number in range(4):
        data[0] = ord('0') + number
        udp.AsyncSendDatagram(data, peer.addr)
    got = [pump(pool, peer.receive)[0] for _ in range(4)]
    assert got == [b'0', b'1', b'2', b'3'], got


def test_sends_are_in_order_and_each_completes_once():
    pool, udp, events, peer = receiver()
    for number in range(20):
        udp.AsyncSendDatagram(b'%d' % number, peer.addr, events.sent, number)
    got = [pump(pool, peer.receive)[0] for _ in range(20)]
    assert got == [b'%d' % number for number in range(20)]
    pump(pool, lambda: events.count('sent') >= 20)
    pump_for(pool, 20)
    assert events.values('sent') == list(range(20))


def test_a_host_name_is_resolved():
    pool, udp, events, peer = receiver()
    udp.AsyncSendDatagram(b'by name', (peer_name(), peer.addr[1]))
    assert pump(pool, peer.receive)[0] == b'by name'


def test_an_unknown_host_fails_to_send():
    pool, udp, events, peer = receiver()
    udp.AsyncSendDatagram(b'lost', ('name.invalid', 9), events.sent)
    pump(pool, lambda: events.events)
    pump_for(pool, 20)
    assert events.events == [('not_sent', b'lost', ('name.invalid', 9))], events.events


def test_empty_datagrams_are_sent_and_received():
    pool, udp, events, peer = receiver()
    udp.AsyncSendDatagram(b'', peer.addr, events.sent)
    assert pump(pool, peer.receive) == (b'', udp.LocalAddr)
    pump(pool, lambda: events.count('sent'))
    peer.send(b'', udp.LocalAddr)
    pump(pool, lambda: events.count('datagram') == 1)
    peer.send(b'after', udp.LocalAddr)
    pump(pool, lambda: events.count('datagram') == 2)
    assert events.events[1:] == [('datagram', peer.addr, b''), ('datagram', peer.addr, b'after')]


def test_the_buffer_length_by_both_names_and_by_position():
    for make in (lambda pool, addr: XAsyncUDPDatagram.Create(pool, addr, 10),
                 lambda pool, addr: XAsyncUDPDatagram.Create(pool, localAddr=addr, recvbufLen=10),
                 lambda pool, addr: XAsyncUDPDatagram.Create(asyncSocketsPool=pool, localAddr=addr, recvBufLen=10,
                                                             broadcast=False)):
        pool = XAsyncSocketsPool()
        events = Recorder()
        udp = make(pool, free_addr('udp'))
        udp.OnRecv = events.datagram
        peer = udp_peer()
        peer.send(b'12345678901', udp.LocalAddr)
        pump(pool, lambda: udp.DroppedCount == 1)
        peer.send(b'1234567890', udp.LocalAddr)
        pump(pool, lambda: events.events)
        assert events.events == [('datagram', peer.addr, b'1234567890')]


def test_a_datagram_larger_than_the_buffer_is_dropped_and_counted():
    pool, udp, events, peer = receiver(recvbufLen=20)
    assert udp.DroppedCount == 0
    for number, size in enumerate((20, 21, 500, 19), 1):
        peer.send(b'x' * size, udp.LocalAddr)
        pump(pool, lambda: len(events.events) + udp.DroppedCount == number)
    pump_for(pool, 20)
    assert [len(event[2]) for event in events.events] == [20, 19]
    assert udp.DroppedCount == 2


def test_a_flood_from_many_senders_changes_nothing_but_counters():
    """A sender's address may be invented. No sender takes memory for good, and no datagram reaches another socket."""
    link = Link()
    link.pool.OnException = link.events.raised
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(link.pool, free_addr('udp'), 20)
    udp.OnClosed = events.closed
    sizes = []
    udp.OnRecv = lambda udp, addr, datagram: sizes.append(len(datagram))
    senders = [udp_peer() for _ in range(4 if CHIP else 150)]
    used = []
    came = 0
    for _ in range(3):
        for peer in senders:
            for data in (b'', b'x' * 21, b'y' * 1400, b'z' * 20):
                peer.send(data, udp.LocalAddr)
                came += 1
                link.pump(lambda: len(sizes) + udp.DroppedCount == came)
        gc.collect()
        used.append(gc.mem_alloc() if MICROPYTHON else 0)
    assert sorted(set(sizes)) == [0, 20] and len(sizes) == udp.DroppedCount
    assert used[2] - used[1] < 4000, used
    assert events.events == link.events.events == []
    link.client.AsyncRecvLine(link.events.received)
    link.peer.send(b'served\n')
    link.pump(lambda: link.events.events == [('received', 'served', None)])


def test_a_datagram_too_large_to_send_fails_and_the_next_goes_out():
    size = 20000 if CHIP and not ESP32 else 70000   # more than RP2's memory; more than a datagram can be
    if not has_memory_for(2 * size):
        skip('no memory for a datagram that is too large')
    pool, udp, events, peer = receiver()
    udp.AsyncSendDatagram(bytes(size), peer.addr, events.sent, 'large')
    udp.AsyncSendDatagram(b'small', peer.addr, events.sent, 'small')
    assert pump(pool, peer.receive)[0] == b'small'
    pump(pool, lambda: len(events.events) == 2)
    assert sorted(events.names()) == ['not_sent', 'sent']
    assert events.values('sent') == ['small']
    assert events.values('not_sent') == [bytes(size)]


def test_broadcast_has_to_be_enabled():
    if CHIP:
        skip('lwIP allows broadcasts without the option')
    addr = ('127.255.255.255', free_addr('udp')[1])
    pool, udp, events, peer = receiver()
    udp.AsyncSendDatagram(b'x', addr, events.sent)
    pump(pool, lambda: events.events)
    assert events.events == [('not_sent', b'x', addr)]
    pool, udp, events, peer = receiver(broadcast=True)
    udp.AsyncSendDatagram(b'x', addr, events.sent)
    pump(pool, lambda: events.events)
    assert events.names() == ['sent']


def test_close_fires_on_closed_once():
    pool, udp, events, peer = receiver()
    udp.AsyncSendDatagram(b'last', peer.addr)
    assert udp.Close() is True
    assert udp.Close() is False
    pump(pool, lambda: events.count('closed'))
    assert events.reason() == XClosedReason.ClosedByHost
    assert pump(pool, peer.receive)[0] == b'last', 'the queued data is delivered'
    assert udp.SocketID is None
    assert udp.AsyncSendDatagram(b'x', peer.addr, events.sent) is False
    assert pool.GetAllAsyncSockets() == []


def test_close_from_its_own_handler():
    pool, udp, events, peer = receiver()
    udp.OnRecv = lambda udp, addr, datagram: (events.datagram(udp, addr, datagram), udp.Close())
    peer.send(b'1', udp.LocalAddr)
    peer.send(b'2', udp.LocalAddr)
    pump(pool, lambda: events.count('closed'))
    pump_for(pool, 20)
    assert events.names() == ['datagram', 'closed']


def test_close_among_many_datagrams_stops_delivery():
    pool, udp, events, peer = receiver()
    together = 1 if CHIP else 40    # with many, several are received at once; a chip queues fewer
    for sent in range(together, 40 + together, together):
        for _ in range(together):
            peer.send(b'before', udp.LocalAddr)
        pump(pool, lambda: events.count('datagram') == sent)
    udp.OnRecv = lambda udp, addr, datagram: (events.datagram(udp, addr, datagram), udp.Close())
    for _ in range(5):
        peer.send(b'after', udp.LocalAddr)
    pump(pool, lambda: events.count('closed'))
    pump_for(pool, 20)
    assert events.count('datagram') == 41


def test_one_pool_serves_udp_and_tcp():
    link = Link()
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(link.pool, free_addr('udp'))
    udp.OnRecv = events.datagram
    peer = udp_peer()
    lines = link.read_lines(3)
    for count in range(1, 4):
        link.peer.send(b'request\n')
        peer.send(b'reading', udp.LocalAddr)
        link.pump(lambda: len(lines) == count and events.count('datagram') == count)


def test_a_taken_port_raises_and_leaks_nothing():
    pool, udp, events, peer = receiver()
    before = open_files()
    error = raises(XAsyncUDPDatagramException, XAsyncUDPDatagram.Create, pool, udp.LocalAddr)
    assert '98' in str(error) or '112' in str(error), error
    error = None
    assert open_files() == before
    assert pool.GetAllAsyncSockets() == [udp]


def test_bad_arguments_raise_and_leak_nothing():
    pool = XAsyncSocketsPool()
    addr = free_addr('udp')
    before = open_files()
    for name, bad in (('asyncSocketsPool', None), ('localAddr', 'host'), ('localAddr', (addr[0],)),
                      ('localAddr', (addr[0], 'port')), ('localAddr', (addr[0], 70000)), ('localAddr', 5),
                      ('recvbufLen', 0), ('recvbufLen', -1), ('recvbufLen', 'many'), ('recvbufLen', 1.5)):
        error = raises(XAsyncUDPDatagramException, XAsyncUDPDatagram.Create,
                       **{'asyncSocketsPool': pool, 'localAddr': addr, name: bad})
        assert name.lower() in str(error).lower(), (name, bad, error)
    error = None
    assert open_files() == before
    assert pool.GetAllAsyncSockets() == []

    udp = XAsyncUDPDatagram.Create(pool)
    for name, bad in (('datagram', 'text'), ('datagram', None), ('datagram', 5),
                      ('remoteAddr', None), ('remoteAddr', 'host'), ('remoteAddr', ('host',)),
                      ('remoteAddr', (addr[0], 'port')), ('remoteAddr', (addr[0], 0)),
                      ('remoteAddr', (addr[0], 65536)), ('onDataSent', 5)):
        error = raises(XAsyncUDPDatagramException, udp.AsyncSendDatagram,
                       **{'datagram': b'x', 'remoteAddr': addr, name: bad})
        assert name in str(error), (name, bad, error)
