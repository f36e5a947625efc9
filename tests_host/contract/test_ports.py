"""The library on the sockets of other ports, and on a system that runs out of resources."""
import doubles
from harness import (
    CHIP,
    MICROPYTHON,
    THREADS,
    connect_peer,
    free_addr,
    listen_peer,
    needs_threads,
    pump,
    pump_for,
    refusing_addr,
    skip,
    udp_peer,
    wait,
)


def chip_shaped():
    """Replace the sockets with sockets that have a chip's methods."""
    if not MICROPYTHON or CHIP:
        skip('only for the unix port of MicroPython, whose sockets are replaced')
    doubles.install()


def test_tcp_on_a_chips_sockets():
    chip_shaped()
    from scenes import Link
    for outgoing in (False, True):
        link = Link(outgoing)
        assert isinstance(link.client.SocketID, int)
        assert link.pool.GetAsyncSocketByID(link.client.SocketID) is link.client
        assert isinstance(link.client.CliAddr, tuple) and isinstance(link.client.SrvAddr, tuple)
        lines = link.read_lines(3)
        link.peer.send(b'one\ntw')
        link.pool.PollEvents(100)
        link.peer.send(b'o\nthree\n')
        link.pump(lambda: len(lines) == 3)
        link.client.AsyncRecvData(1000, link.events.received)
        link.peer.send_pattern(1000)
        link.pump(lambda: link.events.count('received'))
        link.client.AsyncSendData(link.events.data(), link.events.sent)
        link.pump(lambda: link.peer.received_count() == 1000 and link.events.count('sent'))
        assert link.peer.received_pattern()
        link.peer.close()
        link.pump_closed()


def test_failing_connections_on_a_chips_sockets():
    chip_shaped()
    from scenes import Recorder

    from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient
    pool = XAsyncSocketsPool()
    events = Recorder()
    events.watch(XAsyncTCPClient.Create(pool, refusing_addr()))
    pump(pool, lambda: events.count('closed'))
    assert events.names() == ['failed', 'closed']


def test_a_host_name_on_a_chips_sockets():
    chip_shaped()
    from scenes import Recorder

    from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncUDPDatagram
    pool = XAsyncSocketsPool()
    events = Recorder()
    listener = listen_peer()
    events.watch(XAsyncTCPClient.Create(pool, ('localhost', listener.addr[1])))
    pump(pool, lambda: events.count('connected'))
    peer = udp_peer()
    udp = XAsyncUDPDatagram.Create(pool)
    udp.AsyncSendDatagram(b'by name', ('localhost', peer.addr[1]))
    assert pump(pool, peer.receive)[0] == b'by name'


def test_datagrams_on_a_chips_sockets():
    chip_shaped()
    from scenes import Recorder

    from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram
    pool = XAsyncSocketsPool()
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'), 20)
    udp.OnRecv = events.datagram
    peer = udp_peer()
    for data in (b'one', b'', b'x' * 21, b'two'):
        peer.send(data, udp.LocalAddr)
    pump(pool, lambda: events.count('datagram') == 3)
    assert [event[2] for event in events.events] == [b'one', b'', b'two']
    assert udp.DroppedCount == 1
    udp.AsyncSendDatagram(b'answer', events.events[0][1])
    assert pump(pool, peer.receive)[0] == b'answer'


def test_threads_on_a_chips_sockets():
    chip_shaped()
    needs_threads()
    from scenes import Link
    link = Link()
    link.pool.AsyncWaitEvents(1)
    link.client.AsyncSendData(b'x', link.events.sent)
    wait(lambda: link.peer.received() == b'x' and link.events.count('sent'))
    link.client.AsyncRecvLine(timeoutSec=0.1)
    wait(lambda: link.events.count('closed'))
    link.pool.StopWaitEvents()
    wait(lambda: not link.pool.WaitEventsProcessing)


def test_a_server_without_free_files_does_not_spin_and_recovers():
    doubles.install()
    from scenes import Link
    link = Link()
    doubles.fail('accept', doubles.EMFILE, count=10000)
    events = []
    link.server.OnClientAccepted = lambda server, client: events.append(client)
    connect_peer(link.server.SrvAddr)
    pump_for(link.pool, 500)
    assert 1 <= len(doubles.failures) <= 20, len(doubles.failures)
    lines = link.read_lines(1)
    link.peer.send(b'still served\n')
    link.pump(lambda: lines)
    doubles.fail('accept', 0, count=0)
    link.pump(lambda: events)


def test_an_error_of_receiving_does_not_end_a_udp_socket():
    doubles.install()
    from scenes import Recorder

    from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram
    pool = XAsyncSocketsPool()
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    udp.OnRecv = events.datagram
    udp.OnClosed = events.closed
    peer = udp_peer()
    doubles.fail('recvfrom', doubles.ECONNREFUSED)
    peer.send(b'one', udp.LocalAddr)
    pump_for(pool, 50)
    peer.send(b'two', udp.LocalAddr)
    pump(pool, lambda: any([event[2] == b'two' for event in events.events]))
    assert events.count('closed') == 0


def test_a_pool_needs_no_udp_socket_to_wake_itself():
    doubles.install()
    from scenes import Link
    link = Link()
    if THREADS:
        link.pool.AsyncWaitEvents(1)
        link.client.AsyncSendData(b'x')
        wait(lambda: link.peer.received() == b'x')
        link.pool.StopWaitEvents()
    import socket
    inet_datagram = [kind for kind in doubles.made if kind == socket.SOCK_DGRAM]
    assert doubles.made and not inet_datagram, 'chips have few of them, and no loopback'


def test_the_backlog_fits_a_byte_on_micropython():
    doubles.install()
    from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer
    pool = XAsyncSocketsPool()
    for kwargs in ({}, {'srvBacklog': 256}, {'srvBacklog': 1000}, {'srvBacklog': 3}):
        XAsyncTCPServer.Create(pool, free_addr(), **kwargs)
    assert doubles.backlogs[3] == 3
    assert min(doubles.backlogs) >= 1
    if MICROPYTHON:
        assert max(doubles.backlogs) <= 255, doubles.backlogs
