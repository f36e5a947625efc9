"""XAsyncTCPClient.Create: connecting, and every way to fail."""
from harness import (
    deaf_addr,
    elapsed_ms,
    listen_peer,
    now_ms,
    open_files,
    peer_name,
    pump,
    pump_for,
    raises,
    refusing_addr,
)
from scenes import Link, Recorder

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPClientException, XClosedReason


def connecting(pool, addr, **kwargs):
    """Return a client that is connecting to `addr`, and the recorder of its events."""
    events = Recorder()
    client = XAsyncTCPClient.Create(pool, addr, **kwargs)
    assert isinstance(client, XAsyncTCPClient), client
    return events.watch(client), events


def test_a_connection_is_made_and_on_connected_fires_once():
    pool = XAsyncSocketsPool()
    listener = listen_peer()
    client, events = connecting(pool, listener.addr)
    assert events.events == [], 'no event before the loop runs'
    pump(pool, lambda: events.events)
    peer = pump(pool, listener.accept)
    pump_for(pool, 30)
    assert events.events == [('connected', client)]
    assert client.SrvAddr == listener.addr, client.SrvAddr
    assert client.IsSSL is False
    assert client in pool.GetAllAsyncSockets()
    assert client.GetSocketObj() is not None
    assert peer.port


def test_a_client_knows_both_addresses():
    link = Link(outgoing=True)
    ip, port = link.client.CliAddr
    assert isinstance(ip, str) and isinstance(port, int), link.client.CliAddr
    if port:    # 0 if the platform does not know it
        assert port == link.peer.port


def test_a_host_name_is_resolved():
    pool = XAsyncSocketsPool()
    listener = listen_peer()
    client, events = connecting(pool, (peer_name(), listener.addr[1]))
    pump(pool, lambda: events.count('connected'))
    assert isinstance(client.SrvAddr, tuple) and client.SrvAddr[1] == listener.addr[1], client.SrvAddr


def test_sending_and_receiving_at_once_after_connecting():
    pool = XAsyncSocketsPool()
    listener = listen_peer()
    client, events = connecting(pool, listener.addr)

    def on_connected(client):
        client.AsyncSendData(b'hello')
        client.AsyncRecvLine(events.received)

    client.OnConnected = on_connected
    peer = pump(pool, listener.accept)
    peer.send(b'welcome\n')
    pump(pool, lambda: events.count('received') and peer.received() == b'hello')
    assert events.values('received') == ['welcome']


def test_create_takes_positional_arguments_and_both_names():
    listener = listen_peer()
    calls = (
        lambda pool: XAsyncTCPClient.Create(pool, listener.addr, 5, 50, True),
        lambda pool: XAsyncTCPClient.Create(asyncSocketsPool=pool, srvAddr=listener.addr, connectTimeout=5,
                                            recvbufLen=50, connectAsync=True),
        lambda pool: XAsyncTCPClient.Create(pool, listener.addr, recvBufLen=50, sendBufLen=60))
    for call in calls:
        pool = XAsyncSocketsPool()
        client = call(pool)
        events = Recorder()
        events.watch(client)
        pump(pool, lambda: events.count('connected'))
        peer = pump(pool, listener.accept)
        client.AsyncRecvLine(events.received)
        peer.send(b'x' * 51)
        pump(pool, lambda: events.count('closed'))
        assert events.reason() == XClosedReason.Error, 'a line longer than recvbufLen'


def test_a_blocking_connect_returns_a_connected_client():
    pool = XAsyncSocketsPool()
    listener = listen_peer()
    client, events = connecting(pool, listener.addr, connectAsync=False)
    client.AsyncSendData(b'hello')
    pump(pool, lambda: events.count('connected'))
    peer = pump(pool, listener.accept)
    pump(pool, lambda: peer.received() == b'hello')
    pump_for(pool, 20)
    assert events.events == [('connected', client)]


def test_a_blocking_connect_to_a_refusing_port_returns_none():
    pool = XAsyncSocketsPool()
    before = open_files()
    assert XAsyncTCPClient.Create(pool, refusing_addr(), connectAsync=False) is None
    assert pool.GetAllAsyncSockets() == []
    assert open_files() <= before + 1      # the harness' control connection


def test_a_blocking_connect_to_a_silent_port_ends_with_the_timeout():
    pool = XAsyncSocketsPool()
    addr = deaf_addr()
    start = now_ms()
    assert XAsyncTCPClient.Create(pool, addr, connectTimeout=0.3, connectAsync=False) is None
    assert 200 <= elapsed_ms(start) < 3000, elapsed_ms(start)
    assert pool.GetAllAsyncSockets() == []


def test_a_refused_connection_fails_to_connect_and_then_closes():
    pool = XAsyncSocketsPool()
    addr = refusing_addr()
    pool.PollEvents()
    before = open_files()
    client, events = connecting(pool, addr)
    pump(pool, lambda: events.events)
    pump_for(pool, 30)
    assert events.events == [('failed', client), ('closed', XClosedReason.Error)], events.events
    assert isinstance(client.CloseError, OSError)
    assert pool.GetAllAsyncSockets() == []
    assert client.SocketID is None
    assert client.Close() is False
    assert client.AsyncSendData(b'x') is False
    assert open_files() == before


def test_a_connection_that_times_out_fails_to_connect_and_then_closes():
    pool = XAsyncSocketsPool()
    addr = deaf_addr()
    pool.PollEvents()
    before = open_files()
    start = now_ms()
    client, events = connecting(pool, addr, connectTimeout=0.2)
    pump(pool, lambda: events.count('closed'))
    assert 180 <= elapsed_ms(start) < 4000, elapsed_ms(start)
    pump_for(pool, 20)
    assert events.events == [('failed', client), ('closed', XClosedReason.Timeout)], events.events
    assert pool.GetAllAsyncSockets() == []
    assert open_files() == before


def test_a_close_before_the_connection_fails_to_connect_and_then_closes():
    pool = XAsyncSocketsPool()
    client, events = connecting(pool, deaf_addr())
    pool.PollEvents(10)
    assert client.Close() is True
    assert client.Close() is False
    pump(pool, lambda: events.count('closed'))
    pump_for(pool, 20)
    assert events.events == [('failed', client), ('closed', XClosedReason.ClosedByHost)], events.events


def test_a_pool_that_stops_ends_pending_connects():
    pool = XAsyncSocketsPool()
    client, events = connecting(pool, deaf_addr())
    pool.PollEvents(10)
    pool.StopWaitEvents()
    pump(pool, lambda: events.count('closed'))
    assert events.events == [('failed', client), ('closed', XClosedReason.ClosedByHost)], events.events


def test_create_returns_none_if_no_connection_can_be_started():
    pool = XAsyncSocketsPool()
    before = open_files()
    assert XAsyncTCPClient.Create(pool, ('name.invalid', 80)) is None
    assert XAsyncTCPClient.Create(pool, ('255.255.255.255', 80)) is None
    assert pool.GetAllAsyncSockets() == []
    assert open_files() == before


def test_a_peer_that_closes_at_once_was_connected_before():
    pool = XAsyncSocketsPool()
    listener = listen_peer()
    client, events = connecting(pool, listener.addr)
    peer = None
    while peer is None:
        peer = listener.accept()
    peer.close()
    pump(pool, lambda: events.count('closed'))
    assert events.events == [('connected', client), ('closed', XClosedReason.ClosedByPeer)], events.events


def test_the_connect_timeout_stops_once_connected():
    pool = XAsyncSocketsPool()
    listener = listen_peer()
    client, events = connecting(pool, listener.addr, connectTimeout=0.15)
    pump(pool, lambda: events.count('connected'))
    pump_for(pool, 300)
    assert events.events == [('connected', client)]


def test_on_fails_to_connect_may_try_again():
    pool = XAsyncSocketsPool()
    listener = listen_peer()
    events = Recorder()

    def on_failed(client):
        events.watch(XAsyncTCPClient.Create(pool, listener.addr))

    client = XAsyncTCPClient.Create(pool, refusing_addr())
    client.OnFailsToConnect = on_failed
    pump(pool, lambda: events.count('connected'))


def test_without_handlers_no_outcome_raises():
    pool = XAsyncSocketsPool()
    raised = Recorder()
    pool.OnException = raised.raised
    listener = listen_peer()
    XAsyncTCPClient.Create(pool, refusing_addr())
    XAsyncTCPClient.Create(pool, deaf_addr(), connectTimeout=0.05)
    client = XAsyncTCPClient.Create(pool, listener.addr)
    peer = pump(pool, listener.accept)
    client.AsyncRecvLine()
    client.AsyncSendData(b'x')
    peer.send(b'line\n')
    pump(pool, lambda: peer.received() == b'x')
    peer.close()
    pump(pool, lambda: not pool.GetAllAsyncSockets())
    assert raised.events == []


def test_bad_arguments_raise_and_leak_nothing():
    pool = XAsyncSocketsPool()
    addr = listen_peer().addr
    before = open_files()
    for name, bad in (
            ('asyncSocketsPool', None), ('asyncSocketsPool', 5),
            ('srvAddr', None), ('srvAddr', 'host'), ('srvAddr', (addr[0],)), ('srvAddr', (addr[0], '80')),
            ('srvAddr', (addr[0], 0)), ('srvAddr', (addr[0], 65536)), ('srvAddr', (5, 80)),
            ('connectTimeout', 0), ('connectTimeout', -1), ('connectTimeout', 'now'), ('connectTimeout', True),
            ('connectTimeout', 518401),
            ('recvbufLen', 0), ('recvbufLen', -5), ('recvbufLen', 1.5), ('recvbufLen', 'many'),
            ('sendBufLen', 0), ('sendBufLen', 'many')):
        kwargs = {'asyncSocketsPool': pool, 'srvAddr': addr, name: bad}
        error = raises(XAsyncTCPClientException, XAsyncTCPClient.Create, **kwargs)
        assert name.lower() in str(error).lower(), (name, bad, error)
    error = None
    assert open_files() == before
    assert pool.GetAllAsyncSockets() == []
