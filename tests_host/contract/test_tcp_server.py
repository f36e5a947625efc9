"""XAsyncTCPServer: binding, accepting, refusing."""
from harness import (
    CHIP,
    MICROPYTHON,
    connect_peer,
    free_addr,
    open_files,
    own_ip,
    peer_ip,
    pump,
    pump_for,
    raises,
    skip,
)
from scenes import BUFFER_SIZE, Link, Recorder, serve

from XAsyncSockets import (
    XAsyncSocketsPool,
    XAsyncTCPClient,
    XAsyncTCPServer,
    XAsyncTCPServerException,
    XBufferSlots,
    XClosedReason,
)


def test_a_server_knows_its_address():
    pool = XAsyncSocketsPool()
    addr = free_addr()
    server = XAsyncTCPServer.Create(pool, addr)
    assert isinstance(server, XAsyncTCPServer)
    assert server.SrvAddr == addr, server.SrvAddr


def test_a_server_on_port_0_knows_its_port():
    pool = XAsyncSocketsPool()
    events = Recorder()
    server = XAsyncTCPServer.Create(pool, (own_ip(), 0))
    server.OnClientAccepted = events.accepted
    ip, port = server.SrvAddr
    assert ip == own_ip() and port > 0, server.SrvAddr
    connect_peer(server.SrvAddr)
    pump(pool, lambda: events.count('accepted'))


def test_two_servers_on_port_0_get_two_ports():
    pool = XAsyncSocketsPool()
    servers = [XAsyncTCPServer.Create(pool, (own_ip(), 0)) for _ in range(2)]
    assert servers[0].SrvAddr != servers[1].SrvAddr


def test_a_server_on_all_addresses_is_reached():
    pool = XAsyncSocketsPool()
    events = Recorder()
    port = free_addr()[1]
    server = XAsyncTCPServer.Create(pool, ('0.0.0.0', port))
    assert server.SrvAddr == ('0.0.0.0', port)
    server.OnClientAccepted = events.accepted
    connect_peer((own_ip(), port))
    pump(pool, lambda: events.count('accepted'))


def test_an_accepted_client_knows_both_addresses():
    pool = XAsyncSocketsPool()
    events = Recorder()
    server = serve(pool, events.accepted)
    peer = connect_peer(server.SrvAddr)
    pump(pool, lambda: events.events)
    _, at, client = events.events[0]
    assert at is server
    assert isinstance(client, XAsyncTCPClient)
    assert client.SrvAddr == server.SrvAddr, client.SrvAddr
    assert client.CliAddr == (peer_ip(), peer.port), client.CliAddr
    assert client.IsSSL is False
    assert client.GetAsyncSocketsPool() is pool
    assert client.GetSocketObj() is not None


def test_a_burst_of_connections_is_accepted():
    pool = XAsyncSocketsPool()
    events = Recorder()
    server = serve(pool, events.accepted, recvBufSlots=XBufferSlots(64, 64))
    peers = [connect_peer(server.SrvAddr) for _ in range(8)]
    pump(pool, lambda: events.count('accepted') == len(peers))
    clients = [event[2] for event in events.events]
    assert sorted([client.CliAddr[1] for client in clients]) == sorted([peer.port for peer in peers])


def test_data_sent_before_the_accept_is_received():
    pool = XAsyncSocketsPool()
    events = Recorder()

    def on_accepted(server, client):
        client.AsyncRecvLine(events.received, 'arg')

    server = serve(pool, on_accepted)
    connect_peer(server.SrvAddr).send(b'early\n')
    pump(pool, lambda: events.events)
    assert events.events == [('received', 'early', 'arg')]


def test_without_a_handler_connections_are_refused_and_the_server_goes_on():
    pool = XAsyncSocketsPool()
    events = Recorder()
    server = serve(pool, None)
    pump(pool, connect_peer(server.SrvAddr).ended)
    assert pool.GetAllAsyncSockets() == [server]
    server.OnClientAccepted = events.accepted
    connect_peer(server.SrvAddr)
    pump(pool, lambda: events.count('accepted'))
    server.OnClientAccepted = None
    pump(pool, connect_peer(server.SrvAddr).ended)
    assert events.count('accepted') == 1


def test_without_a_free_slot_connections_are_refused_and_the_server_goes_on():
    pool = XAsyncSocketsPool()
    events = Recorder()
    slots = XBufferSlots(2, BUFFER_SIZE)
    server = serve(pool, events.accepted, recvBufSlots=slots)
    peers = [connect_peer(server.SrvAddr) for _ in range(4)]
    pump(pool, lambda: len([peer for peer in peers if peer.ended()]) + events.count('accepted') == 4)
    served = events.count('accepted')
    assert 1 <= served <= 2, served
    assert server in pool.GetAllAsyncSockets()
    for event in list(events.events):
        event[2].Close()
    pump(pool, lambda: all([slot.Available for slot in slots.Slots]))
    peer = connect_peer(server.SrvAddr)
    pump(pool, lambda: events.count('accepted') == served + 1)
    assert not peer.ended()


def test_a_slot_is_free_again_however_its_connection_ends():
    pool = XAsyncSocketsPool()
    events = Recorder()
    slots = XBufferSlots(2, BUFFER_SIZE)
    server = serve(pool, events.accepted, recvBufSlots=slots)
    for end in ('close', 'reset', 'half_close', 'host', 'timeout', 'long line'):
        count = events.count('accepted')
        peer = connect_peer(server.SrvAddr)
        pump(pool, lambda: events.count('accepted') > count)
        client = events.events[-1][2]
        if end == 'host':
            client.Close()
        elif end == 'timeout':
            client.AsyncRecvLine(timeoutSec=0.02)
        elif end == 'long line':
            client.AsyncRecvLine()
            peer.send(b'x' * (BUFFER_SIZE + 1))
        else:
            getattr(peer, end)()
        pump(pool, lambda: all([slot.Available for slot in slots.Slots]))
        assert pool.GetAllAsyncSockets() == [server], end


def test_the_slots_by_both_names_and_by_position():
    for name in ('recvBufSlots', 'bufSlots'):
        pool = XAsyncSocketsPool()
        slots = XBufferSlots(4, 128)
        server = serve(pool, None, **{name: slots})
        taken = []
        server.OnClientAccepted = lambda server, client: taken.append(
            [slot.Available for slot in slots.Slots].count(False))
        connect_peer(server.SrvAddr)
        pump(pool, lambda: taken)
        assert taken[0] >= 1, 'the given slots are used'
    slots = XBufferSlots(4, 128)
    server = XAsyncTCPServer.Create(XAsyncSocketsPool(), free_addr(), 4, slots)
    XAsyncTCPServer.Create(asyncSocketsPool=XAsyncSocketsPool(), srvAddr=free_addr(), srvBacklog=4, bufSlots=slots)
    assert server.SocketID is not None


def test_a_taken_port_raises_and_names_the_error():
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, free_addr())
    before = open_files()
    error = raises(XAsyncTCPServerException, XAsyncTCPServer.Create, pool, server.SrvAddr)
    assert '98' in str(error) or '112' in str(error), error    # EADDRINUSE on Linux and in lwIP
    if not MICROPYTHON:
        assert isinstance(error.__cause__, OSError)
    error = None
    assert open_files() == before
    assert pool.GetAllAsyncSockets() == [server]


def test_an_address_that_is_not_ours_raises():
    if CHIP:
        skip('lwIP lets a socket have any address')
    raises(XAsyncTCPServerException, XAsyncTCPServer.Create, XAsyncSocketsPool(), ('192.0.2.1', free_addr()[1]))


def test_bad_arguments_raise_and_leak_nothing():
    pool = XAsyncSocketsPool()
    addr = free_addr()
    before = open_files()
    for name, bad in (
            ('asyncSocketsPool', None), ('asyncSocketsPool', 'pool'),
            ('srvAddr', None), ('srvAddr', addr[0]), ('srvAddr', (addr[0],)), ('srvAddr', (addr[0], 'http')),
            ('srvAddr', (addr[0], -1)), ('srvAddr', (addr[0], 65536)),
            ('srvAddr', (5, addr[1])), ('srvAddr', (None, addr[1])),
            ('srvBacklog', 0), ('srvBacklog', -1), ('srvBacklog', 'many'), ('srvBacklog', None),
            ('recvBufSlots', 5), ('recvBufSlots', [])):
        kwargs = {'asyncSocketsPool': pool, 'srvAddr': addr, name: bad}
        error = raises(XAsyncTCPServerException, XAsyncTCPServer.Create, **kwargs)
        assert name in str(error), (name, bad, error)
    error = None
    assert open_files() == before
    assert pool.GetAllAsyncSockets() == []


def test_a_closed_server_leaves_its_connections_and_its_port():
    link = Link()
    closed = Recorder()
    link.server.OnClosed = closed.closed
    addr = link.server.SrvAddr
    assert link.server.Close() is True
    assert link.server.Close() is False
    link.pump(lambda: closed.count('closed'))
    assert closed.reason() == XClosedReason.ClosedByHost
    lines = link.read_lines(1)
    link.peer.send(b'still here\n')
    link.pump(lambda: lines)
    events = Recorder()
    again = XAsyncTCPServer.Create(link.pool, addr)
    again.OnClientAccepted = events.accepted
    connect_peer(addr)
    link.pump(lambda: events.count('accepted'))


def test_a_server_may_close_itself_while_it_accepts():
    pool = XAsyncSocketsPool()
    clients = []

    def on_accepted(server, client):
        clients.append(client)
        server.Close()

    server = serve(pool, on_accepted)
    peer = connect_peer(server.SrvAddr)
    pump(pool, lambda: clients)
    clients[0].AsyncSendData(b'served')
    pump(pool, lambda: peer.received() == b'served')
    assert pool.GetAllAsyncSockets() == clients


def test_a_client_closed_by_its_accept_handler_is_gone():
    pool = XAsyncSocketsPool()
    server = serve(pool, lambda server, client: client.Close())
    for _ in range(3):
        pump(pool, connect_peer(server.SrvAddr).ended)
    pump_for(pool, 20)
    assert pool.GetAllAsyncSockets() == [server]
