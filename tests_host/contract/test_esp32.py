"""The peculiarities of the ESP32's sockets (ports/esp32/modsocket.c), and how the library handles them.

The tests `test_port_…` show the socket module itself, without the library. If one fails, the port has changed, and the
library may have to change, too.
"""
import errno
import select
import socket

from harness import (
    connect_agent,
    connect_crowd,
    connect_peer,
    elapsed_ms,
    free_addr,
    listen_peer,
    now_ms,
    pattern,
    pump,
    pump_for,
    raises,
    refusing_addr,
    udp_peer,
)
from scenes import Link, Recorder, links, serve

from XAsyncSockets import (
    XAsyncSocketsPool,
    XAsyncTCPClient,
    XAsyncTCPServer,
    XAsyncTCPServerException,
    XAsyncUDPDatagram,
    XAsyncUDPDatagramException,
    XClosedReason,
)

INTERPRETERS = ('esp32', 'esp32_tap')

IN, OUT, HUP, NVAL = 1, 4, 16, 32
PAUSE_MS = 100          # the pause of a server without resources


def number_of(function, *args):
    """Return the errno of the OSError that a call raises."""
    return raises(OSError, function, *args).errno


def polled(sock, mask=IN | OUT | HUP, ms=0):
    """Return the events that poll reports for a socket."""
    poller = select.poll()
    poller.register(sock, mask)
    found = poller.poll(ms)
    return found[0][1] if found else 0


def connecting(addr):
    """Return a socket whose connection has been started, without waiting for it."""
    sock = socket.socket()
    sock.setblocking(False)
    assert number_of(sock.connect, addr) == errno.EINPROGRESS == 119
    return sock


def udp_socket():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


def take_sockets(leave=0):
    """Take all free sockets except `leave`."""
    taken = []
    try:
        while True:
            taken.append(udp_socket())
    except OSError as exc:
        assert exc.errno == 23, exc     # ENFILE
    close_all(taken[:leave])
    return taken[leave:]


def close_all(socks):
    for sock in socks:
        sock.close()


def sockets_left():
    taken = take_sockets()
    close_all(taken)
    return len(taken)


def events_in(pool, ms):
    """Return the number of events that a pool handles in `ms` milliseconds. If it spins, there are many."""
    start = now_ms()
    count = 0
    while elapsed_ms(start) < ms:
        count += pool.PollEvents(5)
    return count


def on_accepted_echo(server, client):
    client.AsyncRecvLine(lambda client, line, arg: client.AsyncSendData(line.encode() + b'\n'))


# The port

def test_port_states_of_a_tcp_socket():
    sock = socket.socket()
    sock.setblocking(False)
    assert polled(sock) == OUT | HUP
    assert number_of(sock.recv, 1) == number_of(sock.send, b'x') == 128     # ENOTCONN
    sock.close()
    assert polled(sock) == NVAL
    for name in ('getsockname', 'getpeername', 'getsockopt', 'shutdown', 'recv_into'):
        assert not hasattr(sock, name), name


def test_port_a_connection_that_is_made():
    listener = listen_peer()
    sock = connecting(listener.addr)
    assert polled(sock, ms=1000) == OUT
    assert number_of(sock.connect, listener.addr) == 127    # EISCONN
    assert sock.readinto(bytearray(1)) is None
    assert number_of(sock.recv, 1) == errno.EAGAIN
    sock.close()


def test_port_a_refused_connection_polls_without_an_error():
    sock = connecting(refusing_addr())
    assert polled(sock, IN | OUT, 1000) == IN | OUT
    assert polled(sock) == IN | OUT | HUP, 'HUP is reported only on request'
    assert number_of(sock.recv, 1) == errno.ECONNRESET == 104
    assert polled(sock, IN | OUT) == IN | OUT, 'still'
    sock.close()


def test_port_a_send_takes_what_fits_the_window():
    listener = listen_peer()
    sock = connecting(listener.addr)
    assert polled(sock, OUT, 1000) == OUT
    assert sock.send(bytes(20000)) == 5760
    sock.close()


def test_port_datagrams():
    addr, sock = free_addr('udp'), udp_socket()
    sock.bind(addr)
    assert number_of(sock.sendto, bytes(70000), addr) == 122    # EMSGSIZE
    raises(ValueError, sock.sendto, b'x', ('localhost', 9))
    assert number_of(sock.sendto, b'', addr) == errno.ETIMEDOUT == 116
    assert polled(sock, IN, 1000) == IN
    assert sock.recvfrom(10)[0] == b'', 'it was sent anyway'
    sock.sendto(b'two', addr)
    assert polled(sock, IN, 1000) == IN
    assert sock.recvfrom(10)[0] == sock.recvfrom(10)[0] == b'', 'it sees no data'
    sock.bind(addr)
    assert sock.recvfrom(10) == (b'two', addr), 'readable after another bind'
    sock.close()


def test_port_a_taken_port_fails_at_listen():
    addr = free_addr()
    first, second = socket.socket(), socket.socket()
    for sock in (first, second):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(addr)
    first.listen(1)
    assert number_of(second.listen, 1) == errno.EADDRINUSE == 112
    close_all([first, second])


def test_port_an_unknown_name():
    assert number_of(socket.getaddrinfo, 'no-such-host.invalid', 80) < 0


# The library's answers

def test_a_refused_connection_does_not_connect():
    pool = XAsyncSocketsPool()
    connect_agent()
    left = sockets_left()
    events = Recorder()
    for _ in range(20):
        client = events.watch(XAsyncTCPClient.Create(pool, refusing_addr()))
        pump(pool, lambda: events.count('failed'))
        assert client.CloseError.errno == errno.ECONNRESET
        pump_for(pool, 10)
        assert events.names() == ['failed', 'closed'], events.names()
        events.events.clear()
    assert sockets_left() == left


def test_after_an_empty_datagram_a_socket_still_receives():
    pool = XAsyncSocketsPool()
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'))
    udp.OnRecv = events.datagram
    peer = udp_peer()
    for rounds in range(1, 4):
        for datagram in (b'before', b'', b'', b'after'):    # at most 6 wait; the others are lost
            peer.send(datagram, udp.LocalAddr)
        pump(pool, lambda: events.count('datagram') == 4 * rounds)
    assert [data for _, _, data in events.events] == [b'before', b'', b'', b'after'] * 3
    assert {addr for _, addr, _ in events.events} == {peer.addr}
    assert events_in(pool, 50) == 0


def test_an_empty_datagram_is_sent_once():
    pool = XAsyncSocketsPool()
    events = Recorder()
    udp = XAsyncUDPDatagram.Create(pool)
    udp.OnFailsToSend = events.not_sent
    peer = udp_peer()
    for _ in range(2):      # the first datagram goes to a new address, the second to a known one
        udp.AsyncSendDatagram(b'', peer.addr, events.sent, 'arg')
    udp.AsyncSendDatagram(b'end', peer.addr, events.sent, 'arg')
    received = []
    pump(pool, lambda: received.append(peer.receive()) or received[-1] and received[-1][0] == b'end')
    assert [datagram[0] for datagram in received if datagram] == [b'', b'', b'end']
    pump(pool, lambda: len(events.events) == 3)
    assert events.names() == ['sent'] * 3


def test_a_failed_create_leaks_no_socket():
    pool = XAsyncSocketsPool()
    server = serve(pool, None)
    left = sockets_left()
    error = raises(XAsyncTCPServerException, XAsyncTCPServer.Create, pool, server.SrvAddr)
    assert '112' in str(error) and 'EADDRINUSE' in str(error), error
    error = raises(XAsyncUDPDatagramException, XAsyncUDPDatagram.Create, pool, ('no-such-host.invalid', 9))
    assert XAsyncTCPClient.Create(pool, ('no-such-host.invalid', 9)) is None
    assert sockets_left() == left
    assert pool.GetAllAsyncSockets() == [server]


def test_without_a_free_socket_create_reports_it():
    pool = XAsyncSocketsPool()
    addr, listener = free_addr(), listen_peer()
    left = sockets_left()
    for _ in range(3):
        taken = take_sockets()
        assert '23' in str(raises(XAsyncTCPServerException, XAsyncTCPServer.Create, pool, addr))
        assert '23' in str(raises(XAsyncUDPDatagramException, XAsyncUDPDatagram.Create, pool))
        assert XAsyncTCPClient.Create(pool, listener.addr) is None
        close_all(taken)
        assert sockets_left() == left
        assert pool.GetAllAsyncSockets() == []


def test_a_server_without_free_sockets_does_not_spin_and_recovers():
    """Accepting fails, and the system drops the connection. The server tries again after a pause."""
    pool = XAsyncSocketsPool()
    events = Recorder()
    server = serve(pool, events.accepted)
    left = sockets_left()
    taken = take_sockets(leave=1)
    over = connect_peer(server.SrvAddr)
    pump(pool, lambda: events.count('accepted') + over.ended())
    if not over.ended():    # the peer is elsewhere, and its connection got the last socket
        over = connect_peer(server.SrvAddr)
    assert events_in(pool, 3 * PAUSE_MS) <= 10
    pump(pool, over.ended)
    for _, _, client in events.events:
        client.Close()
    close_all(taken)
    events.events.clear()
    pump_for(pool, 2 * PAUSE_MS)
    peer = connect_peer(server.SrvAddr)
    pump(pool, lambda: events.count('accepted'))
    assert not peer.ended()
    events.events[0][2].Close()
    pump(pool, peer.ended)
    over.close()
    peer.close()
    pump(pool, lambda: sockets_left() == left)


def test_a_server_without_free_control_blocks_does_not_spin_and_recovers():
    """Connections that wait to be accepted have a control block and no socket, so those can run out first."""
    pool = XAsyncSocketsPool()
    server = serve(pool, on_accepted_echo)
    left = sockets_left()
    waiting = socket.socket()
    addr = free_addr()
    waiting.bind(addr)
    waiting.listen(8)
    peers = [connect_peer(addr) for _ in range(5)]
    taken = [waiting]
    try:
        while True:
            taken.append(socket.socket())
    except OSError as exc:
        assert exc.errno == errno.ENOBUFS == 105, exc
    assert sockets_left() > 0
    crowd = connect_crowd(server.SrvAddr, 1)
    assert events_in(pool, 3 * PAUSE_MS) <= 10
    assert pool.GetAllAsyncSockets() == [server]
    close_all(taken)
    pump(pool, crowd.answered)  # the peer's system has sent the request again
    crowd.close()
    for peer in peers:
        peer.close()
    pump(pool, lambda: sockets_left() == left)


def test_more_connections_than_sockets():
    pool = XAsyncSocketsPool()
    served = []
    server = serve(pool, lambda server, client: served.append(client))
    left = sockets_left()
    for _ in range(2):
        crowd = connect_crowd(server.SrvAddr, left + 7)
        pump(pool, lambda: len(served) == left)
        assert events_in(pool, 3 * PAUSE_MS) <= 20
        assert len(served) == left
        crowd.close()
        for client in served:
            client.Close()
        served.clear()
        pump(pool, lambda: not served and sockets_left() == left)
        assert server in pool.GetAllAsyncSockets()


def test_opened_and_closed_connections_leak_nothing():
    """There are more connections than control blocks. Closed connections keep theirs for minutes, or until reuse."""
    pool = XAsyncSocketsPool()
    link = Link(pool=pool)
    left = sockets_left()
    for number in range(40):
        peer = connect_peer(link.server.SrvAddr)
        first = link.client
        pump(pool, lambda: link.client is not first)
        if number % 2:
            link.client.Close()
            pump(pool, peer.ended)
        peer.close()
        link.client.AsyncRecvData()
        pump(pool, lambda: sockets_left() == left)
    assert len(pool.GetAllAsyncSockets()) == 2


def test_a_reset_after_a_full_buffer_is_noticed():
    """The peer's orderly end is noticed only when the socket is read."""
    XAsyncTCPClient.LingerSec = 0.2
    for link in links():
        link.peer.send(pattern(2 * link.client._recv_slot.Size))
        link.pump(lambda: not link.client._interest & 1)     # the buffer is full
        link.pump_for(50)
        assert not link.events.count('closed')
        link.peer.reset()
        assert link.pump_closed(limit_sec=2) == XClosedReason.ClosedByPeer
