"""Names of reasons, the repr of each kind of socket, and errors that only OnException reports."""
from harness import (
    CHIP,
    ESP32,
    connect_peer,
    free_addr,
    listen_peer,
    needs_threads,
    peer_name,
    pump,
    refusing_addr,
    wait,
)
from scenes import Link, Recorder, serve

from XAsyncSockets import (
    XAsyncSocket,
    XAsyncSocketsPool,
    XAsyncTCPClient,
    XAsyncTCPClientException,
    XAsyncTCPServer,
    XAsyncTCPServerException,
    XAsyncUDPDatagram,
    XClosedReason,
)


def test_the_names_of_the_reasons():
    names = ('Error', 'ClosedByHost', 'ClosedByPeer', 'Timeout')
    assert [XClosedReason.Name(reason) for reason in range(4)] == list(names)
    for name in names:
        assert XClosedReason.Name(getattr(XClosedReason, name)) == name


def text_of(socket, addresses):
    """Return the expected repr of an open socket."""
    return '<%s #%d%s open>' % (type(socket).__name__, socket.SocketID, addresses)


def test_the_repr_of_connections():
    for outgoing in (False, True):
        link = Link(outgoing)
        client = link.client
        assert repr(client) == text_of(client, ' %s:%d -> %s:%d' % (client.CliAddr + client.SrvAddr))
        if not outgoing:
            assert '%d -> ' % link.peer.port in repr(client)
        assert str(client) == repr(client)
        link.client.Close()
        link.pump_closed()
        assert repr(client).endswith(' %s:%d -> %s:%d closed ClosedByHost>' % (client.CliAddr + client.SrvAddr))
        link.end()


def test_the_repr_of_a_connection_that_failed():
    pool = XAsyncSocketsPool()
    addr = refusing_addr()
    client = XAsyncTCPClient.Create(pool, addr)
    assert repr(client).endswith(' -> %s:%d connecting>' % addr), client
    ended = Recorder()
    client.OnClosed = ended.closed
    pump(pool, lambda: ended.events)
    assert repr(client).endswith(' -> %s:%d closed Error>' % addr), client


def test_the_repr_of_servers_and_udp_sockets():
    pool = XAsyncSocketsPool()
    server = XAsyncTCPServer.Create(pool, free_addr())
    receiver = XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    sender = XAsyncUDPDatagram.Create(pool)
    assert repr(server) == text_of(server, ' %s:%d' % server.SrvAddr)
    assert repr(receiver) == text_of(receiver, ' %s:%d' % receiver.LocalAddr)
    assert repr(sender) == text_of(sender, ' 0.0.0.0:0')
    for socket, addr in ((server, server.SrvAddr), (receiver, receiver.LocalAddr)):
        socket.Close()
        assert repr(socket).endswith(' %s:%d closed ClosedByHost>' % addr), socket


def test_the_repr_of_a_socket_of_the_programs_own():
    class OwnSocket(XAsyncSocket):
        pass

    from harness import udp_socket
    own = OwnSocket(XAsyncSocketsPool(), udp_socket()[0])
    assert repr(own) == '<OwnSocket #%d open>' % own.SocketID
    own.Close()


def test_connections_refused_without_a_handler_are_reported_once_per_server():
    pool = XAsyncSocketsPool()
    raised = Recorder()
    pool.OnException = raised.raised
    servers = [serve(pool, None) for _ in range(2)]
    for _ in range(2):
        for server in servers:
            peer = connect_peer(server.SrvAddr)
            pump(pool, peer.ended)
    assert [event[1] for event in raised.events] == servers
    for event in raised.events:
        assert isinstance(event[2], XAsyncTCPServerException)
        assert 'OnClientAccepted' in str(event[2]) and 'refused' in str(event[2])
    servers[0].OnClientAccepted = raised.accepted
    connect_peer(servers[0].SrvAddr)
    pump(pool, lambda: raised.count('accepted'))


def test_a_connection_refused_without_a_free_slot_is_not_an_error():
    link = Link(bufSlots=one_slot())
    link.pool.OnException = link.events.raised
    peer = connect_peer(link.server.SrvAddr)
    link.pump(peer.ended)
    assert link.events.events == []


def one_slot():
    from XAsyncSockets import XBufferSlots
    return XBufferSlots(1, 256)


def none_created(pool, addr, **kwargs):
    """Return the exception that is reported when Create returns None."""
    told = Recorder()
    pool.OnException = told.raised
    assert XAsyncTCPClient.Create(pool, addr, **kwargs) is None
    (_, socket, exception), = told.events
    assert socket is None and isinstance(exception, XAsyncTCPClientException)
    assert '%s:%d' % addr in str(exception), exception
    return exception


def test_why_create_returns_none():
    pool = XAsyncSocketsPool()
    error = none_created(pool, refusing_addr(), connectAsync=False)
    assert isinstance(error.__cause__, OSError) and str(error.__cause__.errno) in str(error), error
    if not CHIP and not ESP32:      # lwIP starts a connection to such an address
        error = none_created(pool, ('255.255.255.255', 80))
        assert isinstance(error.__cause__, OSError) and str(error.__cause__.errno) in str(error), error
    peer_name()     # skips if names are not looked up here
    error = none_created(pool, ('name.invalid', 80))
    assert isinstance(error.__cause__, OSError), error
    assert pool.GetAllAsyncSockets() == []


def test_why_create_returns_none_in_another_thread():
    needs_threads()
    pool = XAsyncSocketsPool()
    pool.AsyncWaitEvents(1)
    none_created(pool, refusing_addr(), connectAsync=False)
    events = Recorder()
    events.watch(XAsyncTCPClient.Create(pool, listen_peer().addr))
    wait(lambda: events.count('connected'))
    pool.StopWaitEvents()
