"""TLS on a connection: both sides, both calls, started at once or in the middle."""
import os

from harness import MICROPYTHON, connect_peer, elapsed_ms, limit_send_buffer, now_ms, pattern, raises, skip, wait
from scenes import Link, Recorder

from XAsyncSockets import XAsyncTCPClient, XAsyncTCPClientException, XClosedReason

TIME_LIMIT_SEC = 60

if not MICROPYTHON:
    import ssl

    FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tls')
    CERTIFICATE = os.path.join(FOLDER, 'server.crt')
    KEY = os.path.join(FOLDER, 'server.key')


def needs_tls():
    if MICROPYTHON:
        skip('TLS on MicroPython is not there yet')


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


def client_context():
    context = ssl.create_default_context(cafile=CERTIFICATE)
    context.check_hostname = False
    return context


def secure_link(outgoing, **kwargs):
    """A link with TLS on it; the library is the server where it accepted."""
    needs_tls()
    link = Link(outgoing, **kwargs)
    link.peer.start_tls('server' if outgoing else 'client')
    context = client_context() if outgoing else server_context()
    assert link.client.StartSSLContext(context, serverSide=not outgoing) is True
    link.pump(lambda: link.peer.state() == 'secure')
    assert link.client.IsSSL is True
    return link


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
    """What the TLS layer holds already makes no socket readable."""
    for outgoing in (False, True):
        link = secure_link(outgoing)
        lines = link.read_lines(500)
        link.peer.send(b''.join([b'line %d\n' % number for number in range(500)]))
        link.pump(lambda: len(lines) == 500)
        assert lines == ['line %d' % number for number in range(500)]


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
    """STARTTLS: a plain line, a plain answer, then TLS from the answer's sent handler."""
    needs_tls()
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
    needs_tls()
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
        needs_tls()
        link = Link(outgoing)
        link.peer.start_tls('server' if outgoing else 'client')
        link.client.StartSSLContext(client_context() if outgoing else server_context(), not outgoing)
        link.client.AsyncSendData(b'first', link.events.sent)
        link.client.AsyncRecvLine(link.events.received)
        assert link.pump_received(5) == b'first'
        link.peer.send(b'line\n')
        link.pump(lambda: link.events.count('received') and link.events.count('sent'))


def test_the_old_way_on_both_sides():
    needs_tls()
    link = Link()
    link.peer.start_tls('client')
    assert link.client.StartSSL(KEY, CERTIFICATE, True) is True
    link.pump(lambda: link.peer.state() == 'secure')
    assert link.client.IsSSL is True
    for kwargs in ({}, {'cert_reqs': ssl.CERT_REQUIRED, 'ca_certs': CERTIFICATE},
                   {'keyfile': None, 'certfile': None, 'server_side': False, 'cert_reqs': ssl.CERT_NONE}):
        link = Link(outgoing=True)
        link.peer.start_tls('server')
        assert link.client.StartSSL(**kwargs) is True
        link.pump(lambda: link.peer.state() == 'secure')
        link.client.AsyncSendData(b'x')
        assert link.pump_received(1) == b'x'


def test_a_certificate_that_is_not_trusted_is_an_error():
    needs_tls()
    link = Link(outgoing=True)
    link.peer.start_tls('server')
    context = ssl.create_default_context()
    context.check_hostname = False
    link.client.StartSSLContext(context)
    assert link.pump_closed() == XClosedReason.Error
    assert link.client not in link.pool.GetAllAsyncSockets()


def test_what_is_no_handshake_is_an_error_of_its_connection_alone():
    needs_tls()
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


def test_a_handshake_does_not_hold_the_others_up():
    needs_tls()
    link = Link()
    other = Link(pool=link.pool)
    link.client.StartSSLContext(server_context(), True)
    link.peer.send(b'\x16\x03\x01')     # begins like one, and then nothing
    lines = other.read_lines(1)
    other.peer.send(b'quick\n')
    start = now_ms()
    link.pump(lambda: lines)
    assert elapsed_ms(start) < 1000
    link.peer.close()
    link.pump_closed()


def test_plain_data_before_tls_is_an_error():
    """It could have been injected by somebody on the way."""
    needs_tls()
    link = Link()
    lines = link.read_lines(1)
    link.peer.send(b'STARTTLS\nINJECTED\n')
    link.pump(lambda: lines)
    raises(XAsyncTCPClientException, link.client.StartSSLContext, server_context(), True)
    raises(XAsyncTCPClientException, link.client.StartSSL, KEY, CERTIFICATE, True)
    assert link.client.IsSSL is False


def test_the_peers_orderly_end():
    for outgoing in (False, True):
        for pending in (False, True):
            link = secure_link(outgoing)
            if pending:
                link.client.AsyncRecvLine(link.events.received)
            link.peer.close()
            assert link.pump_closed() == XClosedReason.ClosedByPeer
            assert link.events.names() == ['closed']


def test_close_hands_over_what_was_queued():
    XAsyncTCPClient.SendQueueLimit = 10000000
    for outgoing in (False, True):
        link = secure_link(outgoing)
        limit_send_buffer(link.client.GetSocketObj())
        link.client.AsyncSendData(pattern(500000))
        link.client.Close()
        assert link.pump_closed(limit_sec=20) == XClosedReason.ClosedByHost
        link.pump(link.peer.ended)
        assert link.peer.received_count() == 500000 and link.peer.received_pattern()


def test_a_receive_times_out():
    link = secure_link(False)
    start = now_ms()
    link.client.AsyncRecvLine(timeoutSec=0.2)
    assert link.pump_closed() == XClosedReason.Timeout
    assert elapsed_ms(start) >= 180


def test_bad_arguments_raise_and_leave_the_connection_plain():
    needs_tls()
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
    needs_tls()
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
        wait(lambda: peer.state() == 'secure')
        peer.echo(100, 500)
    for peer in peers:
        wait(lambda: peer.echoed() == 100)
    link.pool.StopWaitEvents()
