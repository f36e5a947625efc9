"""OnPeerFinished: if it is set, the connection goes on after the peer has finished sending."""
from harness import (
    ESP32,
    MANY,
    connect_peer,
    cpu_ms,
    elapsed_ms,
    listen_peer,
    needs_plain,
    needs_threads,
    now_ms,
    pattern,
    pump,
    skip,
    sleep_ms,
    wait,
)
from scenes import BUFFER_SIZE, Link, Recorder

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XClosedReason


def half_closing(**kwargs):
    """Yield links with OnPeerFinished set, an accepted and an outgoing one."""
    for outgoing in (False, True):
        link = Link(outgoing, **kwargs)
        link.client.OnPeerFinished = finished_of(link)
        yield link
        link.end()


def finished_of(link):
    return lambda client: link.events.called('finished' if client is link.client else client)


def pump_finished(link):
    link.pump(lambda: link.events.count('called'))
    assert link.events.values('called') == ['finished']


def test_a_late_answer_to_a_peer_that_has_finished():
    for link in half_closing():
        lines = link.read_lines(1)
        link.peer.send(b'question\n')
        link.peer.half_close()
        pump_finished(link)
        assert lines == ['question']
        link.pump_for(100)
        assert link.client.AsyncSendData(b'late answer\n', link.events.sent) is True
        assert link.pump_received(12) == b'late answer\n'
        link.pump(lambda: link.events.count('sent'))
        assert not link.peer.ended()
        assert link.client.Close() is True
        assert link.pump_closed() == XClosedReason.ClosedByHost
        link.pump(link.peer.ended)
        assert link.events.names() == ['called', 'sent', 'closed']


def test_it_is_reported_once_with_and_without_a_receive():
    for pending in (False, True):
        for link in half_closing():
            if pending:
                link.client.AsyncRecvLine(link.events.received)
                link.pump_for(10)
            link.peer.half_close()
            pump_finished(link)
            link.pump_for(50)
            assert link.events.names() == ['called']
            assert link.client in link.pool.GetAllAsyncSockets()


def test_a_full_close_of_the_peer_is_reported_too():
    for link in half_closing():
        link.peer.close()
        pump_finished(link)
        link.client.Close()
        assert link.pump_closed() == XClosedReason.ClosedByHost


def test_earlier_data_is_delivered_first():
    for link in half_closing():
        link.peer.send(b'one\ntwo\nrest')
        link.peer.half_close()
        link.pump_for(50)
        assert link.events.events == [], 'no receive has been started yet'
        link.client.AsyncRecvLine(link.events.received)
        link.pump_for(50)
        link.client.AsyncRecvLine(link.events.received)
        link.pump_for(50)
        assert link.events.events == [('received', 'one', None), ('received', 'two', None)]
        link.client.AsyncRecvData(None, link.events.received)
        pump_finished(link)
        assert link.events.events[2:] == [('received', b'rest', None), ('called', 'finished')]


def test_more_than_the_buffer_arrived_before():
    """All data is delivered, however long the application takes to ask for it."""
    XAsyncTCPClient.LingerSec = 0.1
    size = 8 * BUFFER_SIZE
    for link in half_closing():
        link.peer.send(pattern(size))
        link.peer.half_close()
        link.pump_for(400)
        assert link.events.events == [], link.events.events
        while len(link.events.data()) < size:
            before = link.events.count('received')
            link.client.AsyncRecvData(None, link.events.received)
            link.pump(lambda: link.events.count('received') > before)
        assert link.events.data() == pattern(size)
        pump_finished(link)


def test_a_receive_left_incomplete_by_the_peers_end():
    """Its handler is not called, and the incomplete data is dropped."""
    for size in (10, 2 * BUFFER_SIZE, None):
        for link in half_closing():
            if size:
                link.client.AsyncRecvData(size, link.events.received)
            else:
                link.client.AsyncRecvLine(link.events.received)
            link.peer.send(b'part')
            link.pump_for(20)
            link.peer.half_close()
            pump_finished(link)
            link.pump_for(20)
            assert link.events.names() == ['called']
            link.client.AsyncSendData(b'you said half of it')
            assert link.pump_received(19) == b'you said half of it'


def test_after_the_peers_end_receives_return_false():
    for link in half_closing():
        link.peer.half_close()
        pump_finished(link)
        for receive in (link.client.AsyncRecvLine, link.client.AsyncRecvData):
            assert receive(onDataRecv=link.events.received) is False
        link.pump_for(20)
        assert link.events.names() == ['called']


def test_after_the_peers_end_no_receive_times_out():
    for link in half_closing():
        link.client.AsyncRecvLine(link.events.received, timeoutSec=0.1)
        link.peer.half_close()
        pump_finished(link)
        link.pump_for(200)
        assert link.events.names() == ['called']


def test_its_handler_may_send_and_close():
    for link in half_closing():
        def on_finished(client):
            client.AsyncSendData(b'answer', link.events.sent)
            client.Close()

        link.client.OnPeerFinished = on_finished
        link.peer.half_close()
        assert link.pump_closed() == XClosedReason.ClosedByHost
        link.pump(link.peer.ended)
        assert link.peer.received() == b'answer'
        assert link.events.count('sent') == 1


def test_a_large_queue_at_the_peers_end():
    XAsyncTCPClient.SendQueueLimit = 2 * MANY
    XAsyncTCPClient.LingerSec = 0.1
    for link in half_closing(slow=True):
        link.client.AsyncSendData(pattern(MANY), link.events.sent)
        link.peer.half_close()
        pump_finished(link)
        link.pump_for(300)
        assert link.events.names() == ['called'], 'no time limit: the connection goes on'
        link.peer.resume()
        link.pump(lambda: link.peer.received_count() == MANY and link.events.count('sent'), limit_sec=20)
        assert link.peer.received_pattern()
        link.client.AsyncSendData(b'and more')
        link.pump_received(MANY + 8)


def test_a_reset_after_the_peers_end():
    needs_plain('a reset below TLS')
    if ESP32:
        skip('its poll reports no reset without reading or writing')
    for link in half_closing():
        link.peer.half_close()
        pump_finished(link)
        link.peer.reset()
        assert link.pump_closed() == XClosedReason.Error
        assert link.events.names() == ['called', 'closed']


def test_an_idle_connection_after_the_peers_end_costs_no_time():
    for link in half_closing():
        link.peer.half_close()
        pump_finished(link)
        start = cpu_ms()
        begin = now_ms()
        while elapsed_ms(begin) < 400:
            link.pool.PollEvents(400)
        assert cpu_ms() - start < 60, cpu_ms() - start


def test_a_handler_that_raises():
    for link in half_closing():
        link.pool.OnException = link.events.raised

        def bad(client):
            raise ValueError('bad')

        link.client.OnPeerFinished = bad
        link.peer.half_close()
        assert link.pump_closed() == XClosedReason.Error
        assert link.events.names() == ['raised', 'closed']


def test_it_is_set_in_the_handler_of_the_last_line():
    for link in half_closing():
        link.client.OnPeerFinished = None

        def on_line(client, line, arg):
            client.OnPeerFinished = finished_of(link)

        link.client.AsyncRecvLine(on_line)
        link.peer.send(b'last\n')
        link.peer.half_close()
        pump_finished(link)


def test_all_lines_are_answered_one_after_the_other():
    """The peer has ended already (`printf ... | nc -N`). The next line is received when an answer has been sent."""
    link = Link()
    count = 200
    under_way = []

    def on_sent(client, arg):
        under_way.pop()
        if len(under_way) == 3:
            client.AsyncRecvLine(on_line)

    def on_line(client, line, arg):
        under_way.append(line)
        client.AsyncSendData(b'pong\n', on_sent)
        if len(under_way) < 4:
            client.AsyncRecvLine(on_line)

    link.client.AsyncRecvLine(on_line)
    link.peer.send(b'ping\n' * count)
    link.peer.half_close()
    link.pump_closed()
    link.pump(link.peer.ended)
    assert link.peer.received_count() == 5 * count


def test_the_peer_finishes_before_on_connected():
    """OnConnected comes first. Then what the peer sent is delivered, and the answer goes out before the end."""
    for data, is_set in ((b'', False), (b'', True), (b'greeting', False), (b'greeting', True)):
        pool = XAsyncSocketsPool()
        listener = listen_peer()
        events = Recorder()
        results = []

        def on_connected(client):
            events.connected(client)
            results.append(client.AsyncSendData(b'answer', events.sent))
            results.append(client.AsyncRecvData(None, on_data))

        def on_data(client, received, arg):
            events.received(client, received, arg)
            client.AsyncRecvData(None, on_data)

        def on_finished(client):
            events.called('finished')
            client.Close()

        client = events.watch(XAsyncTCPClient.Create(pool, listener.addr))
        client.OnConnected = on_connected
        client.OnPeerFinished = on_finished if is_set else None
        peer = wait(listener.accept)
        if data:
            peer.send(data)
        peer.half_close()
        sleep_ms(50)        # it has arrived before the first turn
        pump(pool, lambda: events.count('closed'))
        assert results == [True, True], results
        assert events.names()[0] == 'connected' and events.names()[-1] == 'closed', events.events
        assert events.count('connected') == events.count('sent') == 1, events.events
        assert events.data() == data
        assert events.count('called') == is_set
        assert events.reason() == (XClosedReason.ClosedByHost if is_set else XClosedReason.ClosedByPeer)
        wait(lambda: peer.received_count() == 6)


def test_without_it_the_peers_end_ends_the_connection():
    for link in half_closing():
        link.client.OnPeerFinished = None
        lines = link.read_lines(2)
        link.peer.send(b'question\n')
        link.peer.half_close()
        assert link.pump_closed() == XClosedReason.ClosedByPeer
        assert lines == ['question']


def test_with_workers():
    needs_threads()
    link = Link()
    clients = Recorder()
    link.server.OnClientAccepted = clients.accepted
    peers = [connect_peer(link.server.SrvAddr) for _ in range(4)]
    link.pump(lambda: clients.count('accepted') == 4)
    by_port = {event[2].CliAddr[1]: event[2] for event in clients.events}
    ends = Recorder()

    def on_line(client, line, arg):
        sleep_ms(20)
        client.AsyncRecvLine(on_line)
        client.AsyncSendData(line.encode() + b'\n')

    def on_finished(client):
        sleep_ms(20)
        client.AsyncSendData(b'end\n')
        client.Close()

    for peer in peers:
        client = by_port[peer.port]
        client.OnPeerFinished = on_finished
        client.OnClosed = ends.closed
    link.pool.AsyncWaitEvents(3)
    for peer in peers:
        by_port[peer.port].AsyncRecvLine(on_line)
        peer.send(b'one\ntwo\n')
        peer.half_close()
    wait(lambda: ends.count('closed') == 4)
    assert ends.values('closed') == [XClosedReason.ClosedByHost] * 4
    for peer in peers:
        wait(peer.ended)
        assert peer.received() == b'one\ntwo\nend\n'
    link.pool.StopWaitEvents()
