"""The loop in 0, 1 and 4 threads: calls from foreign threads, and stopping from everywhere."""
from collections import OrderedDict

from harness import (
    ESP32,
    FEWER,
    MICROPYTHON,
    SOCKETS,
    connect_peer,
    cpu_ms,
    elapsed_ms,
    free_addr,
    listen_peer,
    needs_sockets,
    needs_threads,
    now_ms,
    pattern,
    raises,
    skip,
    sleep_ms,
    start_new_thread,
    udp_peer,
    wait,
)
from scenes import Link, Recorder, serve

from XAsyncSockets import (
    XAsyncSocketsPool,
    XAsyncSocketsPoolException,
    XAsyncTCPClient,
    XAsyncUDPDatagram,
    XBufferSlots,
    XClosedReason,
    XFiFo,
)

try:
    from _thread import get_ident
except ImportError:
    get_ident = None

COUNTS = (1, 4)


def started(threadsCount):
    """Return a pool whose loop runs in threads."""
    needs_threads()
    pool = XAsyncSocketsPool()
    pool.AsyncWaitEvents(threadsCount=threadsCount)
    assert pool.WaitEventsProcessing is True, 'it returns once the loop runs'
    return pool


def stop(pool):
    pool.StopWaitEvents()
    wait(lambda: not pool.WaitEventsProcessing)
    assert pool.GetAllAsyncSockets() == []


def running_link(threadsCount, outgoing=False, slow=False):
    """Return a link that was made with PollEvents, and whose pool then runs in threads."""
    needs_threads()
    link = Link(outgoing, slow)
    link.pool.AsyncWaitEvents(threadsCount)
    return link


def echo(client, data, arg):
    client.AsyncSendData(data)
    client.AsyncRecvData(None, echo)


def on_accepted_echo(server, client):
    client.AsyncRecvData(None, echo)


def test_many_connections_echo_in_threads():
    for threadsCount in COUNTS:
        pool = started(threadsCount)
        server = serve(pool, on_accepted_echo, recvBufSlots=XBufferSlots(64, 128))
        peers = [connect_peer(server.SrvAddr) for _ in range(min(10, SOCKETS - 1))]
        for peer in peers:
            peer.echo(200 // FEWER, 64)
        for peer in peers:
            wait(lambda: peer.echoed() == 200 // FEWER, limit_sec=20)
        stop(pool)
        for peer in peers:
            peer.close()


def test_outgoing_connections_in_threads():
    for threadsCount in COUNTS:
        pool = started(threadsCount)
        events = Recorder()
        listener = listen_peer()
        client = XAsyncTCPClient.Create(pool, listener.addr)
        events.watch(client)
        peer = wait(listener.accept)
        client.AsyncSendData(b'hello', events.sent)
        client.AsyncRecvLine(events.received)
        peer.send(b'world\n')
        wait(lambda: peer.received() == b'hello' and events.count('received') and events.count('sent'))
        peer.close()
        wait(lambda: events.count('closed'))
        assert events.reason() == XClosedReason.ClosedByPeer
        stop(pool)


def test_datagrams_in_threads():
    for threadsCount in COUNTS:
        pool = started(threadsCount)
        events = Recorder()
        udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'))
        udp.OnRecv = lambda udp, addr, datagram: udp.AsyncSendDatagram(datagram, addr, events.sent)
        peer = udp_peer()
        for number in range(20):
            peer.send(b'%d' % number, udp.LocalAddr)
            assert wait(peer.receive)[0] == b'%d' % number
        wait(lambda: events.count('sent') == 20)
        stop(pool)


def test_handlers_run_in_the_loops_thread():
    link = running_link(1)
    threads = []
    link.client.AsyncRecvLine(lambda client, line, arg: threads.append(get_ident()))
    link.client.AsyncSendData(b'x', lambda client, arg: threads.append(get_ident()))
    link.peer.send(b'line\n')
    wait(lambda: len(threads) == 2)
    assert threads[0] == threads[1] != get_ident()
    stop(link.pool)


def test_calls_from_a_foreign_thread_wake_a_sleeping_loop():
    for threadsCount in COUNTS:
        for outgoing in (False, True):
            link = running_link(threadsCount, outgoing)
            sleep_ms(30)
            start = now_ms()
            link.client.AsyncSendData(b'x', link.events.sent)
            wait(lambda: link.events.count('sent'))
            link.peer.send(b'one\ntwo\n')
            link.client.AsyncRecvLine(link.events.received)
            wait(lambda: link.events.count('received') == 1)
            sleep_ms(30)
            link.client.AsyncRecvLine(link.events.received)
            wait(lambda: link.events.count('received') == 2)
            sleep_ms(30)
            link.client.AsyncRecvLine(timeoutSec=0.05)
            wait(lambda: link.events.count('closed'))
            assert elapsed_ms(start) < 4000, 'the loop is woken at once'
            assert link.events.reason() == XClosedReason.Timeout
            stop(link.pool)


def test_sends_from_foreign_threads_stay_complete_and_in_order():
    count = 150 // FEWER
    for threadsCount in COUNTS:
        link = running_link(threadsCount)

        def send(thread):
            for number in range(count):
                link.client.AsyncSendData(b'%d:%04d;' % (thread, number), link.events.sent, (thread, number))

        for thread in range(3):
            start_new_thread(send, (thread,))
        size = 3 * count * 7
        wait(lambda: link.peer.received_count() >= size, limit_sec=20)
        messages = link.peer.received().split(b';')[:-1]
        for thread in range(3):
            mine = [message for message in messages if message.startswith(b'%d:' % thread)]
            assert mine == [b'%d:%04d' % (thread, number) for number in range(count)]
        wait(lambda: link.events.count('sent') == 3 * count)
        for thread in range(3):
            numbers = [number for of, number in link.events.values('sent') if of == thread]
            assert numbers == list(range(count))
        stop(link.pool)


def test_sends_from_a_foreign_thread_to_a_slow_reader():
    link = running_link(1, slow=True)
    XAsyncTCPClient.SendQueueLimit = 1000000
    count = 100 // FEWER
    for number in range(count):
        link.client.AsyncSendData(bytes([number % 251]) * 5000, link.events.sent)
    link.peer.resume()
    wait(lambda: link.peer.received_count() == count * 5000, limit_sec=20)
    data = link.peer.received()
    for number in range(count):
        assert data[number * 5000:(number + 1) * 5000] == bytes([number % 251]) * 5000
    wait(lambda: link.events.count('sent') == count)
    stop(link.pool)


def test_sockets_made_and_closed_from_foreign_threads():
    needs_sockets(28)
    pool = started(1)
    rounds = 20 if SOCKETS > 28 else 5
    listener = listen_peer()
    done = [0, 0, 0]
    events = Recorder()

    def work(thread):
        for _ in range(rounds):
            client = XAsyncTCPClient.Create(pool, listener.addr)
            client.OnClosed = events.closed
            udp = XAsyncUDPDatagram.Create(pool)
            udp.OnClosed = events.closed
            udp.Close()
            client.Close()
        done[thread] = 1

    for thread in range(3):
        start_new_thread(work, (thread,))
    wait(lambda: done == [1, 1, 1], limit_sec=20)
    wait(lambda: events.count('closed') == 6 * rounds and not pool.GetAllAsyncSockets())
    stop(pool)
    assert events.count('closed') == 6 * rounds


def test_close_from_a_foreign_thread_fires_on_closed_once():
    for threadsCount in COUNTS:
        link = running_link(threadsCount)
        closes = []

        def close():
            closes.append(link.client.Close())

        for _ in range(3):
            start_new_thread(close, ())
        wait(lambda: len(closes) == 3 and link.events.count('closed'))
        assert sorted(closes) == [False, False, True], closes
        sleep_ms(30)
        assert link.events.reason() == XClosedReason.ClosedByHost
        stop(link.pool)


def test_workers_run_handlers_concurrently():
    """Each of two handlers waits until the other one runs, too."""
    pool = started(4)
    inside = [0, 0]
    met = []

    def on_line(client, line, arg):
        inside[arg] = 1
        start = now_ms()
        while inside != [1, 1] and elapsed_ms(start) < 3000:
            sleep_ms(1)
        met.append(inside == [1, 1])

    clients = Recorder()
    server = serve(pool, clients.accepted)
    peers = [connect_peer(server.SrvAddr) for _ in range(2)]
    wait(lambda: clients.count('accepted') == 2)
    for number in range(2):
        clients.events[number][2].AsyncRecvLine(on_line, number)
    for peer in peers:
        peer.send(b'go\n')
    wait(lambda: len(met) == 2)
    assert met == [True, True]
    stop(pool)


def test_never_two_events_of_one_socket_at_once():
    link = running_link(4)
    inside = [0]
    overlaps = []
    order = []

    def enter():
        inside[0] += 1
        if inside[0] != 1:
            overlaps.append(1)
        sleep_ms(1)
        inside[0] -= 1

    def on_sent(client, arg):
        enter()

    def on_line(client, line, arg):
        client.AsyncSendData(b'x', on_sent)
        order.append(line)
        enter()
        client.AsyncRecvLine(on_line)

    link.client.AsyncRecvLine(on_line)
    for start in range(0, 100, 10):
        link.peer.send(b''.join([b'%d\n' % number for number in range(start, start + 10)]))
    wait(lambda: len(order) == 100 and link.peer.received_count() == 100, limit_sec=20)
    assert not overlaps
    assert order == ['%d' % number for number in range(100)]
    stop(link.pool)


def test_a_slow_handler_does_not_delay_others():
    pool = started(4)
    release = []
    got = []

    def slow(client, line, arg):
        start = now_ms()
        while not release and elapsed_ms(start) < 5000:
            sleep_ms(1)

    clients = Recorder()
    server = serve(pool, clients.accepted)
    peers = [connect_peer(server.SrvAddr) for _ in range(2)]
    wait(lambda: clients.count('accepted') == 2)
    by_port = {event[2].CliAddr[1]: event[2] for event in clients.events}
    by_port[peers[0].port].AsyncRecvLine(slow)
    peers[0].send(b'x\n')
    sleep_ms(50)
    by_port[peers[1].port].AsyncRecvLine(lambda client, line, arg: got.append(line))
    peers[1].send(b'quick\n')
    start = now_ms()
    wait(lambda: got)
    assert elapsed_ms(start) < 3000
    release.append(1)
    stop(pool)


def test_a_handler_that_raises_in_a_worker_reaches_on_exception():
    for threadsCount in COUNTS:
        link = running_link(threadsCount)
        raised = Recorder()
        link.pool.OnException = raised.raised

        def bad(client, line, arg):
            raise ValueError(line)

        other = Recorder()
        link.server.OnClientAccepted = other.accepted
        peer = connect_peer(link.server.SrvAddr)
        wait(lambda: other.count('accepted'))
        link.client.AsyncRecvLine(bad)
        link.peer.send(b'first\nsecond\n')
        wait(lambda: link.events.count('closed'))
        assert link.events.reason() == XClosedReason.Error
        assert [event[1:] for event in raised.events] == [(link.client, link.client.CloseError)]
        assert str(link.client.CloseError) == 'first'
        other.events[0][2].AsyncRecvLine(other.received)
        peer.send(b'served\n')
        wait(lambda: other.count('received'))
        stop(link.pool)


def test_a_handler_that_exits_in_a_worker_ends_its_connection_only():
    link = running_link(4)
    raised = Recorder()
    link.pool.OnException = raised.raised

    def leave(client, line, arg):
        raise SystemExit(3)

    link.client.AsyncRecvLine(leave)
    link.peer.send(b'go\n')
    wait(lambda: link.events.count('closed'))
    assert link.events.reason() == XClosedReason.Error
    assert isinstance(link.client.CloseError, SystemExit) and raised.count('raised') == 1
    stop(link.pool)


def fail_in_the_worker(link):
    """Let a handler raise in the link's only worker. It is called once, and its connection ends."""
    calls = []

    def bad(client, line, arg):
        calls.append(line)
        raise ValueError('by the handler')

    link.client.AsyncRecvLine(bad)
    link.peer.send(b'go\n')
    wait(lambda: link.events.count('closed'))
    assert link.events.reason() == XClosedReason.Error and calls == ['go']


def test_an_on_exception_that_raises_in_a_worker_ends_nothing_else():
    """There is one worker. It must have told the loop that the handler is over, and it goes on."""
    for kind in (SystemExit, KeyboardInterrupt, MemoryError, ValueError):
        link = running_link(2)
        told = Recorder()

        def on_exception(socket, exception):
            told.raised(socket, exception)
            raise kind('by OnException')

        link.pool.OnException = on_exception
        fail_in_the_worker(link)
        assert [str(exception) for exception in (link.client.CloseError, told.events[0][2])] == ['by the handler'] * 2
        link.server.OnClientAccepted = on_accepted_echo
        peer = connect_peer(link.server.SrvAddr)
        peer.send(b'served')
        wait(lambda: peer.received() == b'served')
        assert told.count('raised') == 1
        stop(link.pool)


def test_a_loop_that_finds_no_memory_for_a_turn_goes_on():
    for threadsCount in COUNTS:
        needs_threads()
        link = Link()
        turn = link.pool._turn
        failures = []

        def no_memory(*args):
            failures.append(args)
            if len(failures) > 2:
                link.pool._turn = turn
            raise MemoryError('by the test')

        link.pool._turn = no_memory
        link.pool.AsyncWaitEvents(threadsCount)
        lines = link.read_lines(1)
        link.peer.send(b'served\n')
        wait(lambda: lines)
        assert len(failures) == 3 and not link.events.events
        stop(link.pool)


def test_a_handler_is_called_once_if_there_is_no_memory_to_report_that_it_raised():
    link = running_link(2)
    tell = link.pool._tell

    def no_memory(socket, exception):
        link.pool._tell = tell
        raise MemoryError('by the test')

    link.pool._tell = no_memory
    fail_in_the_worker(link)
    stop(link.pool)


def test_on_closed_fires_once_if_its_handler_sets_it_again():
    for threadsCount in COUNTS:
        link = running_link(threadsCount)
        ended = []

        def first(client, reason, ended=ended):
            ended.append('first')
            client.OnClosed = lambda client, reason: ended.append('again')

        link.client.OnClosed = first
        link.peer.close()
        wait(lambda: ended)
        handled = []
        link.pool.CallLater(0.05, handled.append)
        wait(lambda: handled)
        assert ended == ['first']
        stop(link.pool)


def test_data_of_another_thread_is_sent_before_a_close():
    """A worker sends data and stops the pool or closes at once, before its data has reached the loop."""
    for end in (lambda link: link.pool.StopWaitEvents(), lambda link: link.client.Close()):
        for _ in range(5):
            link = running_link(4)

            def on_line(client, line, arg, link=link, end=end):
                client.AsyncSendData(b'last words')
                end(link)

            link.client.AsyncRecvLine(on_line)
            link.peer.send(b'go\n')
            wait(lambda: link.events.count('closed'))
            wait(lambda: link.peer.ended())
            assert link.peer.received() == b'last words'
            stop(link.pool)


def test_a_reset_while_a_worker_runs_the_handler_costs_no_time():
    link = running_link(4)
    going = []

    def on_line(client, line, arg):
        going.append('handler')
        wait(lambda: len(going) == 2)

    link.client.AsyncRecvLine(on_line)
    link.peer.send(b'go\n')
    wait(lambda: going)
    link.peer.reset()
    start = cpu_ms()
    sleep_ms(500)
    spent = cpu_ms() - start
    going.append('end')
    wait(lambda: link.events.count('closed'))
    assert spent < 250, 'the loop took %d of 500 ms' % spent
    stop(link.pool)


def test_a_worker_without_memory_loses_no_job():
    """No further event comes that could wake it."""
    for threadsCount in (2, 4):
        link = running_link(threadsCount)
        jobs = wait(lambda: link.pool._workers)._jobs
        get = XFiFo.Get
        missing = []

        def Get(self):
            if self is jobs and missing:
                missing.pop()
                raise MemoryError('by the test')
            return get(self)

        def on_line(client, line, arg):
            client.AsyncRecvLine(on_line)
            client.AsyncSendData(line.encode())

        XFiFo.Get = Get
        try:
            link.client.AsyncRecvLine(on_line)
            for size, failures in enumerate((0, 1, 5), 1):
                missing.extend([None] * failures)
                link.peer.send(b'x\n')
                wait(lambda: link.peer.received_count() == size)
            missing.extend([None] * 3)
            stop(link.pool)
        finally:
            XFiFo.Get = get
        assert link.events.events == [('closed', XClosedReason.ClosedByHost)], link.events.events


class FullPoll:
    """The poll set of a running pool, which cannot grow any more, as if there were no memory."""

    def __init__(self, pool):
        self.taken_out = []     # keys
        self.half = []          # keys that have no object; to take them out crashes MicroPython (extmod/modselect.c)
        self.crashed = False
        self._places = 0
        self._poll = pool._poll
        pool._poll = self

    def __getattr__(self, name):
        return getattr(self._poll, name)

    def register(self, key, events):
        if not self._places:
            self.half.append(key)
            raise MemoryError('by the test')
        self._poll.register(key, events)
        self._places -= 1
        if key in self.half:
            self.half.remove(key)
        if key in self.taken_out:
            self.taken_out.remove(key)

    def unregister(self, key):
        if key in self.half:
            self.crashed = True
            return
        self._poll.unregister(key)      # MicroPython's says nothing if it is out already
        if key not in self.taken_out:
            self.taken_out.append(key)
            self._places += 1


def full_links(count):
    """Return links whose handlers are with workers, the full poll set of their pool, and f() to let them go on."""
    pool = XAsyncSocketsPool()
    pool._sockets = OrderedDict()       # so that the first one is asked first for its place
    links = [Link(outgoing=True, pool=pool) for _ in range(count)]
    pool.OnException = links[0].events.raised
    pool.AsyncWaitEvents(count + 1)
    begun, over = [], []

    def on_line(client, line, arg):
        begun.append(line)
        wait(lambda: over)
        client.AsyncRecvLine(answer)

    def answer(client, line, arg):
        client.AsyncSendData(line.encode())

    for link in links:
        link.client.AsyncRecvLine(on_line)
        link.peer.send(b'go\n')
    wait(lambda: len(begun) == count)
    return links, FullPoll(pool), lambda: over.append(True)


def see_refused(late, events, poll):
    wait(lambda: events.count('raised'))
    assert not poll.crashed and (not poll.half or not MICROPYTHON)
    _, socket, exception = events.events[0]
    assert socket is late and isinstance(exception, MemoryError), (socket, exception)


def test_a_socket_that_the_poll_set_has_no_memory_for_while_all_others_are_busy():
    """It is refused. The busy one, whose place was needed for that, goes on."""
    needs_threads()
    (link,), poll, go_on = full_links(1)
    late = XAsyncUDPDatagram.Create(link.pool)
    see_refused(late, link.events, poll)
    assert link.pool.GetAllAsyncSockets() == [link.client]
    go_on()
    link.peer.send(b'served\n')
    wait(lambda: link.peer.received() == b'served')
    stop(link.pool)


def test_a_socket_that_the_poll_set_has_no_memory_for_while_another_is_out_of_it():
    """The peer of a busy connection has ended it, so the poll set does not have it at the moment."""
    needs_threads()
    if ESP32:
        skip('its poll() does not report a reset of a connection that nobody reads')
    links, poll, go_on = full_links(2)
    pool, events = links[0].pool, links[0].events
    links[0].peer.reset()
    wait(lambda: poll.taken_out)
    poll._places = 0
    late = XAsyncUDPDatagram.Create(pool)
    see_refused(late, events, poll)
    poll._places = 1
    go_on()
    links[1].peer.send(b'served\n')
    wait(lambda: links[1].peer.received() == b'served')
    wait(lambda: links[0].events.count('closed'))
    assert links[0].events.reason() == XClosedReason.Error
    stop(pool)


def test_ctrl_c_in_a_call_of_a_thread_loses_no_other_call():
    needs_threads()
    pool = XAsyncSocketsPool()
    pool.PollEvents()       # so that the calls of another thread have to wait
    watch = pool._watch
    made = []

    def interrupted(socket):
        raise KeyboardInterrupt

    def make():
        pool._watch = interrupted
        made.append(XAsyncUDPDatagram.Create(pool))
        pool._watch = watch
        made.append(XAsyncUDPDatagram.Create(pool))

    start_new_thread(make, ())
    wait(lambda: len(made) == 2)
    raises(KeyboardInterrupt, pool.PollEvents)
    pool.PollEvents()
    assert pool.GetAllAsyncSockets() == made[1:]
    pool.StopWaitEvents()


def test_a_socket_removed_by_its_own_handler_in_a_worker():
    link = running_link(4)
    removed = []

    def remove(client, line, arg):
        removed.append(link.pool.RemoveAsyncSocket(client))

    link.client.AsyncRecvLine(remove)
    link.peer.send(b'one\ntwo\nthree\n')
    wait(lambda: removed)
    wait(lambda: link.client not in link.pool.GetAllAsyncSockets())
    assert removed == [True] and not link.events.count('closed')
    stop(link.pool)


def test_a_socket_removed_and_added_again_by_a_thread():
    """By a worker, and by a thread of the program's own."""
    link = running_link(4)
    done = []

    def again():
        link.pool.RemoveAsyncSocket(link.client)
        link.pool.AddAsyncSocket(link.client)
        done.append(True)

    def on_line(client, line, arg):
        again()
        client.AsyncSendData(line.encode())
        client.AsyncRecvLine(on_line)

    link.client.AsyncRecvLine(on_line)
    for size in range(1, 7):
        link.peer.send(b'x\n')
        wait(lambda: link.peer.received_count() == size)
        start_new_thread(again, ())
        wait(lambda: len(done) == 2 * size)
    stop(link.pool)


def test_stop_without_a_loop():
    pool = XAsyncSocketsPool()
    ended = Recorder()
    server = serve(pool, on_accepted_echo)
    server.OnClosed = ended.closed
    pool.StopWaitEvents()
    assert pool.GetAllAsyncSockets() == [] and ended.reason() == XClosedReason.ClosedByHost


def test_stop_from_another_thread_while_the_program_polls():
    needs_threads()
    pool = XAsyncSocketsPool()
    server = serve(pool, on_accepted_echo)
    pool.PollEvents()
    asked = []

    def ask():
        pool.StopWaitEvents()
        asked.append(True)

    start_new_thread(ask, ())
    wait(lambda: asked)
    pool.PollEvents(1000)
    assert pool.GetAllAsyncSockets() == [] and server.SocketID is None


def test_a_loop_is_not_started_inside_a_turn():
    pool = XAsyncSocketsPool()
    errors = []

    def nest(arg):
        try:
            pool.AsyncWaitEvents()
        except XAsyncSocketsPoolException as ex:
            errors.append(str(ex))

    pool.CallLater(0, nest)
    pool.PollEvents(1000)
    assert errors and 'PollEvents' in errors[0], errors


def test_stop_from_a_foreign_thread():
    for threadsCount in COUNTS:
        link = running_link(threadsCount)
        server = Recorder()
        link.server.OnClosed = server.closed
        start_new_thread(link.pool.StopWaitEvents, ())
        wait(lambda: not link.pool.WaitEventsProcessing)
        wait(lambda: link.events.count('closed') and server.count('closed'))
        assert link.events.reason() == XClosedReason.ClosedByHost
        assert server.reason() == XClosedReason.ClosedByHost
        assert link.pool.GetAllAsyncSockets() == []


def test_stop_from_inside_a_handler():
    for threadsCount in COUNTS:
        link = running_link(threadsCount)
        link.client.AsyncRecvLine(lambda client, line, arg: link.pool.StopWaitEvents())
        link.peer.send(b'stop\n')
        wait(lambda: not link.pool.WaitEventsProcessing)
        wait(lambda: link.events.count('closed'))
        assert link.events.reason() == XClosedReason.ClosedByHost
        assert link.pool.GetAllAsyncSockets() == []


def test_stop_while_handlers_are_busy():
    pool = started(4)
    server = serve(pool, on_accepted_echo, recvBufSlots=XBufferSlots(32, 128))
    peers = [connect_peer(server.SrvAddr) for _ in range(5)]
    for peer in peers:
        peer.echo(100000, 64)
    wait(lambda: peers[0].echoed() > 20)
    stop(pool)
    for peer in peers:
        wait(peer.ended)


def test_a_loop_started_in_a_thread_of_the_programs_own():
    """The loop runs in a blocking AsyncWaitEvents() in a thread, and the main thread calls the library."""
    needs_threads()
    pool = XAsyncSocketsPool()
    ended = []

    def run():
        pool.AsyncWaitEvents()
        ended.append(1)

    start_new_thread(run, ())
    wait(lambda: pool.WaitEventsProcessing)
    peer = udp_peer()
    udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'), 256)
    events = Recorder()
    udp.OnDataRecv = events.datagram
    udp.AsyncSendDatagram(b'reading', peer.addr, events.sent)
    assert wait(peer.receive)[0] == b'reading'
    peer.send(b'set', udp.LocalAddr)
    wait(lambda: events.count('datagram') and events.count('sent'))
    pool.StopWaitEvents()
    wait(lambda: ended)
    assert pool.WaitEventsProcessing is False


def test_a_pool_runs_again_after_a_stop():
    for threadsCount in COUNTS:
        pool = started(threadsCount)
        stop(pool)
        pool.AsyncWaitEvents(threadsCount)
        server = serve(pool, on_accepted_echo)
        peer = connect_peer(server.SrvAddr)
        peer.echo(10, 10)
        wait(lambda: peer.echoed() == 10)
        stop(pool)


def test_sockets_shared_by_threads_get_no_new_attributes():
    """On unix and RP2 no lock protects a dict, so no thread may add to it while another one looks something up."""
    if not MICROPYTHON:
        skip('CPython protects its dicts with a lock')
    needs_threads()

    def in_own_thread(pool):
        start_new_thread(pool.AsyncWaitEvents, ())
        wait(lambda: pool.WaitEventsProcessing)

    def called_from_another_thread(pool):
        """Return the pool after a call from another thread. The loop runs in the main thread, here with PollEvents."""
        start_new_thread(XAsyncTCPClient.Create, (pool, listen_peer().addr))

    for kind in (in_own_thread, called_from_another_thread):
        pool = XAsyncSocketsPool()
        pool.PollEvents()
        kind(pool)
        turn = sleep_ms if kind is in_own_thread else pool.PollEvents
        sizes = {}

        def on_line(client, line, arg):
            client.AsyncSendData(pattern(30000), on_sent)
            client.AsyncRecvData(2000, on_data, None, 10)

        def on_data(client, data, arg):
            client.AsyncRecvLine(on_line, None, 20)

        def on_sent(client, arg):
            done.append(client)

        def on_answer(client, data, arg):
            client.AsyncRecvData(30000, on_answer)

        def on_accepted(server, client):
            sizes[client] = len(client.__dict__)
            client.AsyncRecvLine(on_line)

        done = []
        for _ in range(50):
            turn(1)
        server = serve(pool, on_accepted)
        client = XAsyncTCPClient.Create(pool, server.SrvAddr)
        udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'), 256)
        sizes[client], sizes[udp], sizes[server] = len(client.__dict__), len(udp.__dict__), len(server.__dict__)
        received = Recorder()
        udp.OnRecv = received.datagram
        client.AsyncRecvData(30000, on_answer)
        client.AsyncSendData(b'li')
        for part in (b'ne\n', pattern(1999), b'x', b'line\n', pattern(1000), pattern(1000)):
            client.AsyncSendData(part, on_sent)
            udp.AsyncSendDatagram(part[:256], udp.LocalAddr, on_sent)
            for _ in range(10):
                turn(2)
        for _ in range(1000):
            if len(done) >= 14 and received.count('datagram') == 6:
                break
            turn(5)
        assert len(done) >= 14 and received.count('datagram') == 6, (len(done), received.names())
        client.Close()
        for _ in range(20):
            turn(5)
        assert len(sizes) == 4
        for s, size in sizes.items():
            assert len(s.__dict__) == size, (kind.__name__, type(s), size, len(s.__dict__))
        if kind is in_own_thread:
            stop(pool)
