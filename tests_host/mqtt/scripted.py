"""A broker that sends exactly the bytes of the test."""
import contextlib
import socket

from program import PATIENCE_SEC, receive

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14
CONNACK, PINGRESP = b'\x20\2\0\0', b'\xd0\0'


def packet(kind, body):
    """Return a packet of the standard, made independently of the client's code."""
    digits, size = b'', len(body)
    while True:
        size, digit = divmod(size, 128)
        digits += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([kind]) + digits + body


def message(topic, payload, flags=0, identifier=None):
    topic = topic.encode()
    body = len(topic).to_bytes(2, 'big') + topic
    if identifier is not None:
        body += identifier.to_bytes(2, 'big')
    return packet(PUBLISH << 4 | flags, body + payload)


class Connection:

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(PATIENCE_SEC)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send = sock.sendall

    def packet(self):
        """Return (kind, flags, body) of the client's next packet, or None at the end."""
        with contextlib.suppress(ConnectionError):
            first = self.sock.recv(1)
            if first:
                size = shift = 0
                while True:
                    digit = receive(self.sock, 1)[0]
                    size |= (digit & 127) << shift
                    shift += 7
                    if digit < 128:
                        break
                return first[0] >> 4, first[0] & 15, receive(self.sock, size)
        return None

    def expect(self, kind):
        """Return (flags, body) of the next packet, which must be of that kind."""
        found = self.packet()
        assert found is not None and found[0] == kind, found
        return found[1:]

    def greet(self):
        """Let the client connect and subscribe."""
        self.expect(CONNECT)
        self.send(CONNACK)
        _, body = self.expect(SUBSCRIBE)
        topics = 0
        rest = body[2:]
        while rest:
            rest = rest[2 + int.from_bytes(rest[:2], 'big') + 1:]
            topics += 1
        self.send(packet(0x90, body[:2] + bytes([1]) * topics))

    def close(self):
        self.sock.close()


class Scripted:

    def __init__(self):
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._listener.settimeout(PATIENCE_SEC)
        self.port = self._listener.getsockname()[1]
        self._connections = []

    def accept(self):
        self._connections.append(Connection(self._listener.accept()[0]))
        return self._connections[-1]

    def greeted(self):
        """Return a connection that is greeted. If this takes too long for the client, it connects again."""
        while True:
            connection = self.accept()
            with contextlib.suppress(AssertionError):
                connection.greet()
                return connection

    def stop(self):
        self._listener.close()
        for one in self._connections:
            one.close()
