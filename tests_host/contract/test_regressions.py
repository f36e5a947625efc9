"""Former faults of the library. Each one has a test that it failed."""

from harness import (
    CHIP,
    ESP32,
    connect_peer,
    elapsed_ms,
    free_addr,
    listen_peer,
    needs_sockets,
    needs_threads,
    now_ms,
    pattern,
    pump,
    raises,
    refusing_addr,
    skip,
    sleep_ms,
    start_new_thread,
    udp_peer,
    wait,
)
from scenes import BUFFER_SIZE, Link, Recorder, links, module, server_context

from XAsyncSockets import (
    XAsyncSocketsPool,
    XAsyncTCPClient,
    XAsyncTCPClientException,
    XAsyncUDPDatagram,
    XClosedReason,
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
        skip('these sockets tell of an end when it is read')
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
