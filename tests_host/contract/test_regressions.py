"""Faults of the library, each as the test that it fails."""

from harness import (
    listen_peer,
    needs_threads,
    pattern,
    raises,
    refusing_addr,
    sleep_ms,
    start_new_thread,
    wait,
)
from scenes import BUFFER_SIZE, Link, Recorder, links, module, server_context

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPClientException, XClosedReason


def test_tls_does_not_start_in_the_middle_of_a_large_receive():
    context = server_context()
    link = Link()
    link.client.AsyncRecvData(10 * BUFFER_SIZE, link.events.received)
    link.peer.send(b'INJECTED')
    link.pump_for(50)
    raises(XAsyncTCPClientException, link.client.StartSSLContext, context, True)


def test_plain_data_that_comes_while_another_thread_starts_tls_is_an_error():
    """Both connections are ready in one turn; the first one's handler lets another thread start TLS on the second."""
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
        wait(lambda: started)

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


def test_the_peers_close_behind_a_full_buffer_is_noticed():
    XAsyncTCPClient.LingerSec = 0.2
    for size in (BUFFER_SIZE - 1, BUFFER_SIZE, BUFFER_SIZE + 10):
        for link in links():
            link.peer.send(pattern(size))
            link.peer.close()
            try:
                assert link.pump_closed(limit_sec=2) == XClosedReason.ClosedByPeer
            except AssertionError as ex:
                raise AssertionError('size %d: %s' % (size, ex))


def test_no_memory_for_what_is_unread_ends_that_connection():
    library = module()
    link = Link(outgoing=True)
    raised = Recorder()
    link.pool.OnException = raised.raised

    def no_memory(self):
        raise MemoryError()

    library.XBufferSlot._allocate, allocate = no_memory, library.XBufferSlot._allocate
    link.client.AsyncRecvLine(link.events.received)
    link.peer.send(b'lost ')
    link.pump_for(50)
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
