"""The program under test of the soak. It serves the commands of the scenarios, under CPython and MicroPython.

    served.py PORT THREADS

PORT is a free one on 127.0.0.1, for TCP and UDP; THREADS is what AsyncWaitEvents gets, or `own` for a loop in a thread
of the program's own. Each line that a connection
sends is a command, named at its method `do_…`; any handler may run in any worker. The library's millisecond counter is
made to wrap soon after the start.
"""
import gc
import json
import os
import sys
import time

import XAsyncSockets as library
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer, XAsyncUDPDatagram, XBufferSlots, XFiFo

try:
    from _thread import allocate_lock, start_new_thread
except ImportError:
    sys.exit('the soak needs an interpreter with threads')

MICROPYTHON = sys.implementation.name == 'micropython'
EMFILE = 24             # MicroPython's errno does not name it
SLOT_BYTES = 1024       # the longest line
CHUNK_BYTES = 3000      # of a download
FOREIGN_THREADS = 3
WRAP = 1 << 30          # the value at which the millisecond counter wraps
WRAPS_IN_MS = 15000


def pattern(size, start=0):
    """Byte number i is i modulo 251."""
    block = bytes(range(251))
    first = start % 251
    return (block * (size // 251 + 2))[first:first + size]


def wrap_soon():
    """Make the counter of all timeouts wrap WRAPS_IN_MS from now."""
    real = library._ticks_ms
    ahead = WRAP - WRAPS_IN_MS - real()
    library._ticks_ms = lambda: (real() + ahead) & (WRAP - 1)
    library._ticks_diff = lambda end, start: ((end - start + WRAP // 2) & (WRAP - 1)) - WRAP // 2
    library._ticks_add = lambda ticks, delta: (ticks + delta) & (WRAP - 1)


def open_files():
    names = os.listdir('/proc/self/fd') if hasattr(os, 'listdir') else list(os.ilistdir('/proc/self/fd'))
    return len(names)


class Connection:
    """The State of a connection. It has its name, and data for the checks."""

    def __init__(self):
        self.name = None
        self.ended = False
        self.in_handler = False


class Served:
    """The sockets, their handlers, and the counts that the scenarios request."""

    def __init__(self, port):
        self.lock = allocate_lock()
        self.counts = {}
        self.named = {}
        self.jobs = XFiFo()
        self.pool = XAsyncSocketsPool()
        self.pool.OnException = self.on_exception
        address = ('127.0.0.1', port)
        self.server = XAsyncTCPServer.Create(self.pool, address, 250, XBufferSlots(2000, SLOT_BYTES, keepAlloc=False))
        self.server.OnClientAccepted = self.on_accepted
        self.udp = XAsyncUDPDatagram.Create(self.pool, address, 1400)
        self.udp.OnRecv = self.on_datagram
        for _ in range(FOREIGN_THREADS):
            start_new_thread(self.do_jobs, ())

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + by

    # --- events

    def watch(self, client):
        client.State = Connection()
        client.OnClosed = self.on_closed
        self.count('opened')

    def on_accepted(self, server, client):
        self.watch(client)
        client.AsyncRecvLine(self.on_line)

    def on_closed(self, client, reason):
        if client.State.ended:
            self.count('closed twice')
        client.State.ended = True
        with self.lock:
            self.named.pop(client.State.name, None)
        self.count('closed')
        self.count('closed for reason %d' % reason)

    def on_exception(self, socket, exception):
        if socket is None and getattr(getattr(exception, '__cause__', None), 'errno', None) == EMFILE:
            return  # Create returned None; the scenario knows whether a flood of connections took the descriptors
        if 'on purpose' not in str(exception):
            self.count('unexpected: %r' % exception)
            sys.print_exception(exception) if MICROPYTHON else sys.excepthook(None, exception, exception.__traceback__)
        self.count('raised')

    def on_datagram(self, udp, address, data):
        self.count('datagrams')
        udp.AsyncSendDatagram(bytes(data), address)

    def on_line(self, client, line, arg):
        self.enter(client)
        try:
            word, _, rest = line.partition(' ')
            getattr(self, 'do_' + word, self.do_unknown)(client, rest)
        finally:
            client.State.in_handler = False

    def enter(self, client):
        self.count('messages')
        if client.State.in_handler:
            self.count('two handlers of a socket at once')
        client.State.in_handler = True

    # --- commands

    def do_unknown(self, client, rest):
        client.Close()

    def do_line(self, client, rest):
        """Send the rest of the line back."""
        client.AsyncSendData(rest.encode() + b'\n')
        client.AsyncRecvLine(self.on_line)

    def do_echo(self, client, rest):
        """Receive the requested number of bytes, and send them back."""
        client.AsyncRecvData(int(rest), self.on_data, None, 60)

    def on_data(self, client, data, arg):
        self.enter(client)
        client.AsyncSendData(data)
        client.AsyncRecvLine(self.on_line)
        client.State.in_handler = False

    def do_download(self, client, rest):
        """Send the requested number of bytes of the pattern, each chunk when the one before is complete."""
        self.on_sent(client, (int(rest), 0))
        client.AsyncRecvLine(self.on_line)

    def on_sent(self, client, arg):
        size, start = arg
        chunk = pattern(min(CHUNK_BYTES, size - start), start)
        if chunk:
            client.AsyncSendData(chunk, self.on_sent, (size, start + len(chunk)))

    def do_foreign(self, client, rest):
        """Let threads outside the pool send that many numbered lines each."""
        for thread in range(FOREIGN_THREADS):
            self.jobs.Put((self.send_numbered, client, thread, int(rest)))
        client.AsyncRecvLine(self.on_line)

    def do_foreign_close(self, client, rest):
        """Let another thread send the last words and close."""
        self.jobs.Put((self.say_goodbye, client))

    def do_foreign_receive(self, client, rest):
        """Let another thread start the next receive."""
        self.jobs.Put((self.receive, client))

    def do_raise(self, client, rest):
        client.AsyncRecvLine(self.on_line)
        raise ValueError('on purpose')

    def do_skip(self, client, rest):
        """Skip lines that are too long, and go on."""
        client.OnLineTooLong = self.on_line_too_long
        self.do_line(client, 'skipping')

    def on_line_too_long(self, client):
        self.enter(client)
        client.AsyncSendData(b'too long\n')
        client.State.in_handler = False

    def do_finish(self, client, rest):
        """Answer the peer's end after a while."""
        client.OnPeerFinished = self.on_peer_finished
        self.do_line(client, 'finishing')

    def on_peer_finished(self, client):
        self.enter(client)
        self.pool.CallLater(0.02, self.answer_late, client)
        client.State.in_handler = False

    def answer_late(self, client):
        client.AsyncSendData(b'late\n')
        client.Close()

    def do_slow(self, client, rest):
        """Wait the requested number of milliseconds."""
        time.sleep(int(rest) / 1000)
        self.do_line(client, 'slept')

    def do_timeout(self, client, rest):
        """Wait at most the requested number of milliseconds for the next line."""
        client.AsyncRecvLine(self.on_line, None, int(rest) / 1000)

    def do_name(self, client, rest):
        """Give this connection a name."""
        client.State.name = rest
        with self.lock:
            self.named[rest] = client
        self.do_line(client, rest)

    def do_kill(self, client, rest):
        """Close the connection of that name."""
        with self.lock:
            other = self.named.get(rest)
        self.do_line(client, 'no such' if other is None else 'closed' if other.Close() else 'was closed')

    def do_bye(self, client, rest):
        client.AsyncSendData(b'bye\n')
        client.Close()

    def do_connect(self, client, rest):
        """Connect to the port, send the word as a greeting, and serve the connection."""
        port, word = rest.split()
        other = XAsyncTCPClient.Create(self.pool, ('127.0.0.1', int(port)), 5, SLOT_BYTES)
        if other is None:
            self.do_line(client, 'not started')
            return
        self.watch(other)
        other.OnConnected = lambda other: (other.AsyncSendData(word.encode() + b'\n'),
                                           other.AsyncRecvLine(self.on_line))
        other.OnFailsToConnect = lambda other: (self.count('failed to connect'), client.AsyncSendData(b'failed\n'))
        client.AsyncRecvLine(self.on_line)

    def do_stats(self, client, rest):
        gc.collect()
        with self.lock:
            counts = dict(self.counts)
        counts['files'] = open_files()
        counts['sockets'] = len(self.pool.GetAllAsyncSockets())
        counts['heap'] = gc.mem_alloc() if MICROPYTHON else 0
        self.do_line(client, json.dumps(counts))

    def do_stop(self, client, rest):
        self.pool.StopWaitEvents()

    # --- threads of the program's own

    def do_jobs(self):
        while True:
            if self.jobs.Empty:
                time.sleep(0.002)
                continue
            try:
                job = self.jobs.Get()
            except library.XFiFoException:  # another thread was faster
                continue
            try:
                job[0](*job[1:])
            except Exception as ex:
                self.on_exception(None, ex)

    def send_numbered(self, client, thread, count):
        for number in range(count):
            if not client.AsyncSendData(b'%d %d\n' % (thread, number)):
                return

    def say_goodbye(self, client):
        client.AsyncSendData(b'bye\n')
        client.Close()

    def receive(self, client):
        client.AsyncRecvLine(self.on_line)


def main(port, threads):
    wrap_soon()
    served = Served(port)
    print('READY')
    if threads == 'own':
        start_new_thread(served.pool.AsyncWaitEvents, ())
        time.sleep(0.5)
    else:
        served.pool.AsyncWaitEvents(int(threads))
    while served.pool.WaitEventsProcessing:
        time.sleep(0.05)
    print('ENDED', len(served.pool.GetAllAsyncSockets()))


main(int(sys.argv[1]), sys.argv[2])
