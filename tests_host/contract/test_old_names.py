"""Small versions of programs that were written for the 2024 library. Each uses the library as such programs do."""
from harness import CHIP, MICROPYTHON, connect_peer, free_addr, needs_loopback, peer_name, pump, skip, udp_peer
from scenes import Link, Recorder

from XAsyncSockets import (
    XAsyncSocketsPool,
    XAsyncTCPClient,
    XAsyncTCPServer,
    XAsyncUDPDatagram,
    XBufferSlots,
    XClosedReason,
)

PAGE = b'0123456789' * (300 if CHIP else 1000)


class WebRequest:
    """A request as web servers for the 2024 library handle it. They read the head by lines and the body by size, and
    send the answer in chunks of the sending buffer, with nested callbacks. The connection is kept for the next
    request."""

    def __init__(self, client, log):
        self._client = client
        self._log = log
        client.OnClosed = self._on_closed
        self._next()

    def _next(self):
        self._length = 0
        self._client.AsyncRecvLine(onLineRecv=self._on_first_line, timeoutSec=2)

    def _on_first_line(self, xAsyncTCPClient, line, arg):
        self._log.append(line)
        self._client.AsyncRecvLine(onLineRecv=self._on_header, timeoutSec=2)

    def _on_header(self, xAsyncTCPClient, line, arg):
        if line:
            name, value = line.split(': ')
            if name == 'Content-Length':
                self._length = int(value)
            self._client.AsyncRecvLine(onLineRecv=self._on_header, timeoutSec=2)
        elif self._length:
            self._client.AsyncRecvData(size=self._length, onDataRecv=self._on_content, timeoutSec=2)
        else:
            self._answer()

    def _on_content(self, xAsyncTCPClient, data, arg):
        self._log.append(bytes(data))
        self._answer()

    def _answer(self):
        self._sent = 0
        self._client.AsyncSendData(data=b'HTTP/1.1 200 OK\r\n', onDataSent=self._on_status_sent)

    def _on_status_sent(self, xAsyncTCPClient, arg):
        self._client.AsyncSendData(b'\r\n', onDataSent=self._on_chunk_sent)

    def _on_chunk_sent(self, xAsyncTCPClient, arg):
        if self._sent == len(PAGE):
            self._next()
            return
        view = memoryview(self._client.SendingBuffer)
        size = min(len(view), len(PAGE) - self._sent)
        view[:size] = PAGE[self._sent:self._sent + size]
        self._sent += size
        self._client.AsyncSendSendingBuffer(size=size, onDataSent=self._on_chunk_sent)

    def _on_closed(self, xAsyncTCPClient, closedReason):
        self._log.append(closedReason)


def test_a_web_server():
    pool = XAsyncSocketsPool()
    assert isinstance(pool, XAsyncSocketsPool) and not pool.WaitEventsProcessing
    slots = XBufferSlots(slotsCount=8, slotsSize=1024, keepAlloc=True)
    server = XAsyncTCPServer.Create(asyncSocketsPool=pool, srvAddr=free_addr(), srvBacklog=8, bufSlots=slots)
    log = []
    server.OnClientAccepted = lambda xAsyncTCPServer, xAsyncTCPClient: WebRequest(xAsyncTCPClient, log)
    peer = connect_peer(server.SrvAddr)
    peer.send(b'GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345GET')
    answer = b'HTTP/1.1 200 OK\r\n\r\n' + PAGE
    pump(pool, lambda: peer.received_count() == 2 * len(answer))
    peer.send(b' /3 HTTP/1.1\r\n\r\n')
    pump(pool, lambda: peer.received_count() == 3 * len(answer))
    assert peer.received() == 3 * answer
    peer.close()
    pump(pool, lambda: log[-1] == XClosedReason.ClosedByPeer)
    assert log[:-1] == ['GET /1 HTTP/1.1', 'POST /2 HTTP/1.1', b'12345', 'GET /3 HTTP/1.1']


def test_a_server_for_datagrams_and_sessions():
    """It uses recvBufSlots and recvbufLen, positional arguments, OnDataRecv, a host name, and OnClosed(reason)."""
    needs_loopback()
    pool = XAsyncSocketsPool()
    log = []
    udp = XAsyncUDPDatagram.Create(pool, localAddr=free_addr('udp'), recvbufLen=512, broadcast=False)
    udp.OnDataRecv = lambda xAsyncUDPDatagram, remoteAddr, datagram: log.append(bytes(datagram))
    server = XAsyncTCPServer.Create(pool, free_addr(), srvBacklog=4, recvBufSlots=XBufferSlots(4, 512))

    def on_accepted(xAsyncTCPServer, xAsyncTCPClient):
        xAsyncTCPClient.State = 'session'
        xAsyncTCPClient.OnClosed = lambda closedReason: log.append(closedReason)
        xAsyncTCPClient.AsyncRecvLine(on_hello, 'hello', 2)

    def on_hello(xAsyncTCPClient, line, arg):
        log.append((line, arg, xAsyncTCPClient.State))
        xAsyncTCPClient.AsyncRecvData(4, on_data, 'data', 2)

    def on_data(xAsyncTCPClient, data, arg):
        log.append((bytes(data), arg))
        xAsyncTCPClient.AsyncSendData(b'done', on_sent, xAsyncTCPClient)

    def on_sent(xAsyncTCPClient, arg):
        arg.Close()

    server.OnClientAccepted = on_accepted
    client = XAsyncTCPClient.Create(pool, server.SrvAddr, connectTimeout=3, recvbufLen=512)
    answers = Recorder()

    def on_connected(client):
        client.AsyncSendData(b'hello\r\n1234')
        client.AsyncRecvData(4, answers.received, None, 2)

    client.OnConnected = on_connected
    client.OnClosed = answers.closed
    pump(pool, lambda: answers.count('closed') and len(log) >= 3)
    assert answers.data() == b'done'
    assert log == [('hello', 'hello', 'session'), (b'1234', 'data'), XClosedReason.ClosedByHost], log
    del log[:]
    udp.AsyncSendDatagram(b'telegram', (peer_name(), udp.LocalAddr[1]))
    pump(pool, lambda: log)
    assert log == [b'telegram']


def test_a_sensor_node():
    """It uses positional arguments, prints addresses, reports failures, and sends and receives with one socket."""
    pool = XAsyncSocketsPool()
    log = []
    udp = XAsyncUDPDatagram.Create(pool, free_addr('udp'), 256)
    assert '%s:%s' % udp.LocalAddr
    udp.OnDataRecv = lambda udp, remoteAddr, datagram: log.append(('%s:%s' % remoteAddr, bytes(datagram)))
    udp.OnFailsToSend = lambda udp, datagram, remoteAddr: log.append('failed')
    peer = udp_peer()
    udp.AsyncSendDatagram(b'temp=21.5', peer.addr)
    assert pump(pool, peer.receive) == (b'temp=21.5', udp.LocalAddr)
    peer.send(b'led=1', udp.LocalAddr)
    pump(pool, lambda: log)
    assert log == [('%s:%s' % peer.addr, b'led=1')]


def test_the_names_of_the_receive_arguments():
    for kwargs in ({'onDataRecv': 1, 'onDataRecvArg': 2}, {'onLineRecv': 1, 'onLineRecvArg': 2}):
        link = Link()
        values = {1: link.events.received, 2: 'arg'}
        link.client.AsyncRecvLine(timeoutSec=2, lineEncoding='UTF-8',
                                  **{name: values[place] for name, place in kwargs.items()})
        link.peer.send(b'line\n')
        link.pump(lambda: link.events.count('received'))
        assert link.events.events == [('received', 'line', 'arg')]
        link.end()


def test_data_has_tobytes():
    """Programs on CPython call data.tobytes()."""
    if MICROPYTHON:
        skip('MicroPython has no memoryview.tobytes')
    link = Link()
    got = []
    link.client.AsyncRecvData(4, lambda client, data, arg: got.append(data.tobytes()))
    link.peer.send(b'data')
    link.pump(lambda: got)
    assert got == [b'data']
