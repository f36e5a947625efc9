"""TLS on a connection: on both sides, with both calls, from the start or from the middle of the connection."""
from harness import (
    connect_peer,
    elapsed_ms,
    limit_send_buffer,
    listen_peer,
    needs_threads,
    now_ms,
    pattern,
    peer_ip,
    peer_name,
    raises,
    wait,
)
from scenes import BUFFER_SIZE, KEY, Link, Recorder, certificate, client_context, server_context

from XAsyncSockets import XAsyncTCPClient, XAsyncTCPClientException, XClosedReason

TIME_LIMIT_SEC = 60

CERTIFICATE = certificate()


def secure_link(outgoing, **kwargs):
    """Return a link with TLS. The library is the server if it accepted the connection."""
    link = Link(outgoing, **kwargs)
    link.peer.start_tls('server' if outgoing else 'client')
    context = client_context() if outgoing else server_context()
    assert link.client.StartSSLContext(context, serverSide=not outgoing) is True
    link.pump(lambda: link.peer.state() == 'secure')
    assert link.client.IsSSL is True
    return link


def test_another_thread_starts_tls_and_sends_at_once():
    needs_threads()
    link = Link()
    link.pool.AsyncWaitEvents(1)
    link.client.StartSSLContext(server_context(), True)
    assert link.client.IsSSL is True
    link.client.AsyncSendData(b'early')
    link.peer.start_tls('client')
    wait(lambda: link.peer.received_count() >= 5 or link.events.count('closed'))
    assert link.peer.received() == b'early', link.client.CloseError
    link.pool.StopWaitEvents()


def test_a_server_that_requires_a_certificate_refuses_a_client_without_one():
    link = Link()
    link.client.StartSSLContext(XAsyncTCPClient.CreateSSLContext(KEY, CERTIFICATE, True, 2, CERTIFICATE), True)
    link.peer.start_tls('client')
    assert link.pump_closed() == XClosedReason.Error
    assert 'cannot start' not in str(link.client.CloseError), link.client.CloseError


def test_lines_and_data_both_ways():
    for outgoing in (False, True):
        link = secure_link(outgoing)
        lines = link.read_lines(2)
        link.peer.send(b'one\r\ntwo\n')
        link.pump(lambda: len(lines) == 2)
        assert lines == ['one', 'two']
        link.client.AsyncRecvData(3, link.events.received)
        link.peer.send(b'abcd')
        link.pump(lambda: link.events.count('received') == 1)
        link.client.AsyncRecvData(None, link.events.received)
        link.pump(lambda: link.events.count('received') == 2)
        assert link.events.values('received') == [b'abc', b'd']
        link.client.AsyncSendData(b'answer', link.events.sent, 'arg')
        assert link.pump_received(6) == b'answer'
        link.pump(lambda: link.events.values('sent') == ['arg'])


def test_many_lines_in_one_record():
    """Data that the TLS layer already holds does not make the socket readable."""
    for outgoing in (False, True):
        link = secure_link(outgoing)
        lines = link.read_lines(500)
        link.peer.send(b''.join([b'line %d\n' % number for number in range(500)]))
        link.pump(lambda: len(lines) == 500)
        assert lines == ['line %d' % number for number in range(500)]


def test_data_held_by_tls_after_a_full_buffer():
    """One record fills many buffers, and only the first is received. poll() does not report the rest."""
    size = 40 * BUFFER_SIZE
    for outgoing in (False, True):
        link = secure_link(outgoing)
        link.peer.send_pattern(size)
        link.pump_for(100)
        while len(link.events.data()) < size:
            link.client.AsyncRecvData(BUFFER_SIZE // 2, link.events.received)
            link.pump(lambda: len(link.events.data()) % (BUFFER_SIZE // 2) == 0 and not link.client._wants)
            link.pump_for(3)
        assert link.events.data() == pattern(size)


def test_a_connection_that_is_silent_after_the_handshake_stays_open():
    """MicroPython does not show the end of the handshake, so its time limit must not end a silent connection."""
    XAsyncTCPClient.HandshakeSec = 1
    links = [secure_link(outgoing) for outgoing in (False, True)]
    start = now_ms()
    for link in links:
        link.client.AsyncRecvLine(link.events.received)
    while elapsed_ms(start) < 1200:
        for link in links:
            link.pump_for(10)
    for link in links:
        assert link.events.names() == []
        link.peer.send(b'still there\n')
        link.pump(lambda: link.events.count('received'))
        link.client.AsyncSendData(b'answer')
        assert link.pump_received(6) == b'answer'


def test_a_record_larger_than_the_buffer():
    link = secure_link(False)
    link.client.AsyncRecvData(10000, link.events.received)
    link.peer.send_pattern(10000)
    link.pump(lambda: link.events.count('received'))
    assert link.events.data() == pattern(10000)


def test_a_long_stream_both_ways():
    size = 300000
    for outgoing in (False, True):
        link = secure_link(outgoing)
        received = []
        total = [0]

        def on_data(client, data, arg):
            received.append(bytes(data))
            total[0] += len(data)
            client.AsyncRecvData(None, on_data)

        link.client.AsyncRecvData(None, on_data)
        link.client.AsyncSendData(pattern(size), link.events.sent)
        link.peer.send_pattern(size)
        link.pump(lambda: total[0] == size and link.peer.received_count() == size, limit_sec=20)
        assert b''.join(received) == pattern(size)
        assert link.peer.received_pattern()
        link.pump(lambda: link.events.count('sent'))


def test_tls_in_the_middle_of_a_connection():
    """STARTTLS: after a plain line and a plain answer, the answer's sent handler starts TLS."""
    link = Link()

    def on_line(client, line, arg):
        client.AsyncSendData(b'go\n', on_sent)

    def on_sent(client, arg):
        client.StartSSLContext(sslContext=server_context(), serverSide=True)
        client.AsyncRecvLine(link.events.received)

    link.client.AsyncRecvLine(on_line)
    link.peer.send(b'STARTTLS\n')
    link.pump_received(3)
    link.peer.start_tls('client')
    link.pump(lambda: link.peer.state() == 'secure')
    link.peer.send(b'secret\n')
    link.pump(lambda: link.events.count('received'))
    assert link.events.values('received') == ['secret']


def test_tls_from_on_client_accepted():
    link = Link()
    events = Recorder()

    def on_accepted(server, client):
        client.StartSSLContext(server_context(), True)
        client.AsyncRecvLine(events.received)

    link.server.OnClientAccepted = on_accepted
    peer = connect_peer(link.server.SrvAddr)
    peer.start_tls('client')
    link.pump(lambda: peer.state() == 'secure')
    peer.send(b'hello\n')
    link.pump(lambda: events.count('received'))


def test_sends_and_receives_started_before_the_handshake_ends():
    for outgoing in (False, True):
        link = Link(outgoing)
        link.peer.start_tls('server' if outgoing else 'client')
        link.client.StartSSLContext(client_context() if outgoing else server_context(), not outgoing)
        link.client.AsyncSendData(b'first', link.events.sent)
        link.client.AsyncRecvLine(link.events.received)
        assert link.pump_received(5) == b'first'
        link.peer.send(b'line\n')
        link.pump(lambda: link.events.count('received') and link.events.count('sent'))


def test_start_ssl_on_both_sides():
    link = Link()
    link.peer.start_tls('client')
    assert link.client.StartSSL(KEY, CERTIFICATE, True) is True
    link.pump(lambda: link.peer.state() == 'secure')
    assert link.client.IsSSL is True
    for kwargs in ({}, {'cert_reqs': 2, 'ca_certs': CERTIFICATE},
                   {'keyfile': None, 'certfile': None, 'server_side': False, 'cert_reqs': 0}):
        link = Link(outgoing=True)
        link.peer.start_tls('server')
        assert link.client.StartSSL(**kwargs) is True
        link.pump(lambda: link.peer.state() == 'secure')
        link.client.AsyncSendData(b'x')
        assert link.pump_received(1) == b'x'


def failure(outgoing, context, certificate='server', ciphers='-'):
    """Return the text of CloseError after a handshake that must fail."""
    link = Link(outgoing)
    link.peer.start_tls('server' if outgoing else 'client', certificate, ciphers)
    link.client.StartSSLContext(context, not outgoing)
    link.client.AsyncRecvLine(link.events.received)
    assert link.pump_closed() == XClosedReason.Error
    assert link.events.names() == ['closed']
    assert link.client not in link.pool.GetAllAsyncSockets()
    return str(link.client.CloseError)


def test_a_failed_handshake_gives_its_reason():
    """The reason has the words of the interpreter's TLS."""
    for why, outgoing, context, shown, ciphers in (
            (('signed',), True, client_context('elsewhere'), 'server', '-'),
            (('does not match', 'mismatch'), True, client_context('elsewhere'), 'elsewhere', '-'),
            (('expired',), True, client_context('expired'), 'expired', '-'),
            (('handshake failure', 'no shared cipher'), False, server_context(), 'server',
             'ECDHE-RSA-AES128-GCM-SHA256')):
        text = failure(outgoing, context, shown, ciphers)
        assert any([words in text.lower().replace('_', ' ') for words in why]), text


def test_the_host_name_is_verified_for_a_name_and_for_an_address():
    for host, named in ((peer_name(), None), (peer_ip(), None), (peer_ip(), peer_name()), (peer_ip(), 'other.example')):
        for name, reason in (('server', None if named != 'other.example' else XClosedReason.Error),
                             ('elsewhere', XClosedReason.Error)):
            listener = listen_peer()
            link = Link()
            events = Recorder()
            client = events.watch(XAsyncTCPClient.Create(link.pool, (host, listener.addr[1])))
            link.pump(lambda: events.count('connected'))
            peer = link.pump(listener.accept)
            peer.start_tls('server', name)
            client.StartSSLContext(client_context(name), serverName=named)
            link.pump(lambda: events.count('closed') if reason is not None else peer.state() == 'secure')
            assert events.values('closed') == ([] if reason is None else [reason])


def test_a_peer_that_closes_in_the_handshake():
    for outgoing in (False, True):
        link = Link(outgoing)
        link.client.StartSSLContext(client_context() if outgoing else server_context(), not outgoing)
        link.client.AsyncSendData(b'never', link.events.sent)
        link.peer.close()
        assert link.pump_closed() == XClosedReason.Error
        assert isinstance(link.client.CloseError, OSError)
        assert link.events.names() == ['closed']


def test_an_invalid_handshake_ends_only_its_connection():
    link = Link()
    other = Link(pool=link.pool)
    link.client.StartSSLContext(server_context(), True)
    link.client.AsyncRecvLine(link.events.received)
    link.peer.send(b'GET / HTTP/1.1\r\n\r\n')
    assert link.pump_closed() == XClosedReason.Error
    assert link.events.count('received') == 0
    lines = other.read_lines(1)
    other.peer.send(b'fine\n')
    link.pump(lambda: lines)


def test_a_handshake_does_not_delay_others():
    link = Link()
    other = Link(pool=link.pool)
    link.client.StartSSLContext(server_context(), True)
    link.peer.send(b'\x16\x03\x01')     # the beginning of a handshake, and nothing more
    lines = other.read_lines(1)
    other.peer.send(b'quick\n')
    start = now_ms()
    link.pump(lambda: lines)
    assert elapsed_ms(start) < 3000
    link.peer.close()
    link.pump_closed()


def test_plain_data_before_tls_is_an_error():
    """An attacker could have injected it."""
    link = Link()
    lines = link.read_lines(1)
    link.peer.send(b'STARTTLS\nINJECTED\n')
    link.pump(lambda: lines)
    raises(XAsyncTCPClientException, link.client.StartSSLContext, server_context(), True)
    raises(XAsyncTCPClientException, link.client.StartSSL, KEY, CERTIFICATE, True)
    assert link.client.IsSSL is False


def test_an_end_without_close_notify_is_an_error():
    """The data received is delivered, but an attacker may have cut off the rest."""
    for outgoing in (False, True):
        for pending in (False, True):
            link = secure_link(outgoing)
            link.peer.send(b'one\n')
            link.peer.cut_off()
            lines = link.read_lines(2 if pending else 1)
            assert link.pump_closed(10) == XClosedReason.Error
            assert lines == ['one']
            assert 'close_notify' in str(link.client.CloseError)


def test_data_and_the_peers_end_arrive_together():
    """The end must not get lost after the data, even if the peer keeps the socket open."""
    for outgoing, turns in ((False, 0), (True, 0), (False, 1), (True, 1)):
        link = secure_link(outgoing)
        link.peer.send(b'last\n')
        link.peer.close()
        for _ in range(turns):
            link.pool.PollEvents(5)
        lines = link.read_lines(2)
        assert link.pump_closed() == XClosedReason.ClosedByPeer
        assert lines == ['last']


def test_data_and_the_peers_reset_arrive_together():
    for outgoing in (False, True):
        link = secure_link(outgoing)
        lines = link.read_lines(2)
        link.peer.send(b'last words\n')
        link.peer.reset()
        assert link.pump_closed() == XClosedReason.Error
        assert lines == ['last words'], lines


def test_the_peers_orderly_end():
    for outgoing in (False, True):
        for pending in (False, True):
            link = secure_link(outgoing)
            if pending:
                link.client.AsyncRecvLine(link.events.received)
            link.peer.close()
            assert link.pump_closed() == XClosedReason.ClosedByPeer
            assert link.events.names() == ['closed']


def test_close_sends_the_queued_data():
    XAsyncTCPClient.SendQueueLimit = 10000000
    for outgoing in (False, True):
        link = secure_link(outgoing)
        limit_send_buffer(link.client.GetSocketObj())
        link.client.AsyncSendData(pattern(500000))
        link.client.Close()
        assert link.pump_closed(limit_sec=20) == XClosedReason.ClosedByHost
        link.pump(link.peer.ended)
        assert link.peer.received_count() == 500000 and link.peer.received_pattern()


def test_a_handshake_times_out():
    """It also times out for a peer that goes on sending byte by byte."""
    XAsyncTCPClient.HandshakeSec = 0.5
    links = [Link(outgoing) for outgoing in (False, True)]
    start = now_ms()
    for link in links:
        link.client.StartSSLContext(client_context() if link.server is None else server_context(), bool(link.server))
        link.client.AsyncSendData(b'never', link.events.sent)
    hello = b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(400)
    at = 0
    while not all([link.events.count('closed') for link in links]):
        assert elapsed_ms(start) < 5000
        links[0].peer.send(hello[at:at + 1])
        at += 1
        for link in links:
            link.pump_for(20)
    assert elapsed_ms(start) >= 480
    for link in links:
        assert link.events.names() == ['closed'] and link.events.reason() == XClosedReason.Timeout
        assert 'handshake' in str(link.client.CloseError)


def test_a_receive_times_out():
    link = secure_link(False)
    start = now_ms()
    link.client.AsyncRecvLine(timeoutSec=0.2)
    assert link.pump_closed() == XClosedReason.Timeout
    assert elapsed_ms(start) >= 180


def test_bad_arguments_raise_and_leave_the_connection_plain():
    for call in (lambda client: client.StartSSLContext(None), lambda client: client.StartSSLContext('context'),
                 lambda client: client.StartSSL('/no/key', '/no/certificate', True),
                 lambda client: client.StartSSL(KEY, KEY, True)):
        link = Link()
        raises(XAsyncTCPClientException, call, link.client)
        assert link.client.IsSSL is False
        link.client.AsyncSendData(b'plain')
        assert link.pump_received(5) == b'plain'
    link = Link()
    link.client.Close()
    link.pump_closed()
    raises(XAsyncTCPClientException, link.client.StartSSLContext, server_context(), True)


def test_tls_starts_once():
    link = secure_link(False)
    raises(XAsyncTCPClientException, link.client.StartSSLContext, server_context(), True)
    link.client.AsyncSendData(b'x')
    assert link.pump_received(1) == b'x'


def test_many_tls_connections_in_workers():
    link = Link()
    clients = Recorder()
    context = server_context()

    def echo(client, data, arg):
        client.AsyncSendData(data)
        client.AsyncRecvData(None, echo)

    def on_accepted(server, client):
        clients.accepted(server, client)
        client.StartSSLContext(context, True)
        client.AsyncRecvData(None, echo)

    link.server.OnClientAccepted = on_accepted
    link.pool.AsyncWaitEvents(4)
    peers = [connect_peer(link.server.SrvAddr) for _ in range(5)]
    for peer in peers:
        peer.start_tls('client')
    for peer in peers:
        wait(lambda: peer.state() == 'secure', limit_sec=20)
        peer.echo(100, 500)
    for peer in peers:
        wait(lambda: peer.echoed() == 100, limit_sec=20)
    link.pool.StopWaitEvents()
