"""CallLater and its timers: their time, order and end; from the loop, from handlers, and from other threads."""
import gc

from harness import (
    FEWER,
    MICROPYTHON,
    elapsed_ms,
    needs_threads,
    now_ms,
    pump,
    pump_for,
    raises,
    skip,
    sleep_ms,
    start_new_thread,
    wait,
)
from scenes import Link, Recorder, module

from XAsyncSockets import XAsyncSocketsPool, XAsyncSocketsPoolException, XTimer

FAR_SEC = 3600


def test_a_call_is_made_once_and_in_time():
    pool = XAsyncSocketsPool()
    calls = []
    start = now_ms()
    timer = pool.CallLater(0.1, lambda arg: calls.append((arg, elapsed_ms(start))), 'the arg')
    assert isinstance(timer, XTimer)
    pump(pool, lambda: calls)
    pump_for(pool, 150)
    (arg, ms), = calls
    assert arg == 'the arg'
    assert 99 <= ms < 4000, ms
    pool.CallLater(0.01, calls.append)
    pump(pool, lambda: len(calls) == 2)
    assert calls[1] is None, 'the default argument'


def test_a_call_ends_a_waiting_turn():
    pool = XAsyncSocketsPool()
    calls = []
    pool.CallLater(0.05, calls.append)
    start = now_ms()
    count = 0
    while not calls:
        count += pool.PollEvents(5000)
    assert elapsed_ms(start) < 3000
    assert count == 1, 'a call is an event'
    assert pool.PollEvents() == 0


def test_a_call_without_delay_is_made_when_no_handler_runs():
    link = Link()
    order = []

    def on_line(client, line, arg):
        link.pool.CallLater(0, later, line)
        link.pool.CallLater(0.0, later, 'float')
        order.append('on_line ends')

    def later(arg):
        order.append(arg)
        if arg == 'one':
            link.pool.CallLater(0, order.append, 'from a call')
            order.append('later ends')

    link.pool.CallLater(0, order.append, 'outside')
    assert order == []
    link.pump(lambda: order)
    link.client.AsyncRecvLine(on_line)
    link.peer.send(b'one\n')
    link.pump(lambda: len(order) == 6)
    assert order == ['outside', 'on_line ends', 'one', 'later ends', 'float', 'from a call'], order


def test_calls_are_made_in_the_order_of_their_times():
    library = module()
    pool = XAsyncSocketsPool()
    now = library._ticks_ms()
    library._ticks_ms = lambda: now     # they are requested within a millisecond
    order = []
    delays = [(number * 37) % 50 + 10 for number in range(50)]
    for ms in delays:
        pool.CallLater(ms / 1000, order.append, ms)
    now += 30
    pool.PollEvents()
    assert len(order) == 21, order
    now += 30
    pool.PollEvents()
    assert order == sorted(delays)


def test_calls_due_at_the_same_time_are_made_in_the_order_of_the_requests():
    library = module()
    pool = XAsyncSocketsPool()
    now = library._ticks_ms()
    library._ticks_ms = lambda: now     # they are requested within a millisecond
    order = []
    timers = [pool.CallLater(0.05, order.append, number) for number in range(40)]
    timers[7].Cancel()
    timers[3].Restart(0.05)
    now += 100
    pump(pool, lambda: len(order) == 39)
    assert order == [number for number in range(40) if number not in (3, 7)] + [3]


def test_a_chain_of_calls_without_delay_does_not_starve_the_sockets():
    link = Link()
    calls = []

    def again(arg):
        calls.append(arg)
        if len(calls) < 100000:
            link.pool.CallLater(0, again)

    link.pool.CallLater(0, again)
    lines = link.read_lines(1)
    link.peer.send(b'served\n')
    link.pump(lambda: lines)
    assert len(calls) < 100000


def test_calls_requested_before_the_loop_runs():
    pool = XAsyncSocketsPool()
    calls = []
    pool.CallLater(0, calls.append, 'first')
    pool.CallLater(0.05, lambda arg: pool.StopWaitEvents())
    pool.CallLater(FAR_SEC, calls.append, 'never')
    start = now_ms()
    pool.AsyncWaitEvents()
    assert calls == ['first']
    assert elapsed_ms(start) < 3000
    sleep_ms(20)
    assert calls == ['first']


def test_cancel():
    pool = XAsyncSocketsPool()
    calls = []
    timer = pool.CallLater(0.05, calls.append, 'cancelled')
    other = pool.CallLater(0.05, calls.append, 'other')
    assert timer.Cancel() is True
    assert timer.Cancel() is False
    pump(pool, lambda: calls)
    pump_for(pool, 50)
    assert calls == ['other']
    assert other.Cancel() is False, 'the call was made'


def test_cancel_inside_handlers():
    """A call that is due in the same turn can still be cancelled; the one that is running cannot."""
    pool = XAsyncSocketsPool()
    results = []
    timers = []

    def first(arg):
        results.append(timers[0].Cancel())
        results.append(timers[1].Cancel())

    timers.append(pool.CallLater(0.01, first))
    timers.append(pool.CallLater(0.01, results.append, 'cancelled'))
    sleep_ms(30)
    pump(pool, lambda: results)
    pump_for(pool, 30)
    assert results == [False, True]


def test_restart():
    pool = XAsyncSocketsPool()
    calls = []
    start = now_ms()
    timer = pool.CallLater(FAR_SEC, lambda arg: calls.append(elapsed_ms(start)))
    timer.Restart(0.1)              # earlier
    timer.Restart(0.2)              # and later
    pump(pool, lambda: calls)
    assert 199 <= calls[0] < 1500, calls
    start = now_ms()
    timer.Restart(0.05)             # restarted after its call was made
    pump(pool, lambda: len(calls) == 2)
    assert 49 <= calls[1] < 1500, calls
    timer.Cancel()
    timer.Restart(0)                # restarted after it was cancelled
    pump(pool, lambda: len(calls) == 3)
    assert timer.Cancel() is False
    pump_for(pool, 30)
    assert len(calls) == 3


def test_a_call_that_restarts_its_own_timer():
    pool = XAsyncSocketsPool()
    calls = []
    start = now_ms()

    def again(arg):
        calls.append(elapsed_ms(start))
        if len(calls) < 5:
            timer.Restart(0.02)

    timer = pool.CallLater(0.02, again)
    pump(pool, lambda: len(calls) == 5)
    pump_for(pool, 60)
    assert len(calls) == 5
    assert calls[4] >= 95, calls


def test_restart_and_cancel_allocate_nothing():
    if not MICROPYTHON:
        skip('CPython does not count allocations')
    pool = XAsyncSocketsPool()
    calls = []
    others = [pool.CallLater(FAR_SEC + number, calls.append) for number in range(20)]
    timer = pool.CallLater(0, len, '')
    turn = pool.PollEvents
    turn()
    timer.Restart(1)
    timer.Cancel()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(50):
        timer.Restart(100)          # after the others, too
        timer.Restart(1)
        timer.Cancel()
        timer.Restart(2)
    allocated = gc.mem_alloc() - before
    gc.enable()
    assert allocated == 0, '%d bytes' % allocated
    assert len(others) == 20


def test_a_handler_that_raises_harms_no_other_call():
    link = Link()
    raised = Recorder()
    link.pool.OnException = raised.raised
    calls = []

    def bad(arg):
        calls.append(arg)
        raise ValueError(arg)

    timer = link.pool.CallLater(0.02, bad, 'bad')
    link.pool.CallLater(0.02, calls.append, 'good')
    link.pump(lambda: len(calls) == 2)
    assert calls == ['bad', 'good']
    (_, socket, exception), = raised.events
    assert socket is None and isinstance(exception, ValueError) and str(exception) == 'bad'
    assert link.events.events == []
    lines = link.read_lines(1)
    link.peer.send(b'served\n')
    link.pump(lambda: lines)
    timer.Restart(0)
    link.pump(lambda: raised.count('raised') == 2)


def test_wrong_arguments_raise_and_nothing_is_called():
    pool = XAsyncSocketsPool()
    raised = Recorder()
    pool.OnException = raised.raised
    calls = []
    timer = pool.CallLater(0.05, calls.append, 'right')
    for bad in (-1, -0.001, 'soon', None, float('nan'), float('inf'), 7 * 24 * 3600, [1]):
        error = raises(XAsyncSocketsPoolException, pool.CallLater, bad, calls.append, 'wrong')
        assert 'delaySec' in str(error), error
        error = raises(XAsyncSocketsPoolException, timer.Restart, bad)
        assert 'delaySec' in str(error), error
    for bad in (None, 'handler', 1):
        error = raises(XAsyncSocketsPoolException, pool.CallLater, 0, bad)
        assert 'handler' in str(error), error
    pump(pool, lambda: calls)
    pump_for(pool, 30)
    assert calls == ['right'] and raised.events == []


def test_a_call_may_do_everything_that_a_handler_may():
    link = Link()

    def greet(client):
        client.AsyncSendData(b'hello\n', link.events.sent)
        client.AsyncRecvLine(link.events.received)

    link.pool.CallLater(0.02, greet, link.client)
    assert link.pump_received(6) == b'hello\n'
    link.peer.send(b'answer\n')
    link.pump(lambda: link.events.count('received') and link.events.count('sent'))
    link.pool.CallLater(0.02, lambda client: client.Close(), link.client)
    link.pump_closed()


def test_calls_from_another_thread_wake_the_loop():
    needs_threads()
    for threads in (1, 3):
        link = Link()
        link.pool.AsyncWaitEvents(threads)
        link.pool.CallLater(FAR_SEC, link.events.called)      # the loop sleeps until then
        sleep_ms(50)
        calls = []
        start = now_ms()
        link.pool.CallLater(0, lambda arg: calls.append(arg), 'now')
        wait(lambda: calls)
        assert elapsed_ms(start) < 3000
        timer = link.pool.CallLater(FAR_SEC, lambda arg: calls.append(arg), 'restarted')
        timer.Restart(0.05)
        wait(lambda: len(calls) == 2)
        assert elapsed_ms(start) < 4000
        timer = link.pool.CallLater(0.2, calls.append, 'cancelled')
        assert timer.Cancel() is True
        sleep_ms(250)
        assert calls == ['now', 'restarted'], calls
        link.pool.StopWaitEvents()


def test_calls_run_in_the_loop():
    """So a call from another thread may use what the handlers of a pool without workers use."""
    needs_threads()
    from _thread import get_ident
    link = Link()
    link.pool.AsyncWaitEvents(1)
    idents = []
    link.client.AsyncRecvLine(lambda client, line, arg: idents.append(get_ident()))
    link.peer.send(b'x\n')
    link.pool.CallLater(0, lambda arg: idents.append(get_ident()))
    wait(lambda: len(idents) == 2)
    assert idents[0] == idents[1] != get_ident()
    link.pool.StopWaitEvents()


def test_calls_from_the_handlers_of_workers():
    needs_threads()
    link = Link()
    other = Link(pool=link.pool)
    calls = Recorder()

    def on_line(client, line, arg):
        link.pool.CallLater(0, calls.called, line)
        link.pool.CallLater(0.02, calls.called, line + ' later')
        link.pool.CallLater(0.02, calls.called, 'cancelled').Cancel()
        client.AsyncRecvLine(on_line)

    link.pool.AsyncWaitEvents(3)
    for each in (link, other):
        each.client.AsyncRecvLine(on_line)
        each.peer.send(b'one\ntwo\n')
    wait(lambda: calls.count('called') >= 8)
    sleep_ms(50)
    assert sorted(calls.values('called')) == ['one', 'one', 'one later', 'one later',
                                            'two', 'two', 'two later', 'two later'], calls.events
    link.pool.StopWaitEvents()


def test_many_threads_request_restart_and_cancel_calls():
    """Each call is either made once or cancelled, and the loop goes on."""
    needs_threads()
    link = Link()
    made = Recorder()
    cancelled = Recorder()
    finished = Recorder()
    rounds = 1000 // FEWER

    def ask(thread):
        for number in range(rounds):
            timer = link.pool.CallLater(number % 3 * 0.001, made.called, (thread, number))
            if number % 2:
                timer.Restart(number % 5 * 0.001)
            if number % 4 < 2 and timer.Cancel():
                cancelled.called((thread, number))
        finished.called(thread)

    link.pool.OnException = finished.raised
    link.pool.AsyncWaitEvents(1)
    for thread in range(3):
        start_new_thread(ask, (thread,))
    wait(lambda: finished.count('called') == 3, limit_sec=20)
    # A restart after the call was made makes it again.
    wait(lambda: len(set(made.values('called')) | set(cancelled.values('called'))) == 3 * rounds)
    assert finished.count('raised') == 0, finished.events
    lines = link.read_lines(1)
    link.peer.send(b'served\n')
    wait(lambda: lines)
    link.pool.StopWaitEvents()


def test_cancel_while_the_call_becomes_due():
    """Another thread repeatedly cancels the timer that the loop is about to check."""
    needs_threads()
    link = Link()
    calls = [0]
    finished = []

    def count_call(arg):
        calls[0] += 1

    def ask():
        cancelled = count = 0
        start = now_ms()
        while elapsed_ms(start) < 1000:
            cancelled += link.pool.CallLater(0, count_call).Cancel()
            count += 1
        finished.append(count - cancelled)

    link.pool.AsyncWaitEvents(1)
    start_new_thread(ask, ())
    wait(lambda: finished)
    link.pool.CallLater(0, finished.append, 'the loop lives')
    wait(lambda: len(finished) == 2)
    assert calls[0] == finished[0], 'each call is made or cancelled'
    link.pool.StopWaitEvents()


def test_stop_does_not_wait_for_calls_in_the_far_future():
    for threads in (0, 1):
        if threads:
            needs_threads()
        link = Link()
        calls = []
        timer = link.pool.CallLater(FAR_SEC, calls.append)
        if threads:
            link.pool.AsyncWaitEvents(threads)
        start = now_ms()
        link.pool.StopWaitEvents()
        assert elapsed_ms(start) < 3000 and not calls
        timer.Cancel()
