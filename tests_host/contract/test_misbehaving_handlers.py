"""Handlers misbehave at every event. All other sockets go on, and each event is reported exactly once."""
from harness import (
    CHIP,
    ESP32,
    THREADS,
    connect_peer,
    free_addr,
    has_memory_for,
    listen_peer,
    pump,
    refusing_addr,
    sleep_ms,
    udp_peer,
    wait,
)
from scenes import Link, Recorder, serve

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer, XAsyncUDPDatagram, XClosedReason

INTERPRETERS = ['cpython', 'micropython', 'esp32']
TOO_LARGE = 70000       # bytes, more than a datagram can have
# How long a slow handler works: longer than a message takes, even from a thread of the same process.
WORK_MS = 200 if ESP32 else 500 if CHIP else 50


class Misdeed(Exception):
    pass


class Scene(Recorder):
    """A subject whose handler misbehaves, a bystander that must not be affected, and another connection, which only
    some misdeeds end. All are in one pool, with or without workers."""

    def __init__(self, cause, misdeed, workers):
        super().__init__()
        self.pool = XAsyncSocketsPool()
        self.pool.OnException = self.raised
        self.cause = cause
        self.misdeed = misdeed
        self.results = []
        self.inside = Recorder()    # for the operations that the handler starts
        self.wait = wait if workers else lambda condition: pump(self.pool, condition)
        self.bystander = Link(pool=self.pool)
        self.other = Link(pool=self.pool)
        self.links = [self.bystander, self.other]
        for link in self.links:
            link.client.OnClosed = link.server.OnClosed = self.ended
        self.peer = self.udp_peer = None
        self.subject = cause(self)
        if workers:
            self.pool.AsyncWaitEvents(3)
        self.wait(lambda: self.count('handled'))

    def link(self):
        """The connection whose handler misbehaves."""
        link = Link(pool=self.pool)
        self.links.append(link)
        link.client.OnClosed = self.ended
        self.peer = link.peer
        return link

    def handle(self, socket, *args):
        try:
            self.misdeed(self, socket, *args)
        finally:
            self._note('handled', socket)   # last: with workers, the test looks from another thread

    def handle_end(self, socket, reason):
        self.ended(socket, reason)
        self.handle(socket)

    def ended(self, socket, reason):
        self._note('ended', socket, reason)

    def end_of(self, socket):
        """Return the reported reasons of its end."""
        return [event[2] for event in list(self.events) if event[0] == 'ended' and event[1] is socket]

    def goes_on(self):
        """Check that the other connection is served and has seen no event."""
        answers = Recorder()
        self.bystander.client.AsyncRecvLine(answers.received)
        self.bystander.client.AsyncSendData(b'ping\n', answers.sent)
        self.bystander.peer.send(b'pong\n')
        self.wait(lambda: len(answers.events) == 2)
        assert answers.values('received') == ['pong']
        assert self.end_of(self.bystander.client) == self.end_of(self.bystander.server) == []

    def end(self):
        """Stop the pool, and check that every socket ends once."""
        self.pool.StopWaitEvents()
        assert self.pool.GetAllAsyncSockets() == []
        assert self.count('handled') == 1, self.events
        for socket in [link.client for link in self.links] + [self.subject]:
            assert len(self.end_of(socket)) == 1, (self.cause, socket, self.events)
        for link in self.links:
            link.peer.close()
        if self.peer and self.peer is not self.links[-1].peer:
            self.peer.close()


# The events, each with its cause and its socket.

def accepted(scene):
    server = serve(scene.pool, scene.handle)
    server.OnClosed = scene.ended
    scene.peer = connect_peer(server.SrvAddr)
    return server


def connected(scene):
    listener = listen_peer()
    client = XAsyncTCPClient.Create(scene.pool, listener.addr)
    client.OnClosed = scene.ended
    client.OnConnected = scene.handle
    scene.peer = wait(listener.accept)
    return client


def not_connected(scene):
    client = XAsyncTCPClient.Create(scene.pool, refusing_addr())
    client.OnClosed = scene.ended
    client.OnFailsToConnect = scene.handle
    return client


def line(scene):
    client = scene.link().client
    client.AsyncRecvLine(scene.handle)
    scene.peer.send(b'a line\n')
    return client


def data(scene):
    client = scene.link().client
    client.AsyncRecvData(None, scene.handle)
    scene.peer.send(b'some data')
    return client


def data_past_the_buffer(scene):
    client = scene.link().client
    client.AsyncRecvData(2000, scene.handle)
    scene.peer.send(b'x' * 2000)
    return client


def sent(scene):
    client = scene.link().client
    client.AsyncSendData(b'sent', scene.handle)
    return client


def closed_by_the_peer(scene):
    client = scene.link().client
    client.OnClosed = scene.handle_end
    scene.peer.close()
    return client


def timed_out(scene):
    client = scene.link().client
    client.OnClosed = scene.handle_end
    client.AsyncRecvLine(timeoutSec=0.005)
    return client


def server_closed(scene):
    server = serve(scene.pool, None)
    server.OnClosed = scene.handle_end
    server.Close()
    return server


def udp(scene):
    socket = XAsyncUDPDatagram.Create(scene.pool, free_addr('udp'))
    socket.OnClosed = scene.ended
    scene.udp_peer = udp_peer()
    return socket


def datagram(scene):
    socket = udp(scene)
    socket.OnRecv = scene.handle
    scene.udp_peer.send(b'a datagram', socket.LocalAddr)
    return socket


def datagram_sent(scene):
    socket = udp(scene)
    socket.AsyncSendDatagram(b'sent', scene.udp_peer.addr, scene.handle)
    return socket


def datagram_not_sent(scene):
    socket = udp(scene)
    socket.OnFailsToSend = scene.handle
    socket.AsyncSendDatagram(bytes(TOO_LARGE), scene.udp_peer.addr)
    return socket


def udp_closed(scene):
    socket = udp(scene)
    socket.OnClosed = scene.handle_end
    socket.Close()
    return socket


OF_CONNECTIONS = (connected, line, data, data_past_the_buffer, sent)    # the connection is open
LAST = (not_connected, closed_by_the_peer, timed_out, server_closed, udp_closed)    # the subject has ended
EVENTS = (accepted, datagram, datagram_sent) + OF_CONNECTIONS + LAST
if has_memory_for(3 * TOO_LARGE):   # a chip's heap may have no room for data that is too large for lwIP
    EVENTS += (datagram_not_sent,)


def scenes(misdeed):
    """Yield (event, scene) for each event without and with workers, after the handler has misbehaved."""
    for workers in ((False, True) if THREADS and not CHIP else (False,)):
        for event in EVENTS:
            yield event, Scene(event, misdeed, workers)


# The misdeeds

def test_a_handler_that_raises():
    """This ends its own connection, but no server or UDP socket."""
    def misdeed(scene, socket, *args):
        raise Misdeed()

    for event, scene in scenes(misdeed):
        scene.wait(lambda: scene.count('raised'))
        scene.goes_on()
        assert [type(told[2]) for told in scene.events if told[0] == 'raised'] == [Misdeed], event
        assert scene.values('raised') == [scene.subject], event
        if event in OF_CONNECTIONS:
            scene.wait(lambda: scene.end_of(scene.subject))
            assert scene.end_of(scene.subject) == [XClosedReason.Error], event
            assert isinstance(scene.subject.CloseError, Misdeed), event
            names = [told[0] for told in scene.events if told[1] is scene.subject]
            assert names == ['handled', 'raised', 'ended'], (event, names)
            scene.wait(scene.peer.ended)
        elif event not in LAST:
            assert scene.end_of(scene.subject) == [], event
        if event is accepted:
            scene.wait(scene.peer.ended)    # the connection whose handler raised does not answer
        scene.end()


def test_a_handler_that_closes_its_own_socket():
    def misdeed(scene, socket, *args):
        scene.results.append(socket.Close())

    for event, scene in scenes(misdeed):
        assert scene.results == [event not in LAST], event
        if event not in LAST:
            scene.wait(lambda: scene.end_of(scene.subject))
            assert scene.end_of(scene.subject) == [XClosedReason.ClosedByHost], event
        scene.goes_on()
        scene.end()
        assert scene.count('raised') == 0, (event, scene.events)


def test_a_handler_that_closes_another_socket():
    def misdeed(scene, socket, *args):
        scene.results.append(scene.other.client.Close())

    for event, scene in scenes(misdeed):
        scene.wait(lambda: scene.end_of(scene.other.client))
        scene.wait(scene.other.peer.ended)
        scene.goes_on()
        assert scene.results == [True] and scene.end_of(scene.other.client) == [XClosedReason.ClosedByHost], event
        assert event in LAST or scene.end_of(scene.subject) == [], event
        scene.end()
        assert scene.count('raised') == 0, (event, scene.events)


def test_a_handler_that_stops_the_pool():
    def misdeed(scene, socket, *args):
        scene.pool.StopWaitEvents()

    for event, scene in scenes(misdeed):
        scene.wait(lambda: not scene.pool.WaitEventsProcessing and not scene.pool.GetAllAsyncSockets())
        for link in scene.links[:2]:
            scene.wait(lambda: scene.end_of(link.client) and scene.end_of(link.server))
            assert scene.end_of(link.client) == scene.end_of(link.server) == [XClosedReason.ClosedByHost], event
        scene.end()
        assert scene.count('raised') == 0, (event, scene.events)
        again = Link(pool=scene.pool)
        lines = again.read_lines(1)
        again.peer.send(b'again\n')
        again.pump(lambda: lines)
        again.end()


def test_a_handler_that_runs_long():
    """The handler runs longer than the timeouts of other sockets, whose data has already arrived: they still get it."""
    def misdeed(scene, socket, *args):
        scene.bystander.peer.send(b'meanwhile\n')
        scene.bystander.client.AsyncRecvLine(scene.inside.received, timeoutSec=WORK_MS / 2500)
        sleep_ms(WORK_MS)

    for event, scene in scenes(misdeed):
        scene.wait(lambda: scene.inside.events or scene.end_of(scene.bystander.client))
        assert scene.inside.events == [('received', 'meanwhile', None)], (event, scene.events)
        scene.goes_on()
        scene.end()
        assert scene.count('raised') == 0, (event, scene.events)


def test_a_handler_that_starts_sending_and_receiving():
    def misdeed(scene, socket, *args):
        if isinstance(socket, XAsyncUDPDatagram):
            scene.results.append(socket.AsyncSendDatagram(b'inside', scene.udp_peer.addr, scene.inside.sent))
            return
        if isinstance(socket, XAsyncTCPServer):
            if not args:    # the socket has ended, and there is nothing to start
                scene.results.append(False)
                return
            socket = args[0]
        scene.results.append(socket.AsyncSendData(b'inside', scene.inside.sent))
        assert socket.AsyncRecvLine(scene.inside.received) is scene.results[0]

    for event, scene in scenes(misdeed):
        scene.wait(lambda: scene.results)
        assert scene.results == [event not in LAST], event
        if event not in LAST:
            if scene.udp_peer:
                scene.wait(lambda: (scene.udp_peer.receive() or (b'',))[0] == b'inside')
            else:
                scene.peer.send(b'answer\n')
                scene.wait(lambda: scene.inside.count('received') and scene.peer.received().endswith(b'inside'))
            scene.wait(lambda: scene.inside.count('sent'))
        scene.goes_on()
        scene.end()
        assert scene.count('raised') == 0, (event, scene.events)
        assert scene.inside.count('sent') == scene.results.count(True), event
