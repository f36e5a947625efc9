"""XAsyncSocketsPool: its sockets, its loop, its turns, and handlers that raise."""
from harness import (
    CHIP,
    connect_peer,
    cpu_ms,
    elapsed_ms,
    needs_threads,
    now_ms,
    open_files,
    pump,
    raises,
    sleep_ms,
    udp_peer,
    wait,
)
from scenes import Link, Recorder, serve

from XAsyncSockets import (
    XAsyncSocketsPool,
    XAsyncSocketsPoolException,
    XAsyncTCPServer,
    XAsyncUDPDatagram,
    XClosedReason,
)


def test_a_new_pool_is_empty_and_not_running():
    pool = XAsyncSocketsPool()
    assert pool.GetAllAsyncSockets() == []
    assert pool.GetAsyncSocketByID(1234567) is None
    assert pool.WaitEventsProcessing is False


def test_all_sockets_are_listed_until_they_close():
    link = Link()
    udp = XAsyncUDPDatagram.Create(link.pool)
    sockets = [link.server, link.client, udp]
    listed = link.pool.GetAllAsyncSockets()
    assert isinstance(listed, list)
    assert len(listed) == 3 and all([socket in listed for socket in sockets])
    for socket in sockets:
        socket.Close()
        assert socket not in link.pool.GetAllAsyncSockets()
    assert link.pool.GetAllAsyncSockets() == []


def test_the_list_of_sockets_is_the_callers_own():
    pool = XAsyncSocketsPool()
    udp = XAsyncUDPDatagram.Create(pool)
    pool.GetAllAsyncSockets().clear()
    assert pool.GetAllAsyncSockets() == [udp]


def test_socket_ids_are_unique_and_find_their_socket():
    link = Link()
    udp = XAsyncUDPDatagram.Create(link.pool)
    sockets = [link.server, link.client, udp]
    ids = [socket.SocketID for socket in sockets]
    assert all([isinstance(id, int) for id in ids]), ids
    assert len(set(ids)) == 3, ids
    for socket, id in zip(sockets, ids):
        assert link.pool.GetAsyncSocketByID(id) is socket
        assert socket.GetAsyncSocketsPool() is link.pool
    udp.Close()
    assert udp.SocketID is None
    assert link.pool.GetAsyncSocketByID(ids[2]) is None
    assert link.pool.GetAsyncSocketByID(None) is None


def test_a_turn_returns_the_number_of_events_it_handled():
    link = Link()
    assert link.pool.PollEvents() == 0
    assert link.pool.PollEvents(timeoutMs=1) == 0
    link.client.AsyncRecvData(onDataRecv=link.events.received)
    link.peer.send(b'x')
    start = now_ms()
    handled = link.pool.PollEvents(5000)
    assert elapsed_ms(start) < 4000, 'the turn did not end with the event'
    assert handled >= 1
    assert link.events.data() == b'x'


def test_a_turn_without_a_timeout_does_not_wait():
    link = Link()
    start = now_ms()
    for _ in range(20):
        link.pool.PollEvents()
    assert elapsed_ms(start) < 4000


def test_a_turn_waits_for_its_timeout_and_not_longer():
    link = Link()
    start = now_ms()
    link.pool.PollEvents(200)
    # A chip checks every 20 ms for requests of other threads, and a turn may end then.
    assert (15 if CHIP else 150) <= elapsed_ms(start) < 4000, elapsed_ms(start)


def test_a_turn_ends_when_a_timer_is_due():
    link = Link()
    link.client.AsyncRecvData(timeoutSec=0.1)
    start = now_ms()
    while not link.events.count('closed'):
        link.pool.PollEvents(10000)
    assert elapsed_ms(start) < 5000


def test_wait_events_runs_in_the_calling_thread_until_a_handler_stops_it():
    pool = XAsyncSocketsPool()
    running = []
    closed = Recorder()

    def on_datagram(udp, addr, datagram):
        running.append(pool.WaitEventsProcessing)
        pool.StopWaitEvents()

    link = Link(pool=pool)
    udp = XAsyncUDPDatagram.Create(pool, (link.server.SrvAddr[0], 0))
    udp.OnRecv = on_datagram
    udp.OnClosed = link.server.OnClosed = closed.closed
    udp_peer().send(b'stop', udp.LocalAddr)
    pool.AsyncWaitEvents()
    assert running == [True]
    assert pool.WaitEventsProcessing is False
    assert closed.values('closed') == [XClosedReason.ClosedByHost] * 2
    assert link.events.reason() == XClosedReason.ClosedByHost
    assert pool.GetAllAsyncSockets() == []


def test_a_timer_stops_the_loop_of_the_calling_thread():
    link = Link()
    link.client.OnClosed = lambda reason: link.pool.StopWaitEvents()
    link.client.AsyncRecvLine(timeoutSec=0.05)
    link.pool.AsyncWaitEvents(threadsCount=0)
    assert not link.pool.WaitEventsProcessing


def test_stop_closes_every_socket_of_a_pool_driven_by_turns():
    link = Link()
    server = Recorder()
    link.server.OnClosed = server.closed
    link.pool.StopWaitEvents()
    pump(link.pool, lambda: link.events.count('closed') and server.count('closed'))
    assert link.events.reason() == XClosedReason.ClosedByHost
    assert server.reason() == XClosedReason.ClosedByHost
    assert link.pool.GetAllAsyncSockets() == []
    pump(link.pool, link.peer.ended)


def test_stop_without_sockets_or_loop_does_no_harm():
    pool = XAsyncSocketsPool()
    pool.StopWaitEvents()
    pool.StopWaitEvents()
    assert pool.WaitEventsProcessing is False


def test_bad_arguments_of_the_loop_raise():
    pool = XAsyncSocketsPool()
    for bad in (-1, 1.5, 'two', None):
        error = raises(XAsyncSocketsPoolException, pool.AsyncWaitEvents, bad)
        assert 'threadsCount' in str(error), error
    error = raises(XAsyncSocketsPoolException, pool.PollEvents, 'soon')
    assert 'timeoutMs' in str(error), error
    assert pool.WaitEventsProcessing is False


def test_an_idle_pool_uses_next_to_no_processor_time():
    link = Link()
    peers = [connect_peer(link.server.SrvAddr) for _ in range(4)]
    link.pump_for(50)
    link.client.AsyncRecvLine(timeoutSec=60)
    start = cpu_ms()
    link.pool.PollEvents(600)
    assert cpu_ms() - start < 60, cpu_ms() - start
    assert len(peers) == 4


def test_an_idle_loop_in_a_thread_uses_next_to_no_processor_time():
    needs_threads()
    link = Link()
    link.client.AsyncRecvLine(timeoutSec=60)
    link.pool.AsyncWaitEvents(1)
    sleep_ms(50)
    start = cpu_ms()
    sleep_ms(600)
    used = cpu_ms() - start
    link.pool.StopWaitEvents()
    assert used < 60, used


def test_pools_that_come_and_go_leak_no_files():
    needs_threads()

    def use_a_pool():
        pool = XAsyncSocketsPool()
        XAsyncTCPServer.Create(pool, ('0.0.0.0', 0))
        XAsyncUDPDatagram.Create(pool)
        pool.AsyncWaitEvents(1)
        pool.StopWaitEvents()
        wait(lambda: not pool.WaitEventsProcessing)

    use_a_pool()
    before = open_files()
    for _ in range(10):
        use_a_pool()
    wait(lambda: open_files() <= before)


def test_a_handler_that_raises_reaches_on_exception_and_harms_nobody():
    link = Link()
    other = Recorder()
    link.pool.OnException = other.raised

    def bad(*args):
        raise ValueError('from a handler')

    second = Recorder()
    link.server.OnClientAccepted = second.accepted
    peer = connect_peer(link.server.SrvAddr)
    link.pump(lambda: second.events)
    healthy = second.events[0][2]

    link.client.AsyncRecvData(onDataRecv=bad)
    healthy.AsyncRecvData(onDataRecv=second.received)
    link.peer.send(b'1')
    peer.send(b'2')
    assert link.pump_closed() == XClosedReason.Error
    link.pump(lambda: second.count('received'))
    assert second.data() == b'2'
    (_, socket, exception), = other.events
    assert socket is link.client and link.client.CloseError is exception
    assert isinstance(exception, ValueError) and str(exception) == 'from a handler'
    link.pump(link.peer.ended)
    assert link.client not in link.pool.GetAllAsyncSockets()
    assert healthy.AsyncSendData(b'still here') is True


def test_after_a_handler_that_raises_no_other_handler_of_the_connection_is_called():
    """This holds whether or not it had started a receive, and whatever data arrived with the line."""
    for again in (True, False):
        for outgoing in (False, True):
            link = Link(outgoing)
            raised = Recorder()
            link.pool.OnException = raised.raised
            lines = []

            def on_line(client, line, arg):
                lines.append(line)
                if again:
                    client.AsyncRecvLine(on_line)
                raise ValueError(line)

            link.client.AsyncRecvLine(on_line)
            link.peer.send(b'one\ntwo\nthree\nfo')
            assert link.pump_closed() == XClosedReason.Error
            link.pump_for(20)
            assert lines == ['one'] and raised.count('raised') == 1, (lines, raised.events)
            assert link.client.AsyncRecvLine(on_line) is False
            assert link.client.AsyncSendData(b'x') is False
            link.end()


def test_the_handler_of_a_send_that_raises_ends_its_connection():
    link = Link()
    raised = Recorder()
    link.pool.OnException = raised.raised

    def bad(client, arg):
        raise ValueError(arg)

    link.client.AsyncSendData(b'data', bad, 'sent')
    assert link.pump_closed() == XClosedReason.Error
    assert str(link.client.CloseError) == 'sent' and raised.values('raised') == [link.client]
    assert link.pump_received(4) == b'data'


def test_every_handler_may_raise():
    def bad_two(a, b):
        raise ValueError('two')

    def bad_one(a):
        raise ValueError('one')

    pool = XAsyncSocketsPool()
    raised = Recorder()
    pool.OnException = raised.raised
    server = serve(pool, bad_two)
    peer = connect_peer(server.SrvAddr)
    pump(pool, lambda: raised.count('raised') == 1)
    peer.close()
    link = Link(pool=pool)
    link.client.OnClosed = bad_two
    link.peer.close()
    pump(pool, lambda: raised.count('raised') == 2)
    out = Link(outgoing=True, pool=pool)
    out.client.OnClosed = bad_one
    out.client.Close()
    pump(pool, lambda: raised.count('raised') == 3)
    assert Link(pool=pool).client.SocketID is not None


def test_on_exception_may_raise_too():
    link = Link()
    raised = []

    def bad(socket, exception):
        raised.append(exception)
        raise RuntimeError('again')

    def bad_receiver(client, data, arg):
        raise ValueError('first')

    link.pool.OnException = bad
    link.client.AsyncRecvData(onDataRecv=bad_receiver)
    link.peer.send(b'1')
    link.pump(lambda: raised)
    assert link.pump_closed() == XClosedReason.Error
    assert [str(exception) for exception in raised] == ['first']
    again = Link(pool=link.pool)
    again.client.AsyncRecvData(onDataRecv=again.events.received)
    again.peer.send(b'2')
    again.pump(lambda: again.events.count('received'))


def test_handlers_never_nest():
    """Each send is started in the handler of the one before, and each receive finds buffered data."""
    count = 200 if CHIP else 1000
    link = Link()
    depth = [0, 0]
    sent = []
    received = []

    def enter():
        depth[0] += 1
        depth[1] = max(depth)

    def on_sent(client, arg):
        enter()
        sent.append(1)
        if len(sent) < count:
            client.AsyncSendData(b'x', on_sent)
        depth[0] -= 1

    def on_line(client, line, arg):
        enter()
        received.append(line)
        client.AsyncRecvLine(on_line)
        depth[0] -= 1

    link.client.AsyncSendData(b'x', on_sent)
    link.client.AsyncRecvLine(on_line)
    link.peer.send(b'\n' * count)
    link.pump(lambda: len(sent) == count and len(received) == count, limit_sec=20)
    assert depth[1] == 1, depth
    assert link.pump_received(count) == b'x' * count


def test_no_handler_runs_inside_the_call_that_starts_it():
    link = Link()
    link.client.AsyncSendData(b'x', link.events.sent)
    assert link.events.count('sent') == 0
    link.peer.send(b'a\nb\n')
    link.read_lines(1)
    link.pump_for(30)
    link.client.AsyncRecvLine(link.events.received)
    assert link.events.count('received') == 0
    link.pump(lambda: link.events.count('received') and link.events.count('sent'))


def test_a_busy_connection_does_not_starve_others():
    """One connection sends without end, and another one still gets its turn."""
    link = Link()

    def on_sent(client, arg):
        client.AsyncSendData(b'', on_sent)

    link.client.AsyncSendData(b'', on_sent)
    other = Recorder()
    link.server.OnClientAccepted = other.accepted
    connect_peer(link.server.SrvAddr)
    link.pump(lambda: other.count('accepted'))
