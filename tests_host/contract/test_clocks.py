"""Every timer fires in time while the clocks of the system change: the wall clock jumps, and the counter of
milliseconds wraps."""
import doubles
from harness import (
    MANY,
    MICROPYTHON,
    connect_peer,
    deaf_addr,
    elapsed_ms,
    now_ms,
    pattern,
    peer_name,
    pump,
    udp_peer,
    udp_socket,
)

INTERPRETERS = ['cpython', 'micropython']

WRAP = 1 << 30          # MicroPython's millisecond counter wraps here on a 32-bit chip
TIMEOUT_MS = 300        # the delay of every timer here
DISTURBED_MS = 100      # the clocks change after that time
HOUR_SEC = 3600
LATE_MS = 10000         # no timer may be later, however busy the computer is


def names():
    """Return the library and the scenes, imported after the stand-ins of `doubles`."""
    import scenes

    import XAsyncSockets as library
    library.XAsyncTCPClient.HandshakeSec = library.XAsyncTCPClient.LingerSec = TIMEOUT_MS / 1000
    return library, scenes


def wrap_counter(library):
    """Replace the library's counter by one of 30 bits, which is about to wrap."""
    start = now_ms()

    def ticks_ms():
        return (WRAP - DISTURBED_MS + elapsed_ms(start)) & (WRAP - 1)

    library._ticks_ms = ticks_ms
    library._ticks_diff = lambda end, begin: ((end - begin + WRAP // 2) & (WRAP - 1)) - WRAP // 2
    library._ticks_add = lambda ticks, delta: (ticks + delta) & (WRAP - 1)
    if MICROPYTHON:
        library.perf_counter = lambda: ticks_ms() / 1000


# Timers: each function starts an operation, and returns a condition that becomes true when its timer has fired.

def of_a_receive(library, scenes, pool):
    link = scenes.Link(pool=pool)
    link.client.AsyncRecvLine(timeoutSec=TIMEOUT_MS / 1000)
    return lambda: link.events.values('closed') == [library.XClosedReason.Timeout]


def of_connecting(library, scenes, pool):
    events = scenes.Recorder()
    events.watch(library.XAsyncTCPClient.Create(pool, deaf_addr(), connectTimeout=TIMEOUT_MS / 1000))
    return lambda: events.names() == ['failed', 'closed']


def of_a_handshake(library, scenes, pool):
    link = scenes.Link(pool=pool)
    link.client.StartSSLContext(scenes.server_context(), True)
    return lambda: link.events.count('closed') and 'too long' in str(link.client.CloseError)


def of_the_end_of_a_close(library, scenes, pool):
    link = scenes.Link(slow=True, pool=pool)
    link.client.AsyncSendData(pattern(MANY))
    link.client.Close()
    return lambda: link.events.values('closed') == [library.XClosedReason.ClosedByHost]


def of_the_peers_end_after_a_full_buffer(library, scenes, pool):
    link = scenes.Link(pool=pool)
    link.peer.send(b'x' * 3 * scenes.BUFFER_SIZE)
    link.peer.close()
    return lambda: link.events.values('closed') == [library.XClosedReason.ClosedByPeer]


def of_a_half_closed_connection(library, scenes, pool):
    link = scenes.Link(slow=True, pool=pool)
    link.client.AsyncSendData(pattern(MANY))
    link.peer.half_close()
    return lambda: link.events.values('closed') == [library.XClosedReason.ClosedByPeer]


def of_an_own_socket(library, scenes, pool):
    class OwnSocket(library.XAsyncSocket):
        ExpireTimeSec = None

    ended = []
    own = OwnSocket(pool, udp_socket()[0])
    own.OnClosed = lambda socket, reason: ended.append(reason)
    own.ExpireTimeSec = library.perf_counter() + TIMEOUT_MS / 1000
    pool.NotifyNextReadyForReading(own, True)   # the pool reads ExpireTimeSec now
    return lambda: ended == [library.XClosedReason.Timeout]


def of_a_call(library, scenes, pool):
    calls = []
    pool.CallLater(TIMEOUT_MS / 1000, calls.append, 'made')
    return lambda: calls == ['made']


def of_a_call_that_is_put_off(library, scenes, pool):
    calls = []
    timer = pool.CallLater(DISTURBED_MS / 2000, calls.append, 'made')
    timer.Restart(TIMEOUT_MS / 1000)
    return lambda: calls == ['made']


TIMERS = (of_a_receive, of_connecting, of_a_handshake, of_the_end_of_a_close, of_the_peers_end_after_a_full_buffer,
          of_a_half_closed_connection, of_an_own_socket, of_a_call, of_a_call_that_is_put_off)


def fire_in_time(disturb):
    """Check each timer in a pool of its own, because the first timer of a pool restarts its clock."""
    library, scenes = names()
    for timer in TIMERS:
        pool = library.XAsyncSocketsPool()
        start = now_ms()
        disturb(library)
        fired = timer(library, scenes, pool)
        pump(pool, fired, limit_sec=LATE_MS / 1000)
        assert elapsed_ms(start) >= TIMEOUT_MS - 20, (timer, elapsed_ms(start))
        pool.StopWaitEvents()


def wait_in_time(disturb):
    """Check full waits: a turn without events, and the end of a pool whose peers read nothing."""
    library, scenes = names()
    pool = library.XAsyncSocketsPool()
    start = now_ms()
    disturb(library)
    pool.PollEvents(TIMEOUT_MS)
    assert TIMEOUT_MS - 20 <= elapsed_ms(start) < LATE_MS, elapsed_ms(start)
    link = scenes.Link(slow=True)
    link.client.AsyncSendData(pattern(MANY))
    start = now_ms()
    disturb(library)
    link.pool.StopWaitEvents()
    assert TIMEOUT_MS - 20 <= elapsed_ms(start) < LATE_MS, elapsed_ms(start)
    assert link.events.values('closed') == [library.XClosedReason.ClosedByHost]


def test_timers_while_the_wall_clock_goes_an_hour_ahead():
    clock = doubles.WallClock(DISTURBED_MS)
    fire_in_time(lambda library: clock.jump(HOUR_SEC))


def test_timers_while_the_wall_clock_goes_an_hour_back():
    clock = doubles.WallClock(DISTURBED_MS)
    fire_in_time(lambda library: clock.jump(-HOUR_SEC))


def test_waiting_while_the_wall_clock_jumps():
    clock = doubles.WallClock(DISTURBED_MS)
    for seconds in (HOUR_SEC, -HOUR_SEC):
        wait_in_time(lambda library: clock.jump(seconds))


def test_timers_while_the_counter_wraps():
    fire_in_time(wrap_counter)


def test_waiting_while_the_counter_wraps():
    wait_in_time(wrap_counter)


def test_the_pause_of_a_server_without_descriptors_while_the_counter_wraps():
    doubles.install()
    library, scenes = names()
    link = scenes.Link()
    doubles.fail('accept', doubles.EMFILE, count=3)
    accepted = scenes.Recorder()
    link.server.OnClientAccepted = accepted.accepted
    wrap_counter(library)
    connect_peer(link.server.SrvAddr)
    link.pump(lambda: accepted.events)


def test_how_long_an_address_is_kept_while_the_counter_wraps():
    library, _ = names()
    looked_up = []
    resolve = library._resolve
    library._resolve = lambda address: (looked_up.append(address), resolve(address))[1]
    pool = library.XAsyncSocketsPool()
    udp = library.XAsyncUDPDatagram.Create(pool)
    peer = udp_peer()
    wrap_counter(library)
    pool.PollEvents()
    start = now_ms()
    while elapsed_ms(start) < 2 * DISTURBED_MS:
        udp.AsyncSendDatagram(b'x', (peer_name(), peer.addr[1]))
        assert pump(pool, peer.receive)[0] == b'x'
    assert len(looked_up) == 1, looked_up
