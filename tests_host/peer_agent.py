"""The other end of every connection under test: raw TCP and UDP peers, controlled by lines of text.

The library must not be tested with itself, and not every interpreter or chip can behave like an awkward peer
(half-close, reset, refuse, never answer). So the peers are here, in one CPython process. A test requests them over a
plain TCP control connection, from this machine or from a board on the network:

    request:  <command> <argument> ...       answer:  ok <value> ...   or   error <message>

Bytes travel as hexadecimal, `-` stands for none. The peers of a control connection end with it.
Run it as `peer_agent.py [ip]`: it prints its port and serves until its standard input ends.
"""
import asyncio
import logging
import os
import random
import resource
import socket
import ssl
import struct
import sys

TLS_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tls')
CONNECT_LIMIT_SEC = 10
FREE_PORTS = 20000, 32000    # below the range from which systems choose ports
LINE_LIMIT = 4 * 1024 * 1024


def pattern(size, start=0):
    """Return the test pattern: byte number i is i modulo 251, so that a lost or moved block is noticed."""
    block = bytes(range(251))
    first = start % 251
    return (block * (size // 251 + 2))[first:first + size]


class TcpPeer(asyncio.Protocol):
    """One raw TCP connection: keeps the received data and the kind of its end."""

    def __init__(self, listener=None):
        self.listener = listener
        self.transport = None
        self.data = bytearray()
        self.state = 'open'
        self.rounds = 0
        self.rounds_left = 0
        self.message = b''

    def connection_made(self, transport):
        self.transport = transport
        # asyncio does so itself for some sockets only; a chip acknowledges late.
        transport.get_extra_info('socket').setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.listener is not None:
            self.listener.accepted.append(self)

    def data_received(self, data):
        self.data += data
        if self.rounds_left and len(self.data) >= len(self.message):
            same = self.data == self.message
            self.data.clear()
            if same:
                self.rounds += 1
                self.rounds_left -= 1
                if self.rounds_left:
                    self.transport.write(self.message)
            else:
                self.rounds_left = 0

    def eof_received(self):
        self.state = 'eof'
        return self.transport.get_extra_info('sslcontext') is None   # stay open for sending

    def connection_lost(self, exc):
        if self.state != 'closed':
            self.state = 'reset' if exc is not None else 'eof' if self.state == 'eof' else 'closed'

    def echo(self, rounds, size):
        self.data.clear()
        self.message = pattern(size)
        self.rounds, self.rounds_left = 0, rounds
        self.transport.write(self.message)

    def close(self):
        self.state = 'closed'
        self.transport.close()

    def reset(self):
        self.state = 'closed'
        sock = self.transport.get_extra_info('socket')
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.transport.abort()


class Listener:
    """A raw listening socket and the connections it accepted."""

    def __init__(self):
        self.accepted = []
        self.server = None

    def close(self):
        self.server.close()


class Crowd:
    """Many connections. Each sends a line and waits for one."""

    AT_ONCE = 100   # pending connects; with more, a server's queue could overflow

    def __init__(self, ip, port, count):
        self.answered = 0
        self.writers = []
        self._gate = asyncio.Semaphore(self.AT_ONCE)
        self._tasks = [asyncio.ensure_future(self._one(ip, port)) for _ in range(count)]

    async def _one(self, ip, port):
        async with self._gate:
            reader, writer = await asyncio.open_connection(ip, port)
            self.writers.append(writer)
            writer.write(b'hello\n')
            line = await reader.readline()
        while line == b'hello\n':
            self.answered += 1
            line = await reader.readline()

    def ask_again(self):
        for writer in self.writers:
            writer.write(b'hello\n')

    def close(self):
        for task in self._tasks:
            task.cancel()
        for writer in self.writers:
            writer.close()


class UdpPeer(asyncio.DatagramProtocol):
    """A raw UDP socket: keeps the datagrams it receives, with their senders."""

    def __init__(self, sock):
        self.sock = sock
        self.transport = None
        self.datagrams = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.datagrams.append((addr, data))

    def close(self):
        self.transport.close()


class HeldSockets:
    """Plain sockets that only need to exist."""

    def __init__(self, *socks):
        self.socks = list(socks)

    def close(self):
        for sock in self.socks:
            sock.close()


class Session:
    """The commands of one control connection, and the peers that it has requested."""

    given = set()  # ports, of all connections

    def __init__(self, ip):
        self.ip = ip
        self.things = {}
        self.upgrades = []

    def _keep(self, thing):
        number = len(self.things) + 1
        self.things[number] = thing
        return number

    def _thing(self, number):
        return self.things[int(number)]

    def end(self):
        for thing in self.things.values():
            thing.close()

    # Ports and addresses

    async def do_free(self, kind):
        """Return a port that was just free, outside of the range for connections. Each is returned only once, because
        a board may still use it."""
        while True:
            port = random.randrange(*FREE_PORTS)
            if port in self.given:
                continue
            self.given.add(port)
            with socket.socket(type=socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM) as sock:
                try:
                    sock.bind(('', port))
                    return port
                except OSError:
                    continue

    async def do_refusing(self):
        """Return a port that refuses connections. It is bound, so that it stays reserved, but does not listen."""
        sock = socket.socket()
        sock.bind((self.ip, 0))
        self._keep(HeldSockets(sock))
        return sock.getsockname()[1]

    async def do_deaf(self):
        """Return a port that does not answer: its listener never accepts, and its queue is already full."""
        listener = socket.socket()
        listener.bind((self.ip, 0))
        listener.listen(0)
        held = HeldSockets(listener)
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            held.socks.append(sock)
        self._keep(held)
        return listener.getsockname()[1]

    # TCP

    async def do_listen(self, recv_buffer='0'):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if int(recv_buffer):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(recv_buffer))
        sock.bind((self.ip, 0))
        listener = Listener()
        loop = asyncio.get_running_loop()
        listener.server = await loop.create_server(lambda: TcpPeer(listener), sock=sock)
        return self._keep(listener), sock.getsockname()[1]

    async def do_accept(self, number):
        """Return the next connection of a listener and its remote port, or 0 if there is none yet."""
        accepted = self._thing(number).accepted
        if not accepted:
            return 0
        peer = accepted.pop(0)
        return self._keep(peer), peer.transport.get_extra_info('peername')[1]

    async def do_connect(self, ip, port, recv_buffer='0'):
        sock = socket.socket()
        sock.setblocking(False)
        if int(recv_buffer):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(recv_buffer))
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_connect(sock, (ip, int(port))), CONNECT_LIMIT_SEC)
        except BaseException:
            sock.close()
            raise
        _, peer = await loop.create_connection(TcpPeer, sock=sock)
        return self._keep(peer), sock.getsockname()[1]

    async def do_send(self, number, data):
        self._thing(number).transport.write(bytes.fromhex(data))

    async def do_pattern(self, number, size, start):
        self._thing(number).transport.write(pattern(int(size), int(start)))

    async def do_echo(self, number, rounds, size):
        """Send a message and wait until it comes back, repeatedly: `rounds` counts the messages."""
        self._thing(number).echo(int(rounds), int(size))

    async def do_rounds(self, number):
        return self._thing(number).rounds

    async def do_pause(self, number):
        self._thing(number).transport.pause_reading()

    async def do_resume(self, number):
        self._thing(number).transport.resume_reading()

    async def do_state(self, number):
        """Return the number of bytes received so far, and "open", "eof", "reset" or "closed"."""
        peer = self._thing(number)
        return len(peer.data), peer.state

    async def do_received(self, number, start, size):
        start = int(start)
        return bytes(self._thing(number).data[start:start + int(size)]).hex() or '-'

    async def do_matches(self, number, start):
        """Return True if all received data is the test pattern from `start` on."""
        data = self._thing(number).data
        return data == pattern(len(data), int(start))

    async def do_half_close(self, number):
        self._thing(number).transport.write_eof()

    async def do_close(self, number):
        self._thing(number).close()

    async def do_reset(self, number):
        self._thing(number).reset()

    async def do_cut_off(self, number):
        """End the sending without close_notify, by a second handle of the socket."""
        peer = self._thing(number)
        with socket.socket(fileno=os.dup(peer.transport.get_extra_info('socket').fileno())) as sock:
            sock.shutdown(socket.SHUT_WR)

    async def do_tls(self, number, side, certificate, ciphers):
        """Start TLS on a connection, which then sends and receives as before; the state shows the result."""
        peer = self._thing(number)
        certificate = os.path.join(TLS_DIR, certificate + '.crt')
        if side == 'server':
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, os.path.join(TLS_DIR, 'server.key'))
        else:
            context = ssl.create_default_context(cafile=certificate)
        context.options &= ~getattr(ssl, 'OP_IGNORE_UNEXPECTED_EOF', 0)
        if ciphers != '-':
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(ciphers)
        loop = asyncio.get_running_loop()
        peer.transport.pause_reading()

        async def upgrade():
            try:
                peer.transport = await loop.start_tls(
                    peer.transport, peer, context, server_side=side == 'server',
                    server_hostname=None if side == 'server' else 'localhost')
                peer.state = 'secure'
            except Exception as exc:
                peer.state = 'failed:' + type(exc).__name__

        self.upgrades.append(asyncio.ensure_future(upgrade()))

    async def do_crowd(self, ip, port, count):
        return self._keep(Crowd(ip, int(port), int(count)))

    async def do_answered(self, number):
        return self._thing(number).answered

    async def do_ask_again(self, number):
        self._thing(number).ask_again()

    # UDP

    async def do_udp(self):
        loop = asyncio.get_running_loop()
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind((self.ip, 0))
        _, peer = await loop.create_datagram_endpoint(lambda: UdpPeer(sock), sock=sock)
        return self._keep(peer), sock.getsockname()[1]

    async def do_sendto(self, number, ip, port, data):
        # Sent with the socket, because asyncio's transport does not send empty datagrams.
        self._thing(number).sock.sendto(b'' if data == '-' else bytes.fromhex(data), (ip, int(port)))

    async def do_datagram(self, number):
        """Return the next datagram received, with its sender, or `none`."""
        datagrams = self._thing(number).datagrams
        if not datagrams:
            return 'none'
        (ip, port), data = datagrams.pop(0)
        return ip, port, data.hex() or '-'

    async def serve(self, reader, writer):
        try:
            while True:
                words = (await reader.readline()).decode().split()
                if not words:
                    break
                try:
                    result = await getattr(self, 'do_' + words[0])(*words[1:])
                    values = () if result is None else result if isinstance(result, tuple) else (result,)
                    answer = ' '.join(['ok'] + [str(value) for value in values])
                except Exception as exc:
                    answer = 'error %s: %s' % (type(exc).__name__, exc)
                writer.write((answer.replace('\n', ' ') + '\n').encode())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.end()
            writer.close()


async def main(ip):
    def serve(reader, writer):
        writer.get_extra_info('socket').setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Session(ip).serve(reader, writer)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)     # tests cause resets on purpose
    logging.disable()
    server = await asyncio.start_server(serve, ip, 0, limit=LINE_LIMIT)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == '__main__':
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else '127.0.0.1'))
