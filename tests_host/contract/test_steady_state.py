"""The cost of a message on a warm connection: no allocation, no change of the poll set."""
import gc

import doubles
from harness import CHIP, MICROPYTHON, connect_peer, elapsed_ms, needs_own_memory, now_ms, pump, skip


def echo_server():
    """Return a warm echo connection: (pool, client, peer)."""
    from scenes import serve

    import XAsyncSockets as library
    pool = library.XAsyncSocketsPool()
    clients = []

    def on_data(client, data, arg):
        client.AsyncSendData(data)
        client.AsyncRecvData(None, on_data)

    def on_accepted(server, client):
        clients.append(client)
        client.AsyncRecvData(None, on_data)

    server = serve(pool, on_accepted)
    peer = connect_peer(server.SrvAddr)
    pump(pool, lambda: clients)
    return pool, clients[0], peer


def run_echo(pool, peer, rounds, size):
    """Run the peer's echo to its end, in turns that allocate nothing by themselves."""
    peer.echo(rounds, size)
    handled = 0
    start = now_ms()
    while handled < rounds and elapsed_ms(start) < 10000:
        handled += pool.PollEvents(100)
    pump(pool, lambda: peer.echoed() == rounds)


def allocated_by_echo(pool, peer, rounds, size):
    """Return the bytes that `rounds` echoes allocate on MicroPython's heap."""
    peer.echo(rounds, size)
    gc.collect()
    gc.disable()
    turn = pool.PollEvents
    handled = turn(100)
    before = gc.mem_alloc()
    while handled < rounds:
        handled += turn(100)
    after = gc.mem_alloc()
    gc.enable()
    return after - before


def test_an_echoed_message_allocates_nothing():
    if not MICROPYTHON:
        skip('CPython does not count allocations')
    needs_own_memory()
    pool, client, peer = echo_server()
    run_echo(pool, peer, 50, 64)
    count = 100 if CHIP else 500
    allocated = allocated_by_echo(pool, peer, count, 64)
    assert allocated == 0, '%d bytes in %d messages' % (allocated, count)


def test_an_idle_turn_allocates_nothing():
    if not MICROPYTHON:
        skip('CPython does not count allocations')
    pool, client, peer = echo_server()
    run_echo(pool, peer, 50, 64)
    turn = pool.PollEvents
    turn(1)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(100):
        turn(1)
    allocated = gc.mem_alloc() - before
    gc.enable()
    assert allocated == 0, '%d bytes in 100 turns' % allocated


def test_messages_do_not_fill_the_heap():
    """The memory of connections and lines is freed again."""
    if not MICROPYTHON:
        skip('CPython does not count allocations')
    needs_own_memory()
    from scenes import Link
    link = Link()
    used = []
    for _ in range(4):
        for _ in range(50):
            lines = link.read_lines(4)
            link.peer.send(b'one\ntwo\nthree\nfour\n')
            link.pump(lambda: len(lines) == 4)
            link.client.AsyncSendData(b'answer', link.events.sent)
        link.pump(lambda: link.events.count('sent') == 50)
        link.events.events.clear()
        gc.collect()
        used.append(gc.mem_alloc())
    assert used[3] - used[1] < 1000, used


def test_an_echoed_message_does_not_change_the_poll_set():
    doubles.install()
    pool, client, peer = echo_server()
    run_echo(pool, peer, 20, 64)
    assert doubles.poll_changes, 'the poll set is watched'
    del doubles.poll_changes[:]
    run_echo(pool, peer, 200, 64)
    assert doubles.poll_changes == [], doubles.poll_changes


def test_lines_and_timeouts_do_not_change_the_poll_set():
    doubles.install()
    from scenes import Link
    link = Link()
    rounds = 100

    def on_line(client, line, arg):
        client.AsyncSendData(b'pong\n', on_sent)

    def on_sent(client, arg):
        client.AsyncRecvLine(on_line, timeoutSec=60)

    link.client.AsyncRecvLine(on_line, timeoutSec=60)
    link.pump_for(20)
    del doubles.poll_changes[:]
    for done in range(rounds):
        link.peer.send(b'ping\n')
        link.pump(lambda: link.peer.received_count() == 5 * (done + 1))
    assert doubles.poll_changes == [], doubles.poll_changes
