"""XAsyncTCPClient: receiving lines and data, in every split of the byte stream."""
from harness import MANY, MICROPYTHON, pattern, raises, split_in_every_way
from scenes import BUFFER_SIZE, Link, links

from XAsyncSockets import XAsyncTCPClientException, XClosedReason

TIME_LIMIT_SEC = 60

OVER = ['', 'tls']


def feed(link, pieces):
    """Send the pieces separately. The pool runs a turn after each one."""
    for piece in pieces:
        link.peer.send(piece)
        link.pool.PollEvents(200)


def test_a_line_is_a_str_without_its_end():
    for link in links():
        for sent, line in ((b'plain\n', 'plain'), (b'both\r\n', 'both'), (b'\n', ''), (b'\r\n', ''),
                           (b' spaces \t\n', ' spaces \t'), ('h\u00e9llo \u20ac\n'.encode(), 'h\u00e9llo \u20ac')):
            lines = link.read_lines(1)
            link.peer.send(sent)
            link.pump(lambda: lines)
            assert lines == [line], lines


def test_only_the_carriage_return_at_the_end_belongs_to_the_end():
    link = Link()
    lines = link.read_lines(3)
    link.peer.send(b'a\rb\r\n\rc\nd\r\r\n')
    link.pump(lambda: len(lines) == 3)
    assert lines == ['a\rb', '\rc', 'd\r'], lines


def test_handlers_get_the_connection_the_data_and_the_argument():
    for link in links():
        calls = []

        def on_recv(client, data, arg):
            calls.append((client, type(data), bytes(data) if not isinstance(data, str) else data, arg))

        arg = object()
        link.client.AsyncRecvLine(on_recv, arg)
        link.peer.send(b'line\n')
        link.pump(lambda: len(calls) == 1)
        link.client.AsyncRecvData(4, on_recv, arg)
        link.peer.send(b'data')
        link.pump(lambda: len(calls) == 2)
        link.client.AsyncRecvData(None, on_recv)
        link.peer.send(b'any')
        link.pump(lambda: len(calls) == 3)
        assert calls[0] == (link.client, str, 'line', arg), calls
        assert calls[1] == (link.client, memoryview, b'data', arg), calls
        assert calls[2] == (link.client, memoryview, b'any', None), calls


def test_pipelined_lines_arrive_one_by_one():
    for link in links():
        lines = link.read_lines(50)
        link.peer.send(b''.join([b'line %d\r\n' % number for number in range(50)]))
        link.pump(lambda: len(lines) == 50)
        assert lines == ['line %d' % number for number in range(50)]


def test_lines_in_every_split():
    stream = 'a\r\n\u00e9\n\nlast\r\n'.encode()
    link = Link()
    for pieces in list(split_in_every_way(stream, 2)) + list(split_in_every_way(stream, 3)):
        lines = link.read_lines(4)
        feed(link, pieces)
        link.pump(lambda: len(lines) == 4)
        assert lines == ['a', '\u00e9', '', 'last'], (pieces, lines)


def test_lines_byte_by_byte():
    stream = b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    link = Link()
    lines = link.read_lines(3)
    feed(link, [stream[at:at + 1] for at in range(len(stream))])
    link.pump(lambda: len(lines) == 3)
    assert lines == ['GET / HTTP/1.1', 'Host: x', '']


def test_head_body_and_next_head_in_every_split():
    """The stream is like HTTP: lines, then an exact amount of data, then lines again."""
    stream = b'Length: 6\n\nb\no\rdyNext\n'
    link = Link()
    for pieces in [[stream]] + list(split_in_every_way(stream, 2)) + list(split_in_every_way(stream, 3))[::7]:
        got = []

        def on_next(client, line, arg):
            got.append(line)

        def on_body(client, data, arg):
            got.append(bytes(data))
            client.AsyncRecvLine(on_next)

        def on_head(client, line, arg):
            got.append(line)
            if line:
                client.AsyncRecvLine(on_head)
            else:
                client.AsyncRecvData(6, on_body)

        link.client.AsyncRecvLine(on_head)
        feed(link, pieces)
        link.pump(lambda: len(got) == 4)
        assert got == ['Length: 6', '', b'b\no\rdy', 'Next'], (pieces, got)


def test_data_of_a_size_in_every_split():
    stream = b'0123456789'
    link = Link()
    for pieces in [[stream]] + list(split_in_every_way(stream, 2)) + list(split_in_every_way(stream, 3)):
        got = []

        def on_data(client, data, arg):
            got.append(bytes(data))
            if len(got) < 4:
                client.AsyncRecvData((4, 1, 2, 3)[len(got)], on_data)

        link.client.AsyncRecvData(4, on_data)
        feed(link, pieces)
        link.pump(lambda: len(got) == 4)
        assert got == [b'0123', b'4', b'56', b'789'], (pieces, got)


def test_data_of_sizes_around_the_buffer_size():
    for link in links():
        for size in (1, BUFFER_SIZE - 1, BUFFER_SIZE, BUFFER_SIZE + 1, 2 * BUFFER_SIZE, 10000):
            got = []
            link.client.AsyncRecvData(size, lambda client, data, arg: got.append(bytes(data)))
            link.peer.send_pattern(size)
            link.pump(lambda: got)
            assert got == [pattern(size)], (size, [len(data) for data in got])


def test_large_data_leaves_the_data_after_it():
    link = Link()
    got = []

    def on_large(client, data, arg):
        got.append(bytes(data))
        client.AsyncRecvLine(lambda client, line, arg: got.append(line))

    link.client.AsyncRecvData(5000, on_large)
    link.peer.send(pattern(5000) + b'after\n')
    link.pump(lambda: len(got) == 2)
    assert got == [pattern(5000), 'after'], got[1]


def test_data_of_any_size_is_what_has_arrived():
    for link in links():
        link.client.AsyncRecvData(onDataRecv=link.events.received)
        link.peer.send(b'abc')
        link.pump(lambda: link.events.count('received'))
        assert link.events.data() == b'abc'
        link.client.AsyncRecvData(None, link.events.received)
        link.peer.send(b'd')
        link.pump(lambda: link.events.count('received') == 2)
        assert link.events.data() == b'abcd'


def test_data_of_any_size_is_never_empty_nor_larger_than_the_buffer():
    link = Link()
    sizes = []

    def on_data(client, data, arg):
        sizes.append(len(data))
        client.AsyncRecvData(None, on_data)

    link.client.AsyncRecvData(None, on_data)
    link.peer.send_pattern(5000)
    link.pump(lambda: sum(sizes) == 5000)
    assert min(sizes) >= 1 and max(sizes) <= BUFFER_SIZE, sizes


def test_a_long_stream_arrives_complete():
    size = 3 * MANY
    link = Link()
    total = [0]
    wrong = []

    def on_data(client, data, arg):
        if bytes(data) != pattern(len(data), total[0]):
            wrong.append(total[0])
        total[0] += len(data)
        client.AsyncRecvData(None, on_data)

    link.client.AsyncRecvData(None, on_data)
    link.peer.send_pattern(size)
    link.pump(lambda: total[0] >= size, limit_sec=30)
    assert total[0] == size and not wrong


def test_bytes_after_a_line_are_kept_for_the_next_receive():
    link = Link()
    lines = link.read_lines(1)
    link.peer.send(b'one\ntwo\nthree')
    link.pump(lambda: lines)
    link.pump_for(30)
    lines = link.read_lines(1)
    link.pump(lambda: lines)
    assert lines == ['two']
    link.client.AsyncRecvData(None, link.events.received)
    link.pump(lambda: link.events.count('received'))
    assert link.events.data() == b'three'


def test_bytes_that_arrive_between_receives_are_kept():
    for link in links():
        link.peer.send(b'early ')
        link.pump_for(30)
        link.peer.send(b'bird\n')
        link.pump_for(30)
        lines = link.read_lines(1)
        link.pump(lambda: lines)
        assert lines == ['early bird']


def test_a_receive_without_a_handler_consumes_its_data():
    link = Link()
    link.client.AsyncRecvData(5)
    link.peer.send(b'12345rest\nnext\n')
    link.pump_for(50)
    link.client.AsyncRecvLine()
    link.pump_for(50)
    lines = link.read_lines(1)
    link.pump(lambda: lines)
    assert lines == ['next'], lines


def test_a_second_receive_raises_and_leaves_the_first():
    for first in ('AsyncRecvLine', 'AsyncRecvData'):
        for second in ('AsyncRecvLine', 'AsyncRecvData'):
            link = Link()
            getattr(link.client, first)(onDataRecv=link.events.received)
            raises(XAsyncTCPClientException, getattr(link.client, second), onDataRecv=link.events.received)
            link.peer.send(b'x\n')
            link.pump(lambda: link.events.count('received'))
            assert link.events.values('received') in (['x'], [b'x\n'])
            link.end()


def test_a_started_receive_returns_true_and_one_on_a_closed_socket_false():
    for link in links():
        assert link.client.AsyncRecvLine(link.events.received) is True
        link.client.Close()
        assert link.client.AsyncRecvLine(link.events.received) is False
        assert link.client.AsyncRecvData(5, link.events.received) is False
        link.pump_closed()
        assert link.client.AsyncRecvData(None, link.events.received) is False
        link.pump_for(20)
        assert link.events.count('received') == 0


def test_a_handler_that_closes_ends_the_receiving():
    for link in links():
        lines = []

        def on_line(client, line, arg):
            lines.append(line)
            client.Close()

        link.client.AsyncRecvLine(on_line)
        link.peer.send(b'one\ntwo\nthree\n')
        assert link.pump_closed() == XClosedReason.ClosedByHost
        assert lines == ['one']


def test_the_line_encoding_as_keyword_and_positional_argument():
    for call in (lambda client, on_line: client.AsyncRecvLine(on_line, lineEncoding='ASCII'),
                 lambda client, on_line: client.AsyncRecvLine('UTF-8', on_line),
                 lambda client, on_line: client.AsyncRecvLine('utf-8', onLineRecv=on_line),
                 lambda client, on_line: client.AsyncRecvLine(onLineRecv=on_line, lineEncoding='utf8')):
        link = Link()
        call(link.client, link.events.received)
        link.peer.send(b'text\n')
        link.pump(lambda: link.events.count('received'))
        assert link.events.values('received') == ['text']
        link.end()


def test_the_case_of_an_encodings_name_does_not_matter():
    link = Link()
    for number, name in enumerate(('UTF-8', 'utf-8', 'Utf-8', 'UTF8', 'utf8', 'uTf8', 'ASCII', 'Ascii', 'ascii')):
        link.client.AsyncRecvLine(link.events.received, lineEncoding=name)
        link.peer.send(b'%d\n' % number)
        link.pump(lambda: link.events.count('received') == number + 1)
    assert link.events.values('received') == [str(number) for number in range(9)]


def test_an_unknown_encoding_raises_and_nothing_is_pending():
    link = Link()
    for name in ('no such', '', 'UTF-9') + (('latin-1', 'ISO-8859-1') if MICROPYTHON else ()):
        error = raises(XAsyncTCPClientException, link.client.AsyncRecvLine, link.events.received, lineEncoding=name)
        assert 'lineEncoding' in str(error), error
    link.client.AsyncRecvLine(link.events.received)
    link.peer.send('caf\u00e9\n'.encode())
    link.pump(lambda: link.events.count('received'))
    assert link.events.values('received') == ['caf\u00e9']


def test_the_old_argument_order_with_the_line_encoding_first():
    link = Link()
    link.client.AsyncRecvLine('UTF-8', link.events.received, 'arg', 0.1)
    link.peer.send(b'text\n')
    link.pump(lambda: link.events.count('received'))
    assert link.events.events == [('received', 'text', 'arg')]
    link.client.AsyncRecvLine('UTF-8', link.events.received, 'arg', 0.1)
    assert link.pump_closed() == XClosedReason.Timeout


def test_a_line_as_long_as_the_buffer_is_received():
    """The line's end does not count, and may arrive separately."""
    line = b'x' * BUFFER_SIZE
    link = Link()
    for pieces in ([line + b'\n'], [line + b'\r\n'], [line, b'\n'], [line, b'\r\n'], [line + b'\r', b'\n'],
                   [line[:100], line[100:], b'\r', b'\n'], [b'before\n' + line, b'\r\nafter\n']):
        want = b''.join(pieces).decode().replace('\r', '').split('\n')[:-1]
        lines = link.read_lines(len(want))
        feed(link, pieces)
        link.pump(lambda: len(lines) == len(want))
        assert lines == want, pieces


def test_a_line_one_longer_than_the_buffer_is_an_error():
    line = b'x' * (BUFFER_SIZE + 1)
    for pieces in ([line + b'\n'], [line + b'\r\n'], [line, b'\n'], [line[:-1], line[-1:] + b'\r\n'], [line + b'\r']):
        link = Link()
        link.client.AsyncRecvLine(link.events.received)
        feed(link, pieces)
        assert link.pump_closed() == XClosedReason.Error
        assert link.events.count('received') == 0


def test_a_line_longer_than_the_buffer_ends_only_its_connection():
    for tail in (b'', b'\n', b'\nnext\n'):
        for link in links():
            other = Link(pool=link.pool)
            link.client.AsyncRecvLine(link.events.received)
            link.peer.send(b'x' * (BUFFER_SIZE + 10) + tail)
            assert link.pump_closed() == XClosedReason.Error
            assert link.events.count('received') == 0
            lines = other.read_lines(1)
            other.peer.send(b'fine\n')
            link.pump(lambda: lines)
            other.client.Close()
            other.server.Close()


def test_a_line_that_cannot_be_decoded_ends_only_its_connection():
    for sent in (b'\xff\xfe\n', b'caf\xe9\n', b'\xc3\n'):
        link = Link()
        other = Link(pool=link.pool)
        link.pool.OnException = link.events.raised
        link.client.AsyncRecvLine(link.events.received)
        link.peer.send(sent)
        assert link.pump_closed() == XClosedReason.Error
        assert link.events.names() == ['closed']
        assert 'utf' in str(link.client.CloseError).lower(), link.client.CloseError
        lines = other.read_lines(1)
        other.peer.send(b'fine\n')
        link.pump(lambda: lines)


def test_data_may_hold_every_byte():
    link = Link()
    link.client.AsyncRecvData(256, link.events.received)
    link.peer.send(bytes(range(256)))
    link.pump(lambda: link.events.count('received'))
    assert link.events.data() == bytes(range(256))


def test_bad_arguments_raise_and_nothing_is_pending():
    for link in links():
        client = link.client
        for method, name, bad in (
                ('AsyncRecvData', 'size', 0), ('AsyncRecvData', 'size', -1), ('AsyncRecvData', 'size', 1.5),
                ('AsyncRecvData', 'size', '5'), ('AsyncRecvData', 'size', True),
                ('AsyncRecvData', 'onDataRecv', 5), ('AsyncRecvLine', 'onDataRecv', 5),
                ('AsyncRecvLine', 'lineEncoding', 5), ('AsyncRecvLine', 'lineEncoding', None)):
            error = raises(XAsyncTCPClientException, getattr(client, method), **{name: bad})
            assert name in str(error), (method, name, bad, error)
        assert client.AsyncRecvLine(link.events.received)
        link.peer.send(b'works\n')
        link.pump(lambda: link.events.count('received'))
