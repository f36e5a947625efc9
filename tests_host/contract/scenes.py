"""Pools, servers and connections for contract tests, and a recorder of their events."""
from harness import (
    MICROPYTHON,
    OVER_TLS,
    SLOW,
    THREADS,
    TLS_FOLDER,
    allocate_lock,
    connect_peer,
    free_addr,
    limit_send_buffer,
    listen_peer,
    pump,
    pump_for,
)

import XAsyncSockets
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer, XBufferSlots, XClosedReason

BUFFER_SIZE = 256       # size of the slots of `Link`; small, so that tests fill it


class Recorder:
    """Event handlers that record their arguments, safe between threads."""

    def __init__(self):
        self.events = []
        self._lock = allocate_lock() if THREADS else None

    def _note(self, *event):
        if self._lock:
            with self._lock:
                self.events.append(event)
        else:
            self.events.append(event)

    def accepted(self, server, client):
        self._note('accepted', server, client)

    def connected(self, client):
        self._note('connected', client)

    def failed(self, client):
        self._note('failed', client)

    def received(self, client, data, arg):
        self._note('received', data if isinstance(data, str) else bytes(data), arg)

    def sent(self, client, arg):
        self._note('sent', arg)

    def closed(self, socket, reason):
        self._note('closed', reason)

    def datagram(self, udp, addr, data):
        self._note('datagram', addr, bytes(data))

    def not_sent(self, udp, data, addr):
        self._note('not_sent', bytes(data), addr)

    def raised(self, socket, exception):
        self._note('raised', socket, exception)

    def called(self, arg):
        self._note('called', arg)

    def names(self):
        return [event[0] for event in list(self.events)]

    def count(self, name):
        return self.names().count(name)

    def values(self, name):
        """Return the first values of the events of that name, in order."""
        return [event[1] for event in list(self.events) if event[0] == name]

    def data(self):
        """Return all received bytes, joined."""
        return b''.join(self.values('received'))

    def reason(self):
        """Return the reason of the close. There must be exactly one."""
        reasons = self.values('closed')
        assert len(reasons) == 1, reasons
        return reasons[0]

    def watch(self, client):
        """Record the events of a TCP client."""
        client.OnConnected = self.connected
        client.OnFailsToConnect = self.failed
        client.OnClosed = self.closed
        return client


def serve(pool, on_accepted, **kwargs):
    """Return a server of the library, with small buffers by default."""
    if not ('recvBufSlots' in kwargs or 'bufSlots' in kwargs):
        kwargs['recvBufSlots'] = XBufferSlots(16, BUFFER_SIZE)
    server = XAsyncTCPServer.Create(pool, free_addr(), **kwargs)
    server.OnClientAccepted = on_accepted
    return server


class Link:
    """One connection between the library and a raw peer, in a pool of its own. The library has accepted it, or made it
    if `outgoing`. It uses TLS if the test is collected so. The peer of a `slow` one has stopped reading, and the system
    takes little data."""

    def __init__(self, outgoing=False, slow=False, pool=None, **kwargs):
        recv_buffer = SLOW if slow else 0
        self.pool = pool or XAsyncSocketsPool()
        self.events = Recorder()
        self.server = None
        self.client = None
        if outgoing:
            listener = listen_peer(recv_buffer)
            kwargs.setdefault('recvbufLen', BUFFER_SIZE)
            self.client = XAsyncTCPClient.Create(self.pool, listener.addr, **kwargs)
            self.client._host_name = 'localhost'    # the name in the certificates of the peers
            connected = Recorder()
            self.client.OnConnected = connected.connected
            self.pump(lambda: connected.events)
            self.peer = self.pump(listener.accept)
        else:
            self.server = serve(self.pool, self._accepted, **kwargs)
            self.peer = connect_peer(self.server.SrvAddr, recv_buffer)
            self.pump(lambda: self.client)
        if OVER_TLS:
            self.start_tls()
        self.events.watch(self.client)
        if slow:
            limit_send_buffer(self.client.GetSocketObj())
            self.peer.pause()

    def _accepted(self, server, client):
        self.client = client

    def start_tls(self):
        self.peer.start_tls('client' if self.server else 'server')
        self.client.StartSSLContext(server_context() if self.server else client_context(), bool(self.server))
        self.pump(lambda: self.peer.state() == 'secure')

    def pump(self, condition, limit_sec=5):
        return pump(self.pool, condition, limit_sec)

    def pump_for(self, ms):
        pump_for(self.pool, ms)

    def pump_closed(self, limit_sec=5):
        """Run until the connection is closed, and return the reason."""
        self.pump(lambda: self.events.count('closed'), limit_sec)
        return self.events.reason()

    def pump_received(self, size):
        """Run until the peer has received `size` bytes, and return all it has."""
        self.pump(lambda: self.peer.received_count() >= size)
        return self.peer.received()

    def read_lines(self, count):
        """Receive `count` lines, re-arming from inside the handler."""
        lines = []

        def on_line(client, line, arg):
            lines.append(line)
            if len(lines) < count:
                client.AsyncRecvLine(on_line)

        self.client.AsyncRecvLine(on_line)
        return lines

    def end(self):
        self.client.Close()
        if self.server:
            self.server.Close()
        self.peer.close()
        self.pump(lambda: not self.pool.GetAllAsyncSockets(), limit_sec=10)


def links(**kwargs):
    """Yield an accepted connection and then an outgoing one, for tests that must hold for both."""
    for outgoing in (False, True):
        link = Link(outgoing, **kwargs)
        yield link
        link.end()


# TLS: certificates in tests_host/tls, all of them with the key `server.key`.

def certificate(name='server'):
    """Return the path of a certificate. `server` is for localhost and 127.0.0.1, and self-signed."""
    return '%s/%s.crt' % (TLS_FOLDER, name)


KEY = TLS_FOLDER + '/server.key'


def _der(path):
    """Return the certificate or key as DER, because MicroPython's mbedTLS cannot read PEM."""
    from binascii import a2b_base64
    with open(path) as file:
        return a2b_base64(''.join([line for line in file.read().split('\n') if not line.startswith('-')]))


def server_context(name='server'):
    if MICROPYTHON:
        import tls
        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_der(certificate(name)), _der(KEY))
    else:
        import ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(name), KEY)
    return context


def client_context(authority='server'):
    """Return a context that requires a certificate of that authority for the right host name."""
    if MICROPYTHON:
        import tls
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(_der(certificate(authority)))
    else:
        import ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate(authority))
    return context


def module():
    """Return the library's module, for its module-level names."""
    return XAsyncSockets


REASONS = (XClosedReason.Error, XClosedReason.ClosedByHost, XClosedReason.ClosedByPeer, XClosedReason.Timeout)
