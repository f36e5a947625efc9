"""The scenarios of the soak: what the peers do, and what they must receive. Each scenario knows every byte that it has
to receive.

A scenario is a coroutine of `Stories`, named `story_…`. It fails by raising an exception. `told` counts how often each
one reached its end. The scenarios under FAULTS break something on purpose, and check the promises that still hold.
"""
import asyncio
import random
import socket
import struct
from collections import Counter

PATIENCE_SEC = 60
LINE_BYTES = 1024       # limited by served.SLOT_BYTES
FOREIGN_THREADS = 3


class Unexpected(Exception):
    """Other data arrived than was expected."""


def pattern(size):
    """Byte number i is i modulo 251."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


class Link:
    """One connection, and the bytes that are expected on it."""

    def __init__(self, reader, writer, counts):
        self._reader = reader
        self._writer = writer
        self._counts = counts

    async def say(self, data, messages=1):
        """Send `data`, sometimes in random pieces, like a network."""
        self._counts['messages sent'] += messages
        self._counts['bytes sent'] += len(data)
        if random.random() < 0.2:
            for _ in range(random.randint(1, 4)):
                cut = random.randint(0, len(data))
                self._writer.write(data[:cut])
                data = data[cut:]
                await asyncio.sleep(random.choice((0, 0, 0.002)))
        self._writer.write(data)
        await self._writer.drain()

    async def expect(self, data, messages=1):
        """Receive exactly `data`."""
        got = await self._within(self._reader.readexactly(len(data)))
        if got != data:
            at = next(i for i in range(len(data)) if got[i] != data[i])
            raise Unexpected('byte %d of %d: %r instead of %r' % (
                at, len(data), got[max(at - 20, 0):at + 20], data[max(at - 20, 0):at + 20]))
        self._counts['messages received'] += messages
        self._counts['bytes received'] += len(data)

    async def line(self):
        line = await self._within(self._reader.readline())
        self._counts['messages received'] += 1
        self._counts['bytes received'] += len(line)
        return line.decode().rstrip('\n')

    async def ask(self, text):
        await self.say(text.encode() + b'\n')
        return await self.line()

    async def expect_end(self):
        """Check that the other side closes without sending anything first."""
        try:
            rest = await self._within(self._reader.read(100))
        except ConnectionResetError:
            return
        if rest:
            raise Unexpected('%r instead of the end' % rest)

    async def read_slowly(self, size, chunk, pause):
        got = bytearray()
        while len(got) < size:
            data = await self._within(self._reader.read(min(chunk, size - len(got))))
            if not data:
                raise Unexpected('the end after %d of %d bytes' % (len(got), size))
            got += data
            await asyncio.sleep(pause)
        if got != pattern(size):
            raise Unexpected('a download of %d bytes differs from the data sent' % size)
        self._counts['messages received'] += 1
        self._counts['bytes received'] += size

    def half_close(self):
        self._writer.write_eof()

    def reset(self):
        sock = self._writer.get_extra_info('socket')
        if self._writer.transport.is_closing():     # the other side was faster
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self._writer.transport.abort()

    def close(self):
        self._writer.close()

    async def _within(self, reading):
        try:
            return await asyncio.wait_for(reading, PATIENCE_SEC)
        except asyncio.TimeoutError:
            raise Unexpected('nothing for %d s' % PATIENCE_SEC) from None
        except asyncio.IncompleteReadError as error:
            raise Unexpected('the end after %r' % error.partial[-40:]) from None


class Datagrams(asyncio.DatagramProtocol):
    """The UDP part. Each datagram comes back at most once, and unchanged."""

    def __init__(self):
        self.waiting = Counter()
        self.wrong = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        if self.waiting[data] < 1:
            self.wrong.append(data[:40])
        self.waiting[data] -= 1


class Stories:
    """All scenarios with one server at `port`."""

    def __init__(self, port):
        self.port = port
        self.counts = Counter()
        self.told = Counter()
        self.floods = 0         # floods of descriptors that have begun
        self.flooding = 0       # floods that are in progress: the server may have no free descriptors
        self._numbers = 0
        self._greeted = {}
        self._listener = None
        self._refusing = None
        self._datagrams = None

    async def begin(self):
        self._listener = await asyncio.start_server(self._on_connection, '127.0.0.1', 0, backlog=250)
        self._refusing = socket.socket()
        self._refusing.bind(('127.0.0.1', 0))
        _, self._datagrams = await asyncio.get_running_loop().create_datagram_endpoint(
            Datagrams, remote_addr=('127.0.0.1', self.port))

    async def end(self):
        self._listener.close()
        self._refusing.close()
        self._datagrams.transport.close()

    def kinds(self):
        return sorted(name[len('story_'):] for name in dir(self) if name.startswith('story_'))

    async def tell(self, kind):
        """One story on a connection of its own."""
        link = await self.connect()
        try:
            await getattr(self, 'story_' + kind)(link)
        except (ConnectionError, OSError) as error:
            raise Unexpected('%s: %r' % (kind, error)) from error
        finally:
            link.close()
        self.told[kind] += 1

    async def connect(self):
        for _ in range(100):
            try:
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection('127.0.0.1', self.port), PATIENCE_SEC)
                self.counts['connections'] += 1
                return Link(reader, writer, self.counts)
            except ConnectionError:     # the queue of the listening socket overflowed
                await asyncio.sleep(0.1)
        raise Unexpected('no connection in 100 attempts')

    async def _on_connection(self, reader, writer):
        word = (await reader.readline()).strip()
        if word in self._greeted:
            self.counts['connections'] += 1
            self._greeted.pop(word).set_result(Link(reader, writer, self.counts))
        else:
            writer.close()

    def _name(self):
        self._numbers += 1
        return 'n%d' % self._numbers

    # --- scenarios in which nothing breaks

    async def story_lines(self, link):
        for _ in range(random.randint(1, 5)):
            texts = [b'%d %s' % (number, pattern(random.randint(0, 60)).hex().encode())
                     for number in range(random.randint(1, 150))]
            answer = b''.join(text + b'\n' for text in texts)
            await asyncio.gather(link.say(b''.join(b'line ' + text + random.choice((b'\n', b'\r\n'))
                                                   for text in texts), len(texts)),
                                 link.expect(answer, len(texts)))

    async def story_blobs(self, link):
        for _ in range(random.randint(1, 4)):
            size = random.choice((1, 7, 1023, 1024, 1025, 1026, 5000, 70000))
            data = pattern(size)
            await asyncio.gather(link.say(b'echo %d\n%s' % (size, data)), link.expect(data))

    async def story_download(self, link):
        size = random.randint(1, 200000)
        await link.say(b'download %d\n' % size)
        await link.expect(pattern(size))

    async def story_slow_reader(self, link):
        size = random.randint(1000, 60000)
        await link.say(b'download %d\n' % size)
        await link.read_slowly(size, random.randint(500, 4000), 0.02)

    async def story_half_close(self, link):
        """All answers still come when the peer has ended its side."""
        count = random.randint(1, 100)
        await link.say(b''.join(b'line %d\n' % number for number in range(count)), count)
        link.half_close()
        await link.expect(b''.join(b'%d\n' % number for number in range(count)), count)
        await link.expect_end()

    async def story_last_words(self, link):
        await link.say(random.choice((b'bye\n', b'foreign_close\n')))
        await link.expect(b'bye\n')
        await link.expect_end()

    async def story_foreign_threads(self, link):
        """Three threads send at once. All lines arrive complete and exactly once, and those of a thread in order."""
        count = random.randint(1, 100)
        await link.say(b'foreign %d\n' % count)
        due = [0] * FOREIGN_THREADS
        for _ in range(FOREIGN_THREADS * count):
            thread, number = map(int, (await link.line()).split())
            if number != due[thread]:
                raise Unexpected('line %d of thread %d instead of %d' % (number, thread, due[thread]))
            due[thread] += 1
        await link.expect(b'', 0)
        if await link.ask('line still in step') != 'still in step':
            raise Unexpected('one line too many')

    async def story_foreign_receive(self, link):
        for number in range(random.randint(1, 20)):
            await link.say(b'foreign_receive\n')
            await link.say(b'line %d\n' % number)
            await link.expect(b'%d\n' % number)

    async def story_outgoing(self, link):
        word = self._name().encode()
        greeted = self._greeted[word] = asyncio.get_running_loop().create_future()
        port = self._listener.sockets[0].getsockname()[1]
        floods = self.floods, self.flooding
        await link.say(b'connect %d %s\n' % (port, word))
        answered = asyncio.ensure_future(link.line())
        done, _ = await asyncio.wait((greeted, answered), timeout=PATIENCE_SEC, return_when=asyncio.FIRST_COMPLETED)
        try:
            if greeted in done:
                other = greeted.result()
                for number in range(random.randint(1, 20)):
                    await other.say(b'line %d\n' % number)
                    await other.expect(b'%d\n' % number)
                other.close()
            elif not done:
                raise Unexpected('an outgoing connection neither came nor failed')
            elif floods == (self.floods, 0):
                raise Unexpected('an outgoing connection failed: %s' % answered.result())
        finally:
            answered.cancel()
            self._greeted.pop(word, None)

    async def story_datagrams(self, link):
        """Few at a time, so that no queue overflows; loss is allowed, doubling is not."""
        for _ in range(random.randint(1, 20)):
            data = b'%s %s' % (self._name().encode(), pattern(random.randint(0, 1300)))
            self._datagrams.waiting[data] += 1
            self._datagrams.transport.sendto(data)
            self.counts['datagrams sent'] += 1
            for _ in range(100):
                if not self._datagrams.waiting[data]:
                    self.counts['datagrams returned'] += 1
                    break
                await asyncio.sleep(0.01)
            del self._datagrams.waiting[data]
        if self._datagrams.wrong:
            raise Unexpected('an unexpected datagram: %r' % self._datagrams.wrong)

    async def story_slow_handler(self, link):
        await link.say(b'slow %d\n' % random.randint(1, 100))
        await link.expect(b'slept\n')

    # --- scenarios in which something breaks

    async def story_reset(self, link):
        """A reset at any moment: connecting, in a line, between lines, while data comes or goes."""
        try:
            for _ in range(random.randint(0, 3)):
                await link.say(random.choice((
                    b'', b'li', b'line x', b'line x\n', b'download 3000000\n', b'echo 100000\n', b'echo 100000\n' +
                    pattern(50000), b'timeout 5000\n', b'foreign 200\n', b'slow 20\n', b'line y\n' * 50)), 0)
            await asyncio.sleep(random.choice((0, 0, 0.001, 0.01, 0.05)))
        except OSError:     # two of these joined are an invalid command, for which the connection was closed
            pass
        link.reset()

    async def story_vanish(self, link):
        """The peer closes in the middle."""
        await link.say(random.choice((b'', b'li', b'echo 5000\nabc', b'download 100000\n', b'line a\nline b\n')), 0)

    async def story_silence(self, link):
        ms = random.randint(50, 1500)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await link.say(b'timeout %d\n' % ms)
        await link.expect_end()
        if loop.time() - start < ms / 1000 - 0.02:
            raise Unexpected('a timeout of %d ms after %.0f ms' % (ms, 1000 * (loop.time() - start)))

    async def story_long_line(self, link):
        """A line longer than the buffer ends its connection."""
        try:
            await link.say(b'line before\nline ' + b'x' * random.randint(LINE_BYTES, 20000) + b'\n')
            await link.expect(b'before\n')
            await link.expect_end()
        except OSError:
            pass

    async def story_noise(self, link):
        """Random bytes end the connection."""
        try:
            await link.say(bytes(random.randrange(256) for _ in range(random.randint(1, 3000))), 0)
            link.half_close()
            await link.expect_end()
        except OSError:     # it has closed already
            pass

    async def story_raising_handler(self, link):
        """A handler that raises ends its own connection."""
        if await link.ask('line before') != 'before':
            raise Unexpected('not served')
        try:
            await link.say(b'raise\nline never\n' * random.randint(1, 10))
            await link.expect_end()
        except OSError:     # it has closed already
            pass

    async def story_skipped_line(self, link):
        """A line longer than the buffer is reported, and the next one is received."""
        if await link.ask('skip') != 'skipping':
            raise Unexpected('not served')
        for number in range(random.randint(1, 5)):
            long_line = b'line ' + b'x' * random.randint(LINE_BYTES, 20000)
            await link.say(b'line before\n' + long_line + b'\nline %d\n' % number, 3)
            await link.expect(b'before\ntoo long\n%d\n' % number)

    async def story_late_answer(self, link):
        """The peer ends its sending first."""
        if await link.ask('finish') != 'finishing':
            raise Unexpected('not served')
        await link.say(b'line last\n')
        link.half_close()
        await link.expect(b'last\nlate\n')
        await link.expect_end()

    async def story_killed(self, link):
        """One connection's handler closes another connection."""
        name = self._name()
        if await link.ask('name ' + name) != name:
            raise Unexpected('no name')
        other = await self.connect()
        try:
            if await other.ask('kill ' + name) != 'closed':
                raise Unexpected('the connection to close was missing')
            await link.expect_end()
        finally:
            other.close()

    async def story_refused(self, link):
        port = self._refusing.getsockname()[1]
        floods = self.floods, self.flooding
        answer = await link.ask('connect %d x' % port)
        if answer != 'failed' and (answer != 'not started' or floods == (self.floods, 0)):
            raise Unexpected('%r for a refused connection' % answer)

    async def story_descriptor_flood(self, link):
        """More connections than the server has descriptors; then it serves again."""
        if self.flooding or random.random() > 0.05:     # this is rare, because everything waits meanwhile
            return
        self.floods += 1
        self.flooding += 1
        writers = []
        try:
            for _ in range(400):
                writers.append((await asyncio.open_connection('127.0.0.1', self.port))[1])
            self.counts['connections'] += 400
            await asyncio.sleep(0.3)
        finally:
            for writer in writers:
                writer.close()
            self.flooding -= 1
        self.counts['descriptor floods'] += 1
        if await link.ask('line and on') != 'and on':
            raise Unexpected('not served any more')


FAULTS = ('reset', 'vanish', 'silence', 'long_line', 'skipped_line', 'late_answer', 'noise', 'raising_handler',
          'killed', 'refused', 'slow_handler', 'slow_reader', 'descriptor_flood')
