"""Former faults of the library. Each one has a test that it failed."""

import gc

from harness import (
    CHIP,
    ESP32,
    MANY,
    MICROPYTHON,
    connect_peer,
    elapsed_ms,
    free_addr,
    listen_peer,
    needs_sockets,
    needs_threads,
    now_ms,
    pattern,
    pump,
    pump_for,
    raises,
    refusing_addr,
    skip,
    sleep_ms,
    start_new_thread,
    udp_peer,
    wait,
)
from scenes import BUFFER_SIZE, Link, Recorder, links, module, serve, server_context

from XAsyncSockets import (
    XAsyncSocketsPool,
    XAsyncTCPClient,
    XAsyncTCPClientException,
    XAsyncUDPDatagram,
    XClosedReason,
    XFiFo,
)


def test_tls_does_not_start_in_the_middle_of_a_large_receive():
    context = server_context()
    link = Link()
    link.client.AsyncRecvData(10 * BUFFER_SIZE, link.events.received)
    link.peer.send(b'INJECTED')
    link.pump_for(50)
    raises(XAsyncTCPClientException, link.client.StartSSLContext, context, True)


def test_plain_data_that_arrives_while_another_thread_starts_tls_is_an_error():
    """Two connections are ready in one turn. The first one's handler lets another thread start TLS on the second."""
    context = server_context()
    needs_threads()
    first = Link()
    second = Link(pool=first.pool)
    started = []

    def start_tls():
        second.client.StartSSLContext(context, True)
        started.append(True)

    def on_data(client, data, arg):
        start_new_thread(start_tls, ())
        start = now_ms()
        while not started and elapsed_ms(start) < 300:      # on MicroPython it starts after this handler
            sleep_ms(2)

    first.client.AsyncRecvData(None, on_data)
    second.client.AsyncRecvLine(second.events.received)
    first.peer.send(b'x')
    sleep_ms(20)
    second.peer.send(b'INJECT')
    sleep_ms(50)
    first.pool.PollEvents(100)
    first.pool.PollEvents(100)
    second.pump_for(50)
    print('IsSSL', second.client.IsSSL, second.events.events, 'started', started)
    second.peer.start_tls('client')
    first.pump(lambda: second.events.count('closed') or second.peer.state() == 'secure')
    if second.peer.state() == 'secure':
        second.peer.send(b'ED line\n')
        second.pump_for(100)
    print(second.peer.state(), second.events.events)
    assert not second.events.count('received'), second.events.events


def test_the_peers_close_after_a_full_buffer_is_noticed():
    if ESP32:
        skip('these sockets report the end only at a read')
    XAsyncTCPClient.LingerSec = 0.2
    # Chips do not report an end before all data has been read, so it shows when the application goes on reading.
    for size in (BUFFER_SIZE - 1,) if CHIP else (BUFFER_SIZE - 1, BUFFER_SIZE, BUFFER_SIZE + 10):
        for link in links():
            link.peer.send(pattern(size))
            link.peer.close()
            try:
                assert link.pump_closed(limit_sec=2) == XClosedReason.ClosedByPeer
            except AssertionError as ex:
                raise AssertionError('size %d: %s' % (size, ex))


def test_without_memory_for_unread_data_that_connection_ends():
    library = module()
    link = Link(outgoing=True)
    raised = Recorder()
    link.pool.OnException = raised.raised

    def no_memory(self):
        raise MemoryError()

    library.XBufferSlot._allocate, allocate = no_memory, library.XBufferSlot._allocate
    link.client.AsyncRecvLine(link.events.received)
    link.peer.send(b'lost ')
    link.pump(lambda: link.events.events)
    library.XBufferSlot._allocate = allocate
    link.peer.send(b'tail\n')
    link.pump_for(50)
    print(link.events.events, raised.events)
    assert link.events.events == [('closed', XClosedReason.Error)]


def test_more_threads_than_the_port_has():
    needs_threads()
    library = module()
    start = library._start_thread
    threads = []

    def only_one(function, args):
        if threads:
            raise OSError('core1 in use')
        threads.append(function)
        return start(function, args)

    library._start_thread = only_one
    link = Link()
    link.pool.AsyncWaitEvents(4)
    lines = link.read_lines(1)
    link.peer.send(b'served\n')
    wait(lambda: lines)
    link.pool.StopWaitEvents()


def test_handlers_set_right_after_create_in_another_thread():
    needs_threads()
    needs_sockets(20)
    pool = XAsyncSocketsPool()
    pool.AsyncWaitEvents(1)
    listener = listen_peer()
    connected = Recorder()
    failed = Recorder()
    for _ in range(10):
        connected.watch(XAsyncTCPClient.Create(pool, listener.addr))
        failed.watch(XAsyncTCPClient.Create(pool, refusing_addr()))
    wait(lambda: connected.count('connected') == 10 and failed.count('failed') == 10)
    pool.StopWaitEvents()


def test_a_datagram_without_memory_for_it_is_dropped():
    """Otherwise it would be reported again and again, for ever."""
    pool = XAsyncSocketsPool()
    events = Recorder()
    pool.OnException = events.raised
    udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    udp.OnRecv = events.datagram
    read = udp._receive_from
    tried = []

    def no_memory(into):
        tried.append(into)
        raise MemoryError('by the test')

    udp._receive_from = no_memory
    peer = udp_peer()
    peer.send(b'too much', udp.LocalAddr)
    pump(pool, lambda: events.count('raised'))
    pool.PollEvents(50)
    udp._receive_from = read
    peer.send(b'fits', udp.LocalAddr)
    pump(pool, lambda: events.count('datagram'))
    assert len(tried) == 1 and udp.DroppedCount == 1
    assert [event[2] for event in events.events if event[0] == 'datagram'] == [b'fits']


def test_a_handler_without_memory_ends_only_its_connection():
    link = Link()
    other = Link(pool=link.pool)
    raised = Recorder()
    link.pool.OnException = raised.raised

    def greedy(client, line, arg):
        raise MemoryError('by the test')

    link.client.AsyncRecvLine(greedy)
    lines = other.read_lines(1)
    link.peer.send(b'too much\n')
    assert link.pump_closed() == XClosedReason.Error
    assert raised.values('raised') == [link.client]
    other.peer.send(b'fits\n')
    other.pump(lambda: lines)


def test_the_loop_survives_running_out_of_memory():
    link = Link()
    lines = link.read_lines(2)
    take = link.pool._take_calls
    short = [True, True]

    def no_memory():
        if short:
            short.pop()
            raise MemoryError('by the test')
        take()

    link.pool._take_calls = no_memory
    link.pool._calls.append((None, link.events.names, ()))
    link.peer.send(b'one\n')
    link.pump(lambda: lines)
    needs_threads()
    short.extend((True, True))
    link.pool.AsyncWaitEvents(1)
    link.pool._calls.append((None, link.events.names, ()))
    link.peer.send(b'two\n')
    wait(lambda: len(lines) == 2)
    link.pool.StopWaitEvents()


def short_of_memory(thing, name, times):
    """Make the method raise MemoryError `times` times."""
    method = getattr(thing, name)
    left = [True] * times

    def no_memory(*args):
        if left:
            left.pop()
            raise MemoryError('by the test')
        return method(*args)

    setattr(thing, name, no_memory)
    return left


def test_an_end_without_memory_is_completed_later():
    for cause in ('host', 'peer', 'memory'):
        link = Link()
        link.pool.OnException = link.events.raised
        left = short_of_memory(link.pool, 'RemoveAsyncSocket', times=3)
        if cause == 'host':
            link.client.Close()
        elif cause == 'peer':
            link.peer.close()
        else:
            link.client.AsyncRecvData(None, lambda client, data, arg: bytearray(1 << (29 if CHIP else 60)))
            link.peer.send(b'x')
        link.pump(lambda: link.events.count('closed') and not left)
        link.pump_for(20)
        assert link.events.count('closed') == 1, link.events.events
        assert link.pool.GetAllAsyncSockets() == [link.server]


def test_a_paused_server_resumes_although_there_is_no_memory():
    """The server pauses, and has no memory at first to watch its socket again."""
    link = Link()
    accepted = Recorder()
    link.pool.OnException = accepted.raised
    link.server.OnClientAccepted = accepted.accepted
    link.server._pause()
    link.pump_for(20)
    left = short_of_memory(link.pool, '_set_interest', times=2)
    connect_peer(link.server.SrvAddr)
    link.pump(lambda: accepted.count('accepted'))
    assert left == []


def test_a_close_does_not_overwrite_the_buffer_of_a_worker():
    """A close reads the peer's unread data, but not into the buffer of a busy worker."""
    needs_threads()
    link = Link()
    other = Link(pool=link.pool)
    served = Recorder()
    other.client.AsyncRecvLine(served.received)
    lines = []

    def on_line(client, line, arg):
        lines.append(line)
        client.AsyncRecvLine(on_line)
        if line == 'one':
            other.client.Close()
            wait(lambda: other.client.SocketID is None)

    link.pool.AsyncWaitEvents(2)    # the loop and one worker
    other.peer.send(b'served by the worker\n')
    wait(lambda: served.count('received'))
    other.peer.send(b'x' * 8 * BUFFER_SIZE)
    sleep_ms(50)                    # until the connection's own buffer is full
    link.client.AsyncRecvLine(on_line)
    link.peer.send(b'one\ntwo\nthree\n')
    wait(lambda: len(lines) == 3)
    assert lines == ['one', 'two', 'three'], lines
    link.pool.StopWaitEvents()


def test_a_pool_that_stops_takes_no_further_connection():
    """Otherwise OnClosed, which opens the next one, keeps StopWaitEvents busy for ever."""
    pool = XAsyncSocketsPool()
    raised = Recorder()
    pool.OnException = raised.raised
    listener = listen_peer()
    for stop in (lambda: pool.CallLater(0, lambda arg: pool.StopWaitEvents()) and pool.AsyncWaitEvents(),
                 pool.StopWaitEvents):
        made = []

        def connect(*_):
            made.append(XAsyncTCPClient.Create(pool, listener.addr))
            if made[-1] is not None and len(made) < 20:
                made[-1].OnClosed = connect

        connect()
        pump_for(pool, 20)
        stop()
        assert made[0] is not None and made[1:] == [None], made
        assert not raised.events, raised.events


def test_a_connection_that_comes_while_the_pool_stops_is_not_an_error():
    """Its accept and the line that stops the pool are events of one turn."""
    link = Link()
    raised = Recorder()
    link.pool.OnException = raised.raised
    link.client.AsyncRecvLine(lambda client, line, arg: link.pool.StopWaitEvents())
    server = serve(link.pool, link.events.accepted)     # the pool handles it after the client
    link.pump_for(20)
    link.peer.send(b'stop\n')
    sleep_ms(50)
    late = connect_peer(server.SrvAddr)
    link.pool.AsyncWaitEvents()
    wait(late.ended)
    assert not raised.events, raised.events


def test_an_application_that_reads_slowly_gets_all_that_the_peer_sent():
    """LingerSec counts from the last read, not from the peer's end."""
    XAsyncTCPClient.LingerSec = 0.8
    link = Link()
    lines = []

    def on_line(client, line, arg):
        lines.append(line)
        link.pool.CallLater(0.25, read_on)

    def read_on(arg):
        link.client.AsyncRecvLine(on_line)

    link.client.AsyncRecvLine(on_line)
    link.peer.send(b'1\n2\n3\n4\n5\n')
    link.peer.close()
    assert link.pump_closed() == XClosedReason.ClosedByPeer
    assert lines == ['1', '2', '3', '4', '5'], lines


def test_a_connection_made_before_the_loop_runs_sends_at_once():
    """Its OnConnected cannot be set later, because the thread that creates it then runs the loop."""
    needed = []
    for _ in range(4):
        pool = XAsyncSocketsPool()
        sent = Recorder()
        start = now_ms()
        client = XAsyncTCPClient.Create(pool, listen_peer().addr)
        client.AsyncSendData(b'x', sent.sent)
        pump(pool, lambda: sent.events)
        needed.append(elapsed_ms(start))
    assert min(needed) < 190, needed


def test_ctrl_c_in_a_call_does_not_block_the_pool():
    pool = XAsyncSocketsPool()
    watch = pool._watch

    def interrupted(socket):
        pool._watch = watch
        raise KeyboardInterrupt

    pool._watch = interrupted
    raises(KeyboardInterrupt, XAsyncUDPDatagram.Create, pool)
    pool.PollEvents()
    link = Link(pool=pool)
    lines = link.read_lines(1)
    link.peer.send(b'served\n')
    link.pump(lambda: lines)


def test_a_close_that_ctrl_c_interrupts_is_completed():
    """By the next turn, or by StopWaitEvents, which does not wait LingerSec for it."""
    for by_stop in (False, True):
        link = Link()
        pool = link.pool
        remove = pool.RemoveAsyncSocket

        def interrupted(socket):
            pool.RemoveAsyncSocket = remove
            raise KeyboardInterrupt

        pool.RemoveAsyncSocket = interrupted
        raises(KeyboardInterrupt, link.client.Close)
        if by_stop:
            start = now_ms()
            pool.StopWaitEvents()
            assert elapsed_ms(start) < 1000 * XAsyncTCPClient.LingerSec / 2
        assert link.pump_closed() == XClosedReason.ClosedByHost
        assert link.events.count('closed') == 1


def test_the_end_of_the_loop_may_be_interrupted_too():
    """Ctrl-C, and Ctrl-C again while the sockets are closed. StopWaitEvents or a turn closes the others, and the pool
    can be used again."""
    for by_stop in (True, False):
        both = [Link()]
        pool = both[0].pool
        both.append(Link(pool=pool))

        def interrupt(*args):
            for link in both:
                link.client.OnClosed = link.events.closed
            raise KeyboardInterrupt

        def stop(arg):
            raise KeyboardInterrupt

        for link in both:       # whichever is closed first
            link.client.OnClosed = interrupt
        pool.CallLater(0, stop)
        raises(KeyboardInterrupt, pool.AsyncWaitEvents)
        assert not pool.WaitEventsProcessing
        if by_stop:
            pool.StopWaitEvents()
        else:
            pool.PollEvents()
        assert sum([link.events.count('closed') for link in both]) == 1
        assert pool.GetAllAsyncSockets() == []
        link = Link(pool=pool)
        lines = link.read_lines(1)
        link.peer.send(b'served\n')
        link.pump(lambda: lines)
        pool.StopWaitEvents()
        assert link.events.reason() == XClosedReason.ClosedByHost


def test_on_exception_may_make_a_turn():
    """OnException is called for an error outside of all turns."""
    pool = XAsyncSocketsPool()
    turns = []
    pool.OnException = lambda socket, exception: turns.append(pool.PollEvents())
    watch = pool._watch

    def fails(socket):
        pool._watch = watch
        raise OSError('by the test')

    pool._watch = fails
    XAsyncUDPDatagram.Create(pool)
    assert len(turns) == 1
    link = Link(pool=pool)
    lines = link.read_lines(1)
    link.peer.send(b'served\n')
    link.pump(lambda: lines)


def test_data_that_is_sent_in_part_is_taken_whole():
    """Data that another thread sends at that moment may fill the queue, but must not break the order of the stream."""
    needs_threads()
    link = Link(slow=True)
    link.client.SendQueueLimit = 1000
    done = []

    def send():
        done.append(link.client.AsyncSendData(pattern(10, MANY)))

    start_new_thread(send, ())
    wait(lambda: done)
    assert link.client.AsyncSendData(pattern(MANY)) is True
    link.peer.resume()
    link.pump(lambda: link.peer.received_count() >= MANY + 10, limit_sec=20)
    assert link.peer.received_pattern()


def test_a_turn_that_finds_no_descriptor_can_be_repeated():
    if MICROPYTHON:
        skip('its pool needs no descriptor')
    import resource
    pool = XAsyncSocketsPool()
    accepted = Recorder()
    server = serve(pool, accepted.accepted)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    held = []
    try:
        while True:
            held.append(open('/dev/null'))
    except OSError:
        held.pop().close()      # one is left, which is enough to poll, but not to be woken
    raises(OSError, pool.PollEvents)
    for file in held:
        file.close()
    connect_peer(server.SrvAddr)
    pump(pool, lambda: accepted.events)


def test_a_descriptor_that_the_application_closed_still_gets_on_closed():
    if MICROPYTHON:
        skip('has no os.close')
    import os
    for link in links():
        os.close(link.client.GetSocketObj().fileno())
        assert link.client.Close() is True
        assert link.pump_closed() == XClosedReason.ClosedByHost
        assert link.client.SocketID is None
        assert link.client not in link.pool.GetAllAsyncSockets()


def test_the_next_connection_with_the_descriptor_of_a_closed_socket_is_served():
    if MICROPYTHON:
        skip('its sockets are not descriptors for the pool')
    link = Link()
    old = link.client
    number = old.GetSocketObj().fileno()
    old.GetSocketObj().close()      # the application closes it, which the pool cannot notice
    peer = connect_peer(link.server.SrvAddr)
    link.pump(lambda: link.client is not old)
    assert link.client.GetSocketObj().fileno() == number
    assert old.Close() is True
    assert link.pump_closed() == XClosedReason.ClosedByHost
    assert link.client in link.pool.GetAllAsyncSockets()
    lines = link.read_lines(1)
    peer.send(b'served\n')
    link.pump(lambda: lines)


def test_a_datagram_to_an_impossible_address_fails_to_send():
    if CHIP:
        skip('has no name server')
    pool = XAsyncSocketsPool()
    udp = XAsyncUDPDatagram.Create(pool)
    events = Recorder()
    udp.OnFailsToSend = events.not_sent
    addresses = [('a..b', 9), ('x' * 70 + '.example', 9), ('::1', 9)]
    for _ in range(2):      # the pool has no owner yet, and then it has
        for address in addresses:
            assert udp.AsyncSendDatagram(b'lost', address, events.sent) is True
        pump(pool, lambda: len(events.events) == 3)
        assert events.events == [('not_sent', b'lost', address) for address in addresses]
        del events.events[:]


def memory_in_use():
    gc.collect()
    if MICROPYTHON:
        return gc.mem_alloc()
    import tracemalloc
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def test_an_empty_queue_holds_nothing():
    before = memory_in_use()
    queues = [XFiFo() for _ in range(8)]
    for queue in queues:
        queue.Put(bytes(4000))
        assert len(queue.Get()) == 4000
    assert memory_in_use() - before < 16000


def test_the_pool_does_not_keep_the_connection_that_ended_last():
    if MICROPYTHON:
        skip('has no weak references')
    import weakref
    for outgoing in (False, True):
        link = Link(outgoing)
        connection = weakref.ref(link.client)
        link.peer.close()
        link.pump_closed()
        link.client = None
        gc.collect()
        assert connection() is None


def test_no_memory_for_the_workers_ends_the_loop():
    needs_threads()
    link = Link()

    def no_memory(pool, count):
        raise MemoryError('by the test')

    module()._Workers = no_memory
    link.pool.AsyncWaitEvents(2)
    wait(lambda: not link.pool.WaitEventsProcessing)
    assert link.events.events == [('closed', XClosedReason.ClosedByHost)]
    assert link.pool.GetAllAsyncSockets() == []


def test_no_timer_of_a_connection_that_failed_is_left():
    """The loop may learn of connectTimeout after the connection has failed."""
    needs_threads()
    pool = XAsyncSocketsPool()
    pool.AsyncWaitEvents(1)
    failed = Recorder()
    for count in range(1, 11):
        failed.watch(XAsyncTCPClient.Create(pool, refusing_addr()))
        wait(lambda: failed.count('closed') == count)
    assert not pool._timers
    pool.StopWaitEvents()
