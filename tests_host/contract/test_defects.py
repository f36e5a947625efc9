"""The known defects of the 2024 implementation, D1 to D36. Each has a test that it fails and that ours must pass."""
import gc

import doubles
from harness import (
    CHIP,
    FEWER,
    MANY,
    MICROPYTHON,
    connect_peer,
    cpu_ms,
    deaf_addr,
    elapsed_ms,
    free_addr,
    listen_peer,
    most_allocated,
    needs_sockets,
    needs_threads,
    now_ms,
    open_files,
    pattern,
    pump,
    pump_for,
    raises,
    refusing_addr,
    skip,
    start_new_thread,
    udp_peer,
    wait,
)

# Each test imports the library itself. A test that uses the stand-ins of `doubles` installs them first.


def names():
    """Return the library and the scenes, as one namespace each."""
    import scenes

    import XAsyncSockets as library
    return library, scenes


# A. Wrong on every platform but BSD

def test_d1_a_partial_line_or_partial_data_is_not_an_error():
    _, scenes = names()
    for link in scenes.links():
        lines = link.read_lines(1)
        link.peer.send(b'hel')
        link.pool.PollEvents(200)
        link.peer.send(b'lo\n')
        link.pump(lambda: lines)
        assert lines == ['hello']
        link.client.AsyncRecvData(10, link.events.received)
        link.peer.send(b'01234')
        link.pool.PollEvents(200)
        link.peer.send(b'56789')
        link.pump(lambda: link.events.count('received'))
        assert link.events.events == [('received', b'0123456789', None)]


def test_d2_connecting_asynchronously_works():
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    events = scenes.Recorder()
    client = library.XAsyncTCPClient.Create(pool, listen_peer().addr)
    assert client is not None
    events.watch(client)
    pump(pool, lambda: events.count('connected'))


def test_d3_data_without_a_size_is_what_has_arrived():
    _, scenes = names()
    for link in scenes.links():
        for message in (b'short', b's'):
            del link.events.events[:]
            link.client.AsyncRecvData(onDataRecv=link.events.received)
            link.peer.send(message)
            link.pump(lambda: link.events.count('received'))
            assert link.events.data() == message


# B. Wrong on MicroPython

def test_d4_select_select_is_not_needed():
    import sys
    if MICROPYTHON:
        if hasattr(__import__('select'), 'select') and not CHIP:
            skip('this interpreter has select.select')
    else:
        del sys.modules['select'].select
    _, scenes = names()
    link = scenes.Link()
    lines = link.read_lines(1)
    link.peer.send(b'works\n')
    link.pump(lambda: lines)


def test_d5_a_wake_up_from_another_thread_does_not_keep_the_loop_awake():
    needs_threads()
    _, scenes = names()
    link = scenes.Link()
    link.pool.AsyncWaitEvents(1)
    link.client.AsyncSendData(b'x', link.events.sent)
    wait(lambda: link.events.count('sent'))
    used = cpu_ms()
    start = now_ms()
    wait(lambda: elapsed_ms(start) >= 500)
    used = cpu_ms() - used
    link.pool.StopWaitEvents()
    assert used < 100, used


def test_d6_sockets_without_a_fileno_are_served():
    if not MICROPYTHON or CHIP:
        skip('only for the unix port of MicroPython, whose sockets are replaced')
    doubles.install()
    library, scenes = names()
    assert not hasattr(doubles.Socket, 'fileno')
    link = scenes.Link()
    assert not hasattr(link.client.GetSocketObj(), 'fileno')
    assert isinstance(link.client.SocketID, int)
    lines = link.read_lines(1)
    link.peer.send(b'served\n')
    link.pump(lambda: lines)


def test_d7_no_loopback_datagrams_are_needed():
    doubles.install()
    _, scenes = names()
    link = scenes.Link()
    link.client.AsyncSendData(b'x')
    assert link.pump_received(1) == b'x'
    import socket
    assert socket.SOCK_DGRAM not in doubles.made


def test_d8_nothing_to_read_is_not_an_error_on_any_interpreter():
    """The one exception class that all interpreters raise is OSError."""
    _, scenes = names()
    for link in scenes.links():
        lines = link.read_lines(2)
        for piece in (b'a', b'b', b'c\n', b'd', b'\n'):
            link.peer.send(piece)
            link.pool.PollEvents(100)
            link.pump_for(5)
        link.pump(lambda: len(lines) == 2)
        assert lines == ['abc', 'd']


def test_d9_a_connection_in_progress_is_recognised_by_its_errno():
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    events = scenes.Recorder()
    clients = [library.XAsyncTCPClient.Create(pool, listen_peer().addr) for _ in range(3)]
    assert None not in clients
    for client in clients:
        events.watch(client)
    pump(pool, lambda: events.count('connected') == 3)


def test_d10_a_refused_connection_is_not_connected_and_a_good_one_stays():
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    refused, good = scenes.Recorder(), scenes.Recorder()
    refused.watch(library.XAsyncTCPClient.Create(pool, refusing_addr()))
    good.watch(library.XAsyncTCPClient.Create(pool, listen_peer().addr, connectTimeout=0.2))
    pump(pool, lambda: refused.events and good.events)
    pump_for(pool, 400)
    assert refused.names() == ['failed', 'closed']
    assert good.names() == ['connected'], 'the connect timeout ends with the connection'


def test_d11_addresses_are_tuples_in_and_out():
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    addr = free_addr()
    server = library.XAsyncTCPServer.Create(pool, addr)
    udp = library.XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    assert server.SrvAddr == addr
    link = scenes.Link(outgoing=True)
    accepted = scenes.Link()
    for address in (server.SrvAddr, udp.LocalAddr, link.client.SrvAddr, link.client.CliAddr,
                    accepted.client.SrvAddr, accepted.client.CliAddr):
        assert type(address) is tuple and len(address) == 2, address
        assert isinstance(address[0], str) and isinstance(address[1], int), address


def test_d12_the_default_backlog_fits_a_byte_on_micropython():
    doubles.install()
    library, _ = names()
    library.XAsyncTCPServer.Create(library.XAsyncSocketsPool(), free_addr())
    assert len(doubles.backlogs) == 1
    assert 1 <= doubles.backlogs[0] <= (255 if MICROPYTHON else 256)


def test_d13_a_default_server_does_not_take_a_mebibyte():
    if not MICROPYTHON:
        skip('CPython does not count allocations')
    library, _ = names()
    pool = library.XAsyncSocketsPool()
    gc.collect()
    used = gc.mem_alloc()
    server = library.XAsyncTCPServer.Create(pool, free_addr())
    gc.collect()
    used = gc.mem_alloc() - used
    assert server and used < 16384, used


def test_d14_timeouts_survive_the_wrap_of_the_millisecond_counter():
    library, scenes = names()
    period = 1 << 30
    start = now_ms()
    library._ticks_ms = lambda: (period - 100 + elapsed_ms(start)) & (period - 1)
    library._ticks_diff = lambda end, begin: ((end - begin + period // 2) & (period - 1)) - period // 2
    link = scenes.Link()
    link.client.AsyncRecvLine(timeoutSec=0.25)
    assert link.pump_closed() == library.XClosedReason.Timeout
    assert elapsed_ms(start) >= 230


def test_d15_the_methods_that_micropythons_sockets_lack_are_not_needed():
    if not MICROPYTHON or CHIP:
        skip('only for the unix port of MicroPython, whose sockets are replaced')
    doubles.install()
    library, scenes = names()
    for outgoing in (False, True):
        link = scenes.Link(outgoing)
        for name in ('shutdown', 'getsockname', 'getpeername', 'getsockopt', 'recv_into'):
            assert not hasattr(link.client.GetSocketObj(), name)
        assert isinstance(link.client.CliAddr, tuple)
        assert link.client.Close() is True
        assert link.pump_closed() == library.XClosedReason.ClosedByHost


def test_d16_sockets_come_and_go_while_the_loop_runs():
    needs_threads()
    needs_sockets(20)
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    pool.AsyncWaitEvents(1)
    done = [0, 0]

    def come_and_go(thread):
        for _ in range(150):
            udp = library.XAsyncUDPDatagram.Create(pool)
            pool.GetAllAsyncSockets()
            pool.GetAsyncSocketByID(udp.SocketID)
            udp.Close()
            # The loop releases a socket that a thread closes, and an ESP32 has few sockets.
            wait(lambda: udp.SocketID is None, limit_sec=20)
        done[thread] = 1

    link_server = scenes.serve(pool, lambda server, client: client.AsyncRecvData(None, echo))

    def echo(client, data, arg):
        client.AsyncSendData(data)
        client.AsyncRecvData(None, echo)

    peer = connect_peer(link_server.SrvAddr)
    peer.echo(300, 100)
    for thread in range(2):
        start_new_thread(come_and_go, (thread,))
    wait(lambda: done == [1, 1] and peer.echoed() == 300, limit_sec=20)
    pool.StopWaitEvents()
    assert pool.GetAllAsyncSockets() == []


# C. Wrong everywhere

def test_d17_a_handler_that_raises_does_not_lose_its_socket():
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    pool.OnException = lambda socket, exception: None
    udp = library.XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    got = []

    def on_datagram(udp, addr, datagram):
        got.append(bytes(datagram))
        if len(got) == 1:
            raise ValueError('once')

    udp.OnRecv = on_datagram
    peer = udp_peer()
    for count, data in enumerate((b'one', b'two', b'three'), 1):
        peer.send(data, udp.LocalAddr)
        pump(pool, lambda: len(got) == count)
    assert got == [b'one', b'two', b'three']
    if CHIP:
        return
    used = cpu_ms()
    pool.PollEvents(300)
    assert cpu_ms() - used < 60


def test_d18_no_error_is_silent():
    library, scenes = names()
    link = scenes.Link()
    raised = []
    link.pool.OnException = lambda socket, exception: raised.append((socket, str(exception)))

    def bad(*args):
        raise ValueError('from %d arguments' % len(args))

    link.client.AsyncRecvLine(bad)
    link.peer.send(b'x\n')
    link.pump(lambda: raised)
    assert raised == [(link.client, 'from 3 arguments')]


def test_d19_file_numbers_beyond_1023_are_served():
    if CHIP:
        skip('needs an operating system')
    library, scenes = names()
    held = [open('/dev/null') for _ in range(1100)]
    link = scenes.Link()
    out = scenes.Link(outgoing=True, pool=link.pool)
    for each in (link, out):
        lines = each.read_lines(1)
        each.peer.send(b'served\n')
        each.pump(lambda: lines)
    assert len(held) == 1100


def test_d20_two_and_four_threads_lose_nothing():
    needs_threads()
    library, scenes = names()
    for threadsCount in (2, 4):
        link = scenes.Link(outgoing=True)

        def echo(client, data, arg):
            client.AsyncSendData(data)
            client.AsyncRecvData(None, echo)

        link.client.AsyncRecvData(None, echo)
        link.pool.AsyncWaitEvents(threadsCount)
        link.peer.echo(1000 // FEWER, 64)
        wait(lambda: link.peer.echoed() == 1000 // FEWER, limit_sec=20)
        assert link.events.count('closed') == 0
        link.pool.StopWaitEvents()


def test_d21_a_reset_during_a_send_closes_and_does_not_spin():
    library, scenes = names()
    library.XAsyncTCPClient.SendQueueLimit = 2 * MANY
    link = scenes.Link(outgoing=True, slow=True)
    link.client.AsyncSendData(pattern(MANY))
    link.pump_for(20)
    link.peer.reset()
    assert link.pump_closed() in (library.XClosedReason.Error, library.XClosedReason.ClosedByPeer)
    used = cpu_ms()
    link.pool.PollEvents(300)
    assert cpu_ms() - used < 60


def test_d22_the_peers_close_is_noticed_without_a_pending_receive():
    library, scenes = names()
    for link in scenes.links():
        link.peer.close()
        assert link.pump_closed() == library.XClosedReason.ClosedByPeer
        assert link.client not in link.pool.GetAllAsyncSockets()


def test_d23_close_twice_fires_on_closed_once():
    library, scenes = names()
    for link in scenes.links():
        assert [link.client.Close(), link.client.Close()] == [True, False]
        link.pump_closed()
        link.pump_for(30)
        assert link.events.names() == ['closed']


def test_d24_each_queued_send_gets_its_own_callback():
    _, scenes = names()
    for link in scenes.links():
        for name in ('first', 'second', 'third'):
            link.client.AsyncSendData(name.encode(), link.events.sent, name)
        link.pump(lambda: link.events.count('sent') == 3)
        assert link.events.values('sent') == ['first', 'second', 'third']
        assert link.pump_received(16) == b'firstsecondthird'


def test_d24_a_send_does_not_copy_what_is_queued_already():
    if CHIP:
        skip('needs more memory')
    library, scenes = names()
    library.XAsyncTCPClient.SendQueueLimit = 1 << 29

    def bytes_taken_by_sends(waiting):
        link = scenes.Link(slow=True)
        link.client.AsyncSendData(bytes(waiting))
        piece = b'x' * 100
        with most_allocated() as taken:
            for _ in range(100):
                link.client.AsyncSendData(piece)
        link.peer.reset()
        link.pump_closed()
        return taken.bytes

    assert bytes_taken_by_sends(6000000) < bytes_taken_by_sends(100000) + 100000


def test_d25_a_timeout_below_a_second_fires_in_time():
    library, scenes = names()
    late = []
    for _ in range(4):
        link = scenes.Link()
        start = now_ms()
        link.client.AsyncRecvLine(timeoutSec=0.1)
        while not link.events.count('closed'):
            link.pool.PollEvents(1000)
        late.append(elapsed_ms(start) - 100)
    assert min(late) >= -2 and sorted(late)[1] <= 20, late
    for bad in (0, -1):
        raises(library.XAsyncTCPClientException, scenes.Link().client.AsyncRecvLine, timeoutSec=bad)


def test_d25_a_connect_timeout_fails_to_connect_first():
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    events = scenes.Recorder()
    events.watch(library.XAsyncTCPClient.Create(pool, deaf_addr(), connectTimeout=0.1))
    pump(pool, lambda: events.count('closed'))
    assert events.names() == ['failed', 'closed']
    assert events.reason() == library.XClosedReason.Timeout


def test_d26_lines_keep_their_carriage_returns_and_have_defined_errors():
    library, scenes = names()
    link = scenes.Link()
    lines = link.read_lines(1)
    link.peer.send(b'a\rb\r\n')
    link.pump(lambda: lines)
    assert lines == ['a\rb']
    for sent in (b'\xff\xff\n', b'x' * 1000):
        link = scenes.Link()
        link.client.AsyncRecvLine(link.events.received)
        link.peer.send(sent)
        assert link.pump_closed() == library.XClosedReason.Error
        assert link.events.count('received') == 0, 'None is not a line'


def test_d26_lines_are_not_read_byte_by_byte():
    """A chunk of short lines takes fewer turns than it has bytes."""
    _, scenes = names()
    link = scenes.Link()
    count = 60
    lines = link.read_lines(count)
    link.peer.send(b'1\n2\n' * (count // 2))
    turns = 0
    start = now_ms()
    while len(lines) < count and elapsed_ms(start) < 5000:
        if link.pool.PollEvents(50):
            turns += 1
    assert len(lines) == count
    assert turns <= count + 5, turns


def test_d27_a_server_out_of_files_does_not_spin():
    doubles.install()
    _, scenes = names()
    link = scenes.Link()
    doubles.fail('accept', doubles.EMFILE, count=10000)
    connect_peer(link.server.SrvAddr)
    pump_for(link.pool, 500)
    assert 1 <= len(doubles.failures) <= 20, 'it asks now and then'


def test_d28_stop_from_a_handler_ends_the_loop_and_leaks_nothing():
    _, scenes = names()
    link = scenes.Link()
    link.client.AsyncRecvLine(lambda client, line, arg: link.pool.StopWaitEvents())
    link.peer.send(b'stop\n')
    before = open_files()
    link.pool.AsyncWaitEvents()
    assert link.pool.WaitEventsProcessing is False
    assert link.events.count('closed') == 1
    assert open_files() < before, 'the sockets are closed, and nothing is left of the pool'


def test_d29_datagrams_survive_errors_and_may_be_empty_but_are_never_truncated():
    doubles.install()
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    events = scenes.Recorder()
    udp = library.XAsyncUDPDatagram.Create(pool, free_addr('udp'), 10)
    udp.OnRecv = events.datagram
    peer = udp_peer()
    doubles.fail('recvfrom', doubles.ECONNREFUSED)
    for data in (b'1', b'', b'12345678901', b'1234567890'):
        peer.send(data, udp.LocalAddr)
    pump(pool, lambda: events.count('datagram') and events.events[-1][2] == b'1234567890')
    assert [event[2] for event in events.events][-2:] == [b'', b'1234567890']
    assert udp.DroppedCount == 1
    udp.AsyncSendDatagram(b'', peer.addr)
    assert pump(pool, peer.receive) == (b'', udp.LocalAddr)


def test_d30_a_socket_is_found_by_its_id():
    _, scenes = names()
    link = scenes.Link()
    for socket in (link.server, link.client):
        assert link.pool.GetAsyncSocketByID(socket.SocketID) is socket


def test_d31_the_count_and_the_size_of_the_slots_are_reported():
    library, _ = names()
    slots = library.XBufferSlots(3, 50)
    assert (slots.SlotsCount, slots.SlotsSize) == (3, 50)


def test_d32_reading_a_slots_buffer_does_not_leak_it():
    library, scenes = names()
    slots = library.XBufferSlots(1, 50)
    len(slots.Slots[0].Buffer)
    assert slots.GetAvailableSlot() is not None
    for link in scenes.links():
        buffer = link.client.SendingBuffer
        memoryview(buffer)[:2] = b'ok'
        link.client.Close()
        link.pump_closed()
        link.client.SendingBuffer      # reading it after the close is no error


def test_d33_a_queue_may_be_cleared_while_others_put():
    needs_threads()
    library, _ = names()
    fifo = library.XFiFo()
    done = [0, 0]

    def put(thread):
        for number in range(3000):
            fifo.Put(number)
        done[thread] = 1

    for thread in range(2):
        start_new_thread(put, (thread,))
    while done != [1, 1]:
        fifo.Clear()
        fifo.Empty
    fifo.Clear()
    assert fifo.Empty
    fifo.Put('last')
    assert fifo.Get() == 'last' and fifo.Empty


def test_d34_a_slow_tls_handshake_delays_nobody():
    _, scenes = names()
    context = scenes.server_context()
    link = scenes.Link()
    other = scenes.Link(pool=link.pool)
    assert link.client.StartSSLContext(context, True) is True
    lines = other.read_lines(1)
    other.peer.send(b'quick\n')
    start = now_ms()
    link.pump(lambda: lines)
    assert elapsed_ms(start) < 3000
    link.peer.send(b'no handshake at all\n')
    assert link.pump_closed() == 0
    assert link.client not in link.pool.GetAllAsyncSockets(), 'a failed handshake leaks nothing'


def test_d35_a_message_costs_no_change_of_the_poll_set():
    doubles.install()
    _, scenes = names()
    link = scenes.Link()

    def echo(client, data, arg):
        client.AsyncSendData(data)
        client.AsyncRecvData(None, echo)

    link.client.AsyncRecvData(None, echo)
    link.peer.echo(5, 10)
    link.pump(lambda: link.peer.echoed() == 5)
    before = len(doubles.poll_changes)
    link.peer.echo(200, 10)
    link.pump(lambda: link.peer.echoed() == 200)
    assert len(doubles.poll_changes) == before


def test_d35_closing_one_of_many_sockets_costs_as_much_as_closing_one_of_few():
    library, _ = names()

    def closing_ms(count):
        pool = library.XAsyncSocketsPool()
        sockets = [library.XAsyncUDPDatagram.Create(pool) for _ in range(count)]
        pool.PollEvents()
        start = cpu_ms()
        for socket in sockets:
            socket.Close()
        pool.PollEvents()
        return cpu_ms() - start

    if CHIP:
        skip('needs an operating system')
    few = closing_ms(100)
    assert closing_ms(1500) <= 50 * few + 150


def test_d36_on_recv_and_on_data_recv_are_one_event():
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    for name in ('OnRecv', 'OnDataRecv'):
        events = scenes.Recorder()
        udp = library.XAsyncUDPDatagram.Create(pool, free_addr('udp'))
        setattr(udp, name, events.datagram)
        udp_peer().send(b'x', udp.LocalAddr)
        pump(pool, lambda: events.events)
