"""XAsyncTCPClient: sending, the order and the completion of it, the queue and its limit."""
from array import array

from harness import CHIP, MANY, MICROPYTHON, cpu_ms, elapsed_ms, needs_host, now_ms, pattern, raises, skip
from scenes import BUFFER_SIZE, Link, links

from XAsyncSockets import XAsyncTCPClient, XAsyncTCPClientException, XClosedReason

OVER = ['', 'tls']


def fill_queue(link, piece=8192):
    """Send pieces of the test pattern to a peer that does not read, until the queue is full; the bytes queued."""
    total = 0
    while total < 64 * 1024 * 1024:
        try:
            link.client.AsyncSendData(pattern(piece, total), link.events.sent, total)
        except XAsyncTCPClientException:
            return total
        total += piece
        link.pool.PollEvents()
    raise AssertionError('the queue has no limit')


def slow_link(limit=65536, outgoing=False):
    """Return a link with this limit of the queue, whose peer has stopped reading."""
    XAsyncTCPClient.SendQueueLimit = limit
    return Link(outgoing, slow=True)


def test_every_kind_of_bytes_is_sent():
    for link in links():
        data = b'bytes'
        assert link.client.AsyncSendData(data) is True
        link.client.AsyncSendData(bytearray(b' array'))
        link.client.AsyncSendData(memoryview(b' view'))
        link.client.AsyncSendData(memoryview(b'of a part')[2:])
        link.client.AsyncSendData(array('H', [0x4141, 0x4242]))
        want = b'bytes array view a partAABB'
        assert link.pump_received(len(want)) == want


def test_a_view_of_every_second_byte_is_sent():
    if MICROPYTHON:
        skip('its views have no steps')
    for link in links():
        link.client.AsyncSendData(memoryview(pattern(100))[::2], link.events.sent)
        link.client.AsyncSendData(memoryview(b'gnal')[::-1])
        assert link.pump_received(54) == pattern(100)[::2] + b'lang'
        assert link.events.names() == ['sent']


def test_sent_handlers_get_the_connection_and_the_argument():
    for link in links():
        calls = []
        arg = object()
        link.client.AsyncSendData(b'x', lambda client, arg: calls.append((client, arg)), arg)
        link.client.AsyncSendData(b'y', onDataSent=lambda client, arg: calls.append((client, arg)))
        link.client.AsyncSendData(data=b'z', onDataSent=lambda client, arg: calls.append((client, arg)),
                                  onDataSentArg=5)
        link.pump(lambda: len(calls) == 3)
        assert calls == [(link.client, arg), (link.client, None), (link.client, 5)]


def test_calls_queue_in_order_and_each_completes_once():
    for link in links():
        for number in range(100):
            link.client.AsyncSendData(b'%d,' % number, link.events.sent, number)
        want = b''.join([b'%d,' % number for number in range(100)])
        assert link.pump_received(len(want)) == want
        link.pump(lambda: link.events.count('sent') >= 100)
        link.pump_for(20)
        assert link.events.values('sent') == list(range(100))


def test_a_send_of_no_data_completes():
    for link in links():
        for empty in (b'', bytearray(), memoryview(b'')):
            link.client.AsyncSendData(empty, link.events.sent, 'empty')
        link.client.AsyncSendData(b'x', link.events.sent, 'x')
        link.pump(lambda: link.events.count('sent') == 4)
        assert link.events.values('sent') == ['empty'] * 3 + ['x']
        assert link.pump_received(1) == b'x'


def test_a_send_completes_only_after_its_own_data():
    link = slow_link(limit=2 * MANY)
    link.client.AsyncSendData(pattern(1000), link.events.sent, 'small')
    link.client.AsyncSendData(pattern(MANY, 1000), link.events.sent, 'large')
    link.client.AsyncSendData(b'', link.events.sent, 'none')
    link.pump(lambda: link.events.count('sent'))
    link.pump_for(50)
    assert link.events.values('sent') == ['small'], 'the peer does not read: the large one cannot be sent yet'
    link.peer.resume()
    link.pump(lambda: link.events.count('sent') == 3, limit_sec=20)
    assert link.events.values('sent') == ['small', 'large', 'none']
    link.pump(lambda: link.peer.received_count() == MANY + 1000, limit_sec=20)
    assert link.peer.received_pattern()


def test_the_callers_buffer_may_change_after_the_call():
    for outgoing in (False, True):
        link = slow_link(limit=2 * MANY, outgoing=outgoing)
        data = bytearray(pattern(MANY))
        link.client.AsyncSendData(data)
        data[:] = bytes(MANY)
        small = bytearray(pattern(3, MANY))
        link.client.AsyncSendData(small)
        small[:] = b'???'
        link.peer.resume()
        link.pump(lambda: link.peer.received_count() == MANY + 3, limit_sec=20)
        assert link.peer.received_pattern()


def test_an_echo_to_a_slow_reader_sends_what_was_received():
    """The data handler passes its memoryview to AsyncSendData, and the next receive fills the same slot."""
    size = 3 * MANY if CHIP else 300000
    link = slow_link(limit=2 * size)

    def on_data(client, data, arg):
        client.AsyncSendData(data)
        client.AsyncRecvData(None, on_data)

    link.client.AsyncRecvData(None, on_data)
    link.peer.send_pattern(size)
    link.pump_for(200)
    link.peer.resume()
    link.pump(lambda: link.peer.received_count() == size, limit_sec=20)
    assert link.peer.received_pattern()


def test_a_slow_reader_gets_all_of_a_large_send():
    link = slow_link(limit=2 * MANY)
    link.client.AsyncSendData(pattern(MANY), link.events.sent)
    link.peer.resume()
    link.pump(lambda: link.peer.received_count() == MANY, limit_sec=20)
    assert link.peer.received_pattern()
    link.pump(lambda: link.events.count('sent'))
    assert link.events.names() == ['sent']


def test_a_full_queue_raises_and_what_was_queued_is_delivered():
    link = slow_link()
    total = fill_queue(link)
    error = raises(XAsyncTCPClientException, link.client.AsyncSendData, b'?' * 8192, link.events.sent, 'never')
    assert str(error)
    assert link.events.count('closed') == 0, 'a full queue does not end the connection'
    link.peer.resume()
    link.pump(lambda: link.peer.received_count() >= total, limit_sec=20)
    link.pump(lambda: link.events.count('sent') * 8192 == total)
    link.pump_for(20)
    assert link.peer.received_count() == total and link.peer.received_pattern(), 'no data of the failed calls'
    assert link.events.values('sent') == list(range(0, total, 8192))
    link.client.AsyncSendData(pattern(100, total))
    link.pump(lambda: link.peer.received_count() == total + 100)
    assert link.peer.received_pattern(), 'the drained queue accepts data again'


def test_the_queue_limit_counts_bytes_of_one_connection():
    link = slow_link(limit=20000)
    fill_queue(link, piece=1000)
    raises(XAsyncTCPClientException, link.client.AsyncSendData, pattern(20000))
    other = Link()
    other.client.AsyncSendData(b'x' * 15000)
    other.pump(lambda: other.peer.received_count() == 15000)


def test_a_full_queue_holds_no_more_than_the_limit():
    """Until the queue is drained, no more than the limit is accepted. The rest is in the system's buffers."""
    link = slow_link(limit=50000)
    fill_queue(link, piece=1000)
    more = 0
    for _ in range(100):
        try:
            link.client.AsyncSendData(b'x' * 1000)
            more += 1
        except XAsyncTCPClientException:
            pass
    assert more <= 1, more


def test_sends_start_from_every_handler():
    for link in links():
        def on_line(client, line, arg):
            client.AsyncSendData(line.encode(), on_sent)

        def on_sent(client, arg):
            client.AsyncSendData(b' and more')

        link.client.AsyncRecvLine(on_line)
        link.peer.send(b'line\n')
        assert link.pump_received(13) == b'line and more'


def test_a_closed_connection_sends_nothing():
    for link in links():
        link.client.Close()
        assert link.client.AsyncSendData(b'x', link.events.sent) is False
        assert link.client.AsyncSendSendingBuffer(1, link.events.sent) is False
        link.pump_closed()
        assert link.client.AsyncSendData(b'x', link.events.sent) is False
        link.pump(link.peer.ended)
        assert link.peer.received() == b''
        assert link.events.count('sent') == 0


def test_close_sends_the_queued_data():
    for outgoing in (False, True):
        link = slow_link(limit=2 * MANY, outgoing=outgoing)
        link.client.AsyncSendData(pattern(MANY))
        assert link.client.Close() is True
        link.pump_for(50)
        assert link.events.count('closed') == 0, 'data is still queued'
        link.peer.resume()
        assert link.pump_closed(limit_sec=20) == XClosedReason.ClosedByHost
        link.pump(lambda: link.peer.ended())
        assert link.peer.received_count() == MANY and link.peer.received_pattern()
        assert link.peer.state() == 'eof', 'a normal end, no reset'


def test_close_in_the_receive_handler_sends_the_answer():
    size = min(MANY, 50000)
    for link in links():
        def on_line(client, line, arg):
            client.AsyncSendData(pattern(size))
            client.Close()

        link.client.AsyncRecvLine(on_line)
        link.peer.send(b'get\n')
        assert link.pump_closed() == XClosedReason.ClosedByHost
        link.pump(link.peer.ended)
        assert link.peer.received_count() == size and link.peer.received_pattern()


def test_close_stops_reading_at_once():
    link = slow_link(limit=2 * MANY)
    link.client.AsyncSendData(pattern(MANY))
    link.client.AsyncRecvLine(link.events.received)
    link.client.Close()
    link.peer.send(b'too late\n')
    link.pump_for(50)
    link.peer.resume()
    link.pump_closed(limit_sec=20)
    assert link.events.count('received') == 0


def test_a_close_waits_only_for_the_linger_time():
    XAsyncTCPClient.LingerSec = 0.3
    link = slow_link(limit=2 * MANY)
    link.client.AsyncSendData(pattern(MANY))
    start = now_ms()
    link.client.Close()
    assert link.pump_closed() == XClosedReason.ClosedByHost
    assert 200 <= elapsed_ms(start) < 3000, elapsed_ms(start)
    assert link.client not in link.pool.GetAllAsyncSockets()


def test_the_default_linger_time_is_five_seconds():
    assert XAsyncTCPClient.LingerSec == 5


def test_the_sending_buffer_is_filled_and_sent():
    for link in links():
        size = len(link.client.SendingBuffer)
        assert size >= 100
        view = memoryview(link.client.SendingBuffer)
        view[:5] = b'hello'
        assert link.client.AsyncSendSendingBuffer(5, link.events.sent, 'arg') is True
        link.pump(lambda: link.events.count('sent'))
        assert link.events.values('sent') == ['arg']
        assert link.pump_received(5) == b'hello'
        memoryview(link.client.SendingBuffer)[:size] = pattern(size)
        link.client.AsyncSendSendingBuffer(size=None, onDataSent=link.events.sent)
        assert link.pump_received(5 + size) == b'hello' + pattern(size)
        link.client.SendingBuffer[0:3] = b'end'
        link.client.AsyncSendSendingBuffer(size=3, onDataSent=link.events.sent, onDataSentArg=None)
        assert link.pump_received(8 + size)[-3:] == b'end'


def test_the_sending_buffer_may_be_filled_again_at_once():
    link = slow_link(limit=2 * MANY)
    client = link.client
    client.AsyncSendData(pattern(MANY))
    total = MANY
    for _ in range(5):
        memoryview(client.SendingBuffer)[:100] = pattern(100, total)
        client.AsyncSendSendingBuffer(100)
        total += 100
    link.peer.resume()
    link.pump(lambda: link.peer.received_count() == total, limit_sec=20)
    assert link.peer.received_pattern()


def test_the_sending_buffer_in_chunks_from_its_own_handler():
    """A web server sends a file like this: it fills the buffer, sends it, and repeats in the sent handler."""
    link = Link()
    size = len(link.client.SendingBuffer)
    done = [0]

    def next_chunk(client, arg):
        if done[0] < 20 * size:
            memoryview(client.SendingBuffer)[:] = pattern(size, done[0])
            done[0] += size
            client.AsyncSendSendingBuffer(onDataSent=next_chunk)

    next_chunk(link.client, None)
    link.pump(lambda: link.peer.received_count() == 20 * size)
    assert link.peer.received_pattern()


def test_the_size_of_the_sending_buffer_is_set_at_create():
    link = Link(outgoing=True, sendBufLen=123)
    assert len(link.client.SendingBuffer) == 123
    link = Link(outgoing=True)
    assert len(link.client.SendingBuffer) == 4096
    assert len(Link().client.SendingBuffer) == BUFFER_SIZE, 'the size of the slots'


def test_bad_arguments_raise_and_send_nothing():
    for link in links():
        client = link.client
        size = len(client.SendingBuffer)
        for method, name, kwargs in (
                ('AsyncSendData', 'data', {'data': 'text'}), ('AsyncSendData', 'data', {'data': None}),
                ('AsyncSendData', 'data', {'data': 5}), ('AsyncSendData', 'data', {'data': [1, 2]}),
                ('AsyncSendData', 'onDataSent', {'data': b'x', 'onDataSent': 5}),
                ('AsyncSendSendingBuffer', 'size', {'size': 0}),
                ('AsyncSendSendingBuffer', 'size', {'size': -1}),
                ('AsyncSendSendingBuffer', 'size', {'size': size + 1}),
                ('AsyncSendSendingBuffer', 'size', {'size': '5'}),
                ('AsyncSendSendingBuffer', 'size', {'size': True}),
                ('AsyncSendSendingBuffer', 'onDataSent', {'size': 1, 'onDataSent': 5})):
            error = raises(XAsyncTCPClientException, getattr(client, method), **kwargs)
            assert name in str(error), (method, kwargs, error)
        client.AsyncSendData(b'only this')
        assert link.pump_received(9) == b'only this'


def test_an_endless_chain_of_sends_does_not_starve_others():
    busy = Link()
    other = Link(pool=busy.pool)
    sent = []

    def send(client, arg):
        sent.append(arg)
        client.AsyncSendData(b'', send)

    send(busy.client, None)
    assert 0 < busy.pool.PollEvents(0) < 100, 'a turn ends'
    other.client.AsyncRecvData(None, other.events.received)
    other.peer.send(b'x')
    other.pump(lambda: other.events.count('received'))
    assert len(sent) > 1


def test_items_wider_than_a_byte_are_sent_completely():
    """The number of bytes counts, even if the system takes just as many bytes as there are items."""
    needs_host()
    link = Link(slow=True)
    data = array('H', [index & 0xffff for index in range(100000)])
    link.client.AsyncSendData(data, link.events.sent)
    link.pump_for(50)
    link.peer.resume()
    link.pump(lambda: link.events.count('sent'))
    assert link.pump_received(200000) == bytes(memoryview(data))


def test_a_close_after_a_full_buffer_costs_no_time_while_it_lingers():
    needs_host()
    link = Link(slow=True)
    data = pattern(4000000)

    def on_data(client, received, arg):
        client.AsyncSendData(data)
        client.Close()

    link.peer.send(pattern(3 * BUFFER_SIZE))
    link.pump_for(50)                       # the buffer is full, and the connection is not read any more
    link.client.AsyncRecvData(None, on_data)
    link.pump_for(20)
    start = cpu_ms()
    turns = 0
    begun = now_ms()
    while elapsed_ms(begun) < 300:
        link.pool.PollEvents(100)
        turns += 1
    assert turns < 50, '%d turns in 300 ms, %d ms of processor time' % (turns, cpu_ms() - start)
    link.end()
