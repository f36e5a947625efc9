"""Many connections at once."""
from harness import connect_crowd, cpu_ms, listen_peer, needs_host, open_files, pump
from scenes import Recorder, serve

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XBufferSlots

TIME_LIMIT_SEC = 60
MANY = 1200


def line_server(pool):
    """Answers each line with a line, receiving with a timeout."""
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

    slots = XBufferSlots(2 * MANY, 128, keepAlloc=False)
    return serve(pool, on_accepted, recvBufSlots=slots), state


def test_more_than_a_thousand_connections_are_served_at_once():
    needs_host()
    before = open_files()
    pool = XAsyncSocketsPool()
    server, state = line_server(pool)
    crowd = connect_crowd(server.SrvAddr, MANY)
    pump(pool, lambda: crowd.answered() == MANY, limit_sec=30)
    assert len(state['accepted']) == MANY and state['closed'] == 0
    assert len(pool.GetAllAsyncSockets()) == MANY + 1
    ids = [client.SocketID for client in state['accepted']]
    assert len(set(ids)) == MANY
    assert pool.GetAsyncSocketByID(ids[0]) is state['accepted'][0]

    crowd.ask_again()
    pump(pool, lambda: crowd.answered() == 2 * MANY, limit_sec=30)
    crowd.close()
    pump(pool, lambda: state['closed'] == MANY, limit_sec=30)
    assert pool.GetAllAsyncSockets() == [server]
    server.Close()
    pool.StopWaitEvents()
    assert open_files() <= before + 1, 'nothing is left but the control connection of the test'


def test_more_than_a_thousand_idle_connections_cost_nothing_while_nobody_speaks():
    needs_host()
    pool = XAsyncSocketsPool()
    server, state = line_server(pool)
    crowd = connect_crowd(server.SrvAddr, MANY)
    pump(pool, lambda: crowd.answered() == MANY, limit_sec=30)
    used = cpu_ms()
    pool.PollEvents(600)
    assert cpu_ms() - used < 100, cpu_ms() - used


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
