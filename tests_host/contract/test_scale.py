"""Many connections at once."""
from harness import (
    MANY,
    SLOW,
    connect_crowd,
    connect_peer,
    cpu_ms,
    limit_send_buffer,
    listen_peer,
    needs_host,
    open_files,
    pump,
)
from scenes import Recorder, serve

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XBufferSlots

TIME_LIMIT_SEC = 60
CROWD = 1200


def line_server(pool):
    """Return a server that answers each line with a line, and receives with a timeout."""
    state = {'accepted': [], 'closed': 0}

    def on_line(client, line, arg):
        client.AsyncSendData(line.encode() + b'\n')
        client.AsyncRecvLine(on_line, timeoutSec=600)

    def on_closed(client, reason):
        state['closed'] += 1

    def on_accepted(server, client):
        state['accepted'].append(client)
        client.OnClosed = on_closed
        client.AsyncRecvLine(on_line, timeoutSec=600)

    slots = XBufferSlots(2 * CROWD, 128, keepAlloc=False)
    return serve(pool, on_accepted, recvBufSlots=slots), state


def assert_idle(pool):
    """Check that a wait costs almost nothing while all connections are silent."""
    used = cpu_ms()
    pool.PollEvents(600)
    assert cpu_ms() - used < 100, cpu_ms() - used


def test_more_than_a_thousand_connections_are_served_at_once():
    needs_host()
    before = open_files()
    pool = XAsyncSocketsPool()
    server, state = line_server(pool)
    crowd = connect_crowd(server.SrvAddr, CROWD)
    pump(pool, lambda: crowd.answered() == CROWD, limit_sec=30)
    assert len(state['accepted']) == CROWD and state['closed'] == 0
    assert len(pool.GetAllAsyncSockets()) == CROWD + 1
    ids = [client.SocketID for client in state['accepted']]
    assert len(set(ids)) == CROWD
    assert pool.GetAsyncSocketByID(ids[0]) is state['accepted'][0]

    crowd.ask_again()
    pump(pool, lambda: crowd.answered() == 2 * CROWD, limit_sec=30)
    crowd.close()
    pump(pool, lambda: state['closed'] == CROWD, limit_sec=30)
    assert pool.GetAllAsyncSockets() == [server]
    server.Close()
    pool.StopWaitEvents()
    assert open_files() <= before + 1, 'nothing is left but the control connection of the test'


def test_more_than_a_thousand_idle_connections_cost_no_time():
    needs_host()
    pool = XAsyncSocketsPool()
    server, state = line_server(pool)
    crowd = connect_crowd(server.SrvAddr, CROWD)
    pump(pool, lambda: crowd.answered() == CROWD, limit_sec=30)
    assert_idle(pool)


def test_hundreds_of_outgoing_connections_at_once():
    needs_host()
    count = 300
    pool = XAsyncSocketsPool()
    listener = listen_peer()
    events = Recorder()
    clients = []
    for number in range(count):
        clients.append(events.watch(XAsyncTCPClient.Create(pool, listener.addr, recvbufLen=64)))
        if number % 50 == 49:
            pump(pool, lambda: events.count('connected') == len(clients))
    assert events.count('failed') == 0
    for client in clients:
        client.Close()
    pump(pool, lambda: events.count('closed') == count)


def serve_many(pool, longest_echo):
    """Return (server, its connections, bytes received by SocketID). With this many, the busy ones are handled
    first."""
    silent = 200
    accepted = []
    received = {}

    def on_data(client, data, arg):
        received[client.SocketID] = received.get(client.SocketID, 0) + len(data)
        if len(data) <= longest_echo:
            client.AsyncSendData(data)
        client.AsyncRecvData(None, on_data)

    def on_accepted(server, client):
        accepted.append(client)
        client.AsyncRecvData(None, on_data)

    server = serve(pool, on_accepted, recvBufSlots=XBufferSlots(2 * silent, 256, keepAlloc=False))
    crowd = connect_crowd(server.SrvAddr, silent)
    pump(pool, lambda: crowd.answered() == silent, limit_sec=30)
    for _ in range(100):    # after that, the pool no longer treats all of them as busy
        pool.PollEvents(0)
    return server, accepted, received


def test_busy_connections_do_not_delay_a_rare_message():
    needs_host()
    pool = XAsyncSocketsPool()
    server, accepted, received = serve_many(pool, longest_echo=10)
    busy, rare = [connect_peer(server.SrvAddr) for _ in range(2)]
    pump(pool, lambda: len(accepted) == 202)
    busy_id = [client.SocketID for client in accepted if client.CliAddr[1] == busy.port][0]
    rare_id = [client.SocketID for client in accepted if client.CliAddr[1] == rare.port][0]
    busy.send_pattern(MANY)
    pump(pool, lambda: received.get(busy_id))
    rare.send(b'here')
    for _ in range(20):
        pool.PollEvents(0)
    assert received.get(rare_id) == 4
    assert received[busy_id] < MANY, 'it was busy all the time'
    pump(pool, lambda: received[busy_id] == MANY and rare.received() == b'here')


def test_a_busy_connection_among_silent_ones_with_a_slow_reader():
    needs_host()
    pool = XAsyncSocketsPool()
    server, accepted, received = serve_many(pool, longest_echo=256)
    peer = connect_peer(server.SrvAddr, recv_buffer=SLOW)
    pump(pool, lambda: len(accepted) == 201)
    client = accepted[-1]
    limit_send_buffer(client.GetSocketObj())
    client.SendQueueLimit = 1000000
    client.OnClosed = lambda client, reason: accepted.remove(client)
    peer.send(b'first')
    pump(pool, lambda: peer.received() == b'first')
    peer.pause()
    peer.send_pattern(MANY)
    pump(pool, lambda: received[client.SocketID] == 5 + MANY)
    peer.resume()
    pump(pool, lambda: peer.received_count() == 5 + MANY)
    peer.reset()
    pump(pool, lambda: client not in accepted)
    assert_idle(pool)
