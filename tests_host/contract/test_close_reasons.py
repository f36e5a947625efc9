"""How connections end: Close(), the peer's close, half-close and reset, and OnClosed in both its forms."""
from harness import MANY, elapsed_ms, listen_peer, needs_plain, now_ms, pattern, pump, raises
from scenes import REASONS, Link, Recorder, links

from XAsyncSockets import (
    XAsyncSocket,
    XAsyncSocketException,
    XAsyncSocketsPool,
    XAsyncTCPClient,
    XAsyncUDPDatagram,
    XClosedReason,
)

OVER = ['', 'tls']
NO_HALF_CLOSE = "the peers' TLS has no half-close"


def test_the_reasons_have_their_values():
    assert REASONS == (0x00, 0x01, 0x02, 0x03)


def test_close_returns_true_once_and_on_closed_fires_once():
    for link in links():
        assert link.client.Close() is True
        assert link.client.Close() is False
        assert link.pump_closed() == XClosedReason.ClosedByHost
        assert link.client.Close() is False
        link.pump(link.peer.ended)
        link.pump_for(30)
        assert link.events.names() == ['closed']
        assert link.client.SocketID is None
        assert link.client not in link.pool.GetAllAsyncSockets()


def test_addresses_and_state_stay_readable_after_the_close():
    for link in links():
        link.client.State = {'mine': 1}
        addresses = link.client.SrvAddr, link.client.CliAddr
        link.client.Close()
        link.pump_closed()
        assert (link.client.SrvAddr, link.client.CliAddr) == addresses
        assert link.client.State == {'mine': 1}
        assert link.client.GetAsyncSocketsPool() is link.pool


def test_state_holds_any_object():
    link = Link()
    assert link.client.State is None
    for state in ('text', 5, [1], None, link):
        link.client.State = state
        assert link.client.State is state


def test_on_closed_with_two_arguments_and_with_one():
    class Application:
        def __init__(self):
            self.calls = []

        def both(self, socket, reason):
            self.calls.append((socket, reason))

        def only_reason(self, reason):
            self.calls.append(reason)

    def optional(socket, reason=None):
        app.calls.append((socket, reason))

    app = Application()
    for handler, both in (
            (app.both, True), (app.only_reason, False),
            (lambda socket, reason: app.calls.append((socket, reason)), True),
            (lambda reason: app.calls.append(reason), False),
            (optional, True)):
        for link in links():
            link.client.OnClosed = handler
            link.client.Close()
            del app.calls[:]
            link.pump(lambda: app.calls)
            link.pump_for(10)
            want = (link.client, XClosedReason.ClosedByHost) if both else XClosedReason.ClosedByHost
            assert app.calls == [want], (both, app.calls)


def test_on_closed_in_both_forms_on_every_kind_of_socket():
    link = Link()
    udp = XAsyncUDPDatagram.Create(link.pool)
    for socket in (link.server, link.client, udp):
        reasons = []
        socket.OnClosed = reasons.append if socket is udp else lambda reason: reasons.append(reason)
        socket.Close()
        link.pump(lambda: reasons)
        assert reasons == [XClosedReason.ClosedByHost]


def test_a_type_error_inside_on_closed_is_the_handlers_own():
    link = Link()
    raised = Recorder()
    link.pool.OnException = raised.raised
    calls = []

    def on_closed(socket, reason):
        calls.append((socket, reason))
        len(5)

    link.client.OnClosed = on_closed
    link.client.Close()
    link.pump(lambda: raised.count('raised'))
    assert calls == [(link.client, XClosedReason.ClosedByHost)], calls
    assert raised.count('raised') == 1 and isinstance(raised.events[0][2], TypeError)


def test_on_closed_none_unsets_it():
    link = Link()
    link.client.OnClosed = None
    link.client.Close()
    link.pump(lambda: link.client not in link.pool.GetAllAsyncSockets())
    link.pump_for(20)
    assert link.events.events == []


def test_the_base_class_is_abstract():
    raises(XAsyncSocketException, XAsyncSocket, XAsyncSocketsPool(), None)


def test_the_peers_close_is_noticed():
    for pending in (None, 'AsyncRecvLine', 'AsyncRecvData'):
        for link in links():
            if pending:
                getattr(link.client, pending)(onDataRecv=link.events.received)
            link.peer.close()
            assert link.pump_closed() == XClosedReason.ClosedByPeer, pending
            link.pump_for(20)
            assert link.events.names() == ['closed'], link.events.events
            assert link.client.SocketID is None


def test_the_peers_reset_is_noticed():
    for pending in (False, True):
        for link in links():
            if pending:
                link.client.AsyncRecvLine(link.events.received)
            link.peer.reset()
            assert link.pump_closed() in (XClosedReason.ClosedByPeer, XClosedReason.Error)
            assert link.events.names() == ['closed']


def test_the_peers_reset_during_a_send_is_noticed():
    XAsyncTCPClient.SendQueueLimit = 2 * MANY
    for outgoing in (False, True):
        link = Link(outgoing, slow=True)
        link.client.AsyncSendData(pattern(MANY), link.events.sent)
        link.pump_for(30)
        link.peer.reset()
        assert link.pump_closed() in (XClosedReason.ClosedByPeer, XClosedReason.Error)
        assert link.events.names() == ['closed']


def test_the_peers_close_in_the_middle_of_a_receive():
    for method, args in (('AsyncRecvLine', ()), ('AsyncRecvData', (10,))):
        for link in links():
            getattr(link.client, method)(*args, onDataRecv=link.events.received)
            link.peer.send(b'half')
            link.pool.PollEvents(100)
            link.peer.close()
            assert link.pump_closed() == XClosedReason.ClosedByPeer
            assert link.events.count('received') == 0


def test_data_before_the_peers_close_is_delivered_first():
    for link in links():
        got = []

        def on_line(client, line, arg):
            got.append(line)
            client.AsyncRecvLine(on_line)

        link.client.OnClosed = lambda reason: got.append(reason)
        link.client.AsyncRecvLine(on_line)
        link.peer.send(b'one\ntwo\nthree\n')
        link.peer.close()
        link.pump(lambda: len(got) == 4)
        assert got == ['one', 'two', 'three', XClosedReason.ClosedByPeer]


def test_bytes_before_the_peers_close_wait_for_the_next_receive():
    for link in links():
        link.peer.send(b'last words\n')
        link.peer.close()
        link.pump_for(100)
        assert link.events.count('closed') == 0, 'unread bytes are left'
        lines = link.read_lines(1)
        assert link.pump_closed() == XClosedReason.ClosedByPeer
        assert lines == ['last words']


def test_bytes_that_are_not_received_do_not_wait_for_ever():
    XAsyncTCPClient.LingerSec = 0.2
    for link in links():
        link.peer.send(b'never read')
        link.peer.close()
        start = now_ms()
        assert link.pump_closed() == XClosedReason.ClosedByPeer
        assert 100 <= elapsed_ms(start) < 3000, elapsed_ms(start)


def test_answers_queued_for_a_half_closed_peer_still_go_out():
    needs_plain(NO_HALF_CLOSE)
    for link in links():
        def on_line(client, line, arg):
            client.AsyncSendData(line.encode() * 1000)
            client.AsyncRecvLine(on_line)

        link.client.AsyncRecvLine(on_line)
        link.peer.send(b'a\nb\nc\n')
        link.peer.half_close()
        assert link.pump_closed() == XClosedReason.ClosedByPeer
        link.pump(link.peer.ended)
        assert link.peer.received() == b'a' * 1000 + b'b' * 1000 + b'c' * 1000
        assert link.peer.state() == 'eof'


def test_a_large_answer_to_a_half_closed_slow_reader_arrives_complete():
    needs_plain(NO_HALF_CLOSE)
    XAsyncTCPClient.SendQueueLimit = 2 * MANY
    link = Link(slow=True)
    link.client.AsyncRecvLine(lambda client, line, arg: client.AsyncSendData(pattern(MANY), link.events.sent))
    link.peer.send(b'get\n')
    link.peer.half_close()
    link.pump_for(100)
    assert link.events.count('closed') == 0
    link.peer.resume()
    assert link.pump_closed(limit_sec=20) == XClosedReason.ClosedByPeer
    link.pump(link.peer.ended)
    assert link.peer.received_count() == MANY and link.peer.received_pattern()
    assert link.events.names() == ['sent', 'closed']


def test_a_half_close_with_nothing_queued_ends_the_connection():
    needs_plain(NO_HALF_CLOSE)
    for link in links():
        link.peer.half_close()
        assert link.pump_closed() == XClosedReason.ClosedByPeer
        link.pump(link.peer.ended)


def test_close_inside_every_handler():
    for start in ('receive', 'sent', 'closed'):
        for link in links():
            results = []

            def close(client, *args):
                results.append(client.Close())

            if start == 'receive':
                link.client.AsyncRecvData(None, lambda client, data, arg: close(client))
                link.peer.send(b'x\ny\n')
            elif start == 'sent':
                link.client.AsyncSendData(b'x', lambda client, arg: close(client))
            else:
                link.client.OnClosed = lambda client, reason: (close(client), link.events.closed(client, reason))
                link.client.Close()
            assert link.pump_closed() == XClosedReason.ClosedByHost
            assert results == [start != 'closed'], (start, results)


def test_close_inside_on_connected():
    pool = XAsyncSocketsPool()
    events = Recorder()
    listener = listen_peer()
    client = XAsyncTCPClient.Create(pool, listener.addr)
    events.watch(client)
    client.OnConnected = lambda client: (events.connected(client), client.Close())
    pump(pool, lambda: events.count('closed'))
    assert events.events == [('connected', client), ('closed', XClosedReason.ClosedByHost)]
    pump(pool, pump(pool, listener.accept).ended)


def test_close_of_another_connection_whose_events_wait():
    """Two connections are ready in one turn, and the first one's handler closes the second."""
    first = Link()
    second = Link(pool=first.pool)
    got = []

    def close_other(client, data, arg):
        got.append(client)
        (second if client is first.client else first).client.Close()

    first.client.AsyncRecvData(None, close_other)
    second.client.AsyncRecvData(None, close_other)
    first.peer.send(b'1')
    second.peer.send(b'2')
    first.pump(lambda: got)
    first.pump_for(50)
    assert len(got) == 1, got


def test_on_closed_is_the_last_event():
    for link in links():
        link.client.AsyncRecvLine(link.events.received)
        link.client.AsyncSendData(b'x', link.events.sent)
        link.peer.send(b'one\ntwo\n')
        link.pump(lambda: link.events.count('received'))
        link.client.Close()
        link.pump_closed()
        link.pump_for(30)
        assert link.events.names()[-1] == 'closed', link.events.events


def test_a_new_connection_from_on_closed():
    link = Link(outgoing=True)
    other = Recorder()
    listener = listen_peer()

    def on_closed(socket, reason):
        other.watch(XAsyncTCPClient.Create(link.pool, listener.addr))

    link.client.OnClosed = on_closed
    link.peer.close()
    link.pump(lambda: other.count('connected'))


def test_a_pending_receive_is_dropped_by_close():
    for link in links():
        link.client.AsyncRecvLine(link.events.received, timeoutSec=0.1)
        link.client.Close()
        link.peer.send(b'late\n')
        link.pump_closed()
        link.pump_for(200)
        assert link.events.events == [('closed', XClosedReason.ClosedByHost)]
