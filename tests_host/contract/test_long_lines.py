"""OnLineTooLong: if it is set, a line longer than the buffer is skipped to its end, and the receive goes on."""
from harness import (
    elapsed_ms,
    needs_plain,
    needs_threads,
    now_ms,
    raises,
    sleep_ms,
    wait,
)
from scenes import BUFFER_SIZE, Link

from XAsyncSockets import XAsyncTCPClientException, XClosedReason

OVER = ['', 'tls']

FITS = b'f' * BUFFER_SIZE
LONG = b'x' * (BUFFER_SIZE + 1)


def skipping():
    """Yield links with OnLineTooLong set, an accepted and an outgoing one."""
    for outgoing in (False, True):
        link = Link(outgoing)
        link.client.OnLineTooLong = lambda client: link.events.called(client is link.client)
        yield link
        link.end()


def test_a_line_that_is_too_long_is_skipped_and_reported_once():
    for size in (BUFFER_SIZE + 1, BUFFER_SIZE + 2, BUFFER_SIZE + 3, 2 * BUFFER_SIZE, 2 * BUFFER_SIZE + 1,
                 10 * BUFFER_SIZE + 7):
        for end in (b'\n', b'\r\n'):
            for link in skipping():
                link.client.AsyncRecvLine(link.events.received, 'arg')
                link.peer.send(b'x' * size + end + b'next' + end)
                link.pump(lambda: link.events.count('received'))
                assert link.events.events == [('called', True), ('received', 'next', 'arg')], (size, end)


def test_a_line_that_just_fits_is_not_too_long():
    for end in (b'\n', b'\r\n'):
        for link in skipping():
            lines = link.read_lines(3)
            link.peer.send((FITS + end) * 3)
            link.pump(lambda: len(lines) == 3)
            assert lines == [FITS.decode()] * 3 and link.events.events == []


def test_it_is_reported_at_the_end_of_the_line():
    for link in skipping():
        lines = link.read_lines(1)
        for _ in range(3):
            link.peer.send(LONG)
            link.pump_for(30)
            assert link.events.events == [] and lines == []
        link.peer.send(b'\n')
        link.pump(lambda: link.events.count('called'))
        link.pump_for(20)
        assert link.events.count('called') == 1 and lines == []
        link.peer.send(b'next\n')
        link.pump(lambda: lines)
        assert lines == ['next']


def test_several_in_a_row_and_between_others():
    text = LONG + b'\none\n' + LONG * 3 + b'\r\n' + LONG + b'\n\ntwo\n' + FITS + b'\n' + LONG + b'\nthree\n'
    want = ['one', '', 'two', FITS.decode(), 'three']
    for step in (len(text), BUFFER_SIZE, 100, 255):
        for link in skipping():
            lines = link.read_lines(len(want))
            for start in range(0, len(text), step):
                link.peer.send(text[start:start + step])
                link.pump_for(5)
            link.pump(lambda: len(lines) == len(want))
            assert lines == want, (step, lines)
            assert link.events.events == [('called', True)] * 4, (step, link.events.events)


def test_a_long_line_split_anywhere_around_its_end():
    needs_plain('one record each')
    text = LONG + b'\r\nnext\n'
    link = Link()
    link.client.OnLineTooLong = link.events.called
    for cut in range(BUFFER_SIZE - 2, len(text)):
        told = link.events.count('called')
        lines = link.read_lines(1)
        link.peer.send(text[:cut])
        link.pump_for(3)
        link.peer.send(text[cut:])
        link.pump(lambda: lines)
        assert lines == ['next'] and link.events.count('called') == told + 1, cut


def test_data_that_arrived_before_the_receive_was_started():
    for link in skipping():
        link.peer.send(LONG * 2 + b'\nnext\n')
        link.pump_for(30)
        lines = link.read_lines(1)
        link.pump(lambda: lines)
        assert lines == ['next'] and link.events.count('called') == 1


def test_the_receive_stays_pending_meanwhile_and_afterwards():
    for link in skipping():
        def on_too_long(client):
            raises(XAsyncTCPClientException, client.AsyncRecvLine, link.events.received)
            raises(XAsyncTCPClientException, client.AsyncRecvData)
            client.AsyncSendData(b'too long\n')
            link.events.called('raised')

        link.client.OnLineTooLong = on_too_long
        link.client.AsyncRecvLine(link.events.received)
        link.peer.send(LONG + b'\n')
        assert link.pump_received(9) == b'too long\n'
        assert link.events.values('called') == ['raised']
        link.peer.send(b'next\n')
        link.pump(lambda: link.events.count('received'))


def test_the_timeout_still_counts():
    """It counts from the call, even if long lines keep arriving."""
    for link in skipping():
        start = now_ms()
        link.client.AsyncRecvLine(link.events.received, timeoutSec=0.3)
        while not link.events.count('closed') and elapsed_ms(start) < 15000:
            link.peer.send(LONG + b'\n')
            link.pump_for(20)
        assert link.events.reason() == XClosedReason.Timeout
        assert 290 <= elapsed_ms(start)
        assert link.events.count('received') == 0 and link.events.count('called')


def test_data_is_not_skipped():
    for link in skipping():
        lines = link.read_lines(1)
        link.peer.send(LONG + b'\nnext\n' + LONG)
        link.pump(lambda: lines)
        link.client.AsyncRecvData(len(LONG), link.events.received)
        link.pump(lambda: link.events.count('received'))
        assert link.events.data() == LONG


def test_a_handler_that_closes():
    for link in skipping():
        link.client.OnLineTooLong = lambda client: client.Close()
        link.client.AsyncRecvLine(link.events.received)
        link.peer.send(LONG + b'\nnext\n')
        assert link.pump_closed() == XClosedReason.ClosedByHost
        assert link.events.names() == ['closed']


def test_a_handler_that_raises():
    for link in skipping():
        def bad(client):
            raise ValueError('bad')

        link.pool.OnException = link.events.raised
        link.client.OnLineTooLong = bad
        link.client.AsyncRecvLine(link.events.received)
        link.peer.send(LONG + b'\nnext\n')
        assert link.pump_closed() == XClosedReason.Error
        assert link.events.names() == ['raised', 'closed']


def test_the_peers_end_within_a_long_line():
    for link in skipping():
        link.client.AsyncRecvLine(link.events.received)
        link.peer.send(LONG * 3)
        link.pump_for(20)
        link.peer.close()
        assert link.pump_closed() == XClosedReason.ClosedByPeer
        assert link.events.names() == ['closed']


def test_without_it_a_long_line_is_an_error():
    for link in skipping():
        link.client.OnLineTooLong = None
        link.client.AsyncRecvLine(link.events.received)
        link.peer.send(LONG + b'\nnext\n')
        assert link.pump_closed() == XClosedReason.Error
        assert link.events.names() == ['closed'] and 'longer' in str(link.client.CloseError)


def test_with_workers():
    needs_threads()
    link = Link()

    def on_too_long(client):
        sleep_ms(20)
        link.events.called('too long')

    def on_line(client, line, arg):
        sleep_ms(5)
        link.events.received(client, line, arg)
        client.AsyncRecvLine(on_line)

    link.client.OnLineTooLong = on_too_long
    link.pool.AsyncWaitEvents(3)
    link.client.AsyncRecvLine(on_line)
    link.peer.send(b'one\n' + LONG * 3 + b'\ntwo\n' + LONG + b'\n' + LONG + b'\nthree\n')
    wait(lambda: link.events.count('received') == 3)
    assert [event[1] for event in link.events.events] == ['one', 'too long', 'two', 'too long', 'too long', 'three']
    link.pool.StopWaitEvents()
