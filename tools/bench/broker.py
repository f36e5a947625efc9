"""The load of the MQTT rows: a broker, and a client that asks a side for messages or sends it some."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

BURST = 200  # messages under way; a broker would drop more than a client can receive
SIZE = 64
PATIENCE_SECONDS = 10


def text(value):
    """Return bytes with their length before them."""
    return len(value).to_bytes(2, "big") + value


@contextlib.contextmanager
def broker(port, prepare):
    """Run mosquitto at `port` during the block."""
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        raise FileNotFoundError("mosquitto is not installed")
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "mosquitto.conf"
        settings.write_text(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        process = subprocess.Popen([program, "-c", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   preexec_fn=prepare)
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while True:
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError("mosquitto does not listen")
                time.sleep(0.02)
            yield
        finally:
            process.kill()
            process.wait()


class Load:
    """A connection to the broker. Its own messages have packets of less than 128 bytes."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        self._socket.sendall(self._packet(0x10, text(b"MQTT") + b"\4\2\0\0" + text(b"load")))
        self._kinds(0x20, 1)
        self._socket.sendall(self._packet(0x82, b"\0\1" + text(b"out/+") + b"\0" + text(b"done/+") + b"\0"))
        self._kinds(0x90, 1)

    @staticmethod
    def _packet(kind, body):
        return bytes((kind, len(body))) + body

    def _kinds(self, kind, count):
        """Wait until `count` packets of that kind have arrived."""
        while count:
            size = self._unread[1] + 2 if len(self._unread) > 1 else 2
            if len(self._unread) < size or size == 2:
                more = self._socket.recv(65536)
                if not more:
                    raise ConnectionError("the broker closed the connection")
                self._unread += more
                continue
            at = 0
            unread = self._unread
            while at + 1 < len(unread) and at + 2 + unread[at + 1] <= len(unread) and count:
                count -= unread[at] & 0xF0 == kind & 0xF0
                at += 2 + unread[at + 1]
            self._unread = unread[at:]

    def ask(self, name):
        """Have the side publish a burst, and wait until all of it has arrived."""
        self._socket.sendall(self._packet(0x30, text(b"go/" + name) + b"%d" % BURST))
        self._kinds(0x30, BURST)

    def give(self, name, qos):
        """Publish a burst, and wait until the side has confirmed it."""
        topic = text(b"in/" + name)
        if qos:
            packets = [self._packet(0x32, topic + number.to_bytes(2, "big") + bytes(SIZE))
                       for number in range(1, BURST + 1)]
        else:
            packets = [self._packet(0x30, topic + bytes(SIZE))] * BURST
        self._socket.sendall(b"".join(packets))
        self._kinds(0x30, 1)

    def close(self):
        self._socket.close()


def cpu_seconds(pid):
    """Return the processor time of all threads of a process."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e9


def exchange(port, pid, name, qos, direction, seconds, warmup):
    """Exchange bursts with the side `name`; return the same report as the load generator."""
    load = Load(port)
    one = load.ask if direction == "out" else lambda side: load.give(side, qos)
    try:
        deadline = time.perf_counter() + warmup
        while time.perf_counter() < deadline:
            one(name)
        messages = 0
        start, own, cpu = time.perf_counter(), time.process_time(), cpu_seconds(pid)
        while time.perf_counter() < start + seconds:
            one(name)
            messages += BURST
        return {"messages": messages, "seconds": time.perf_counter() - start, "server_cpu": cpu_seconds(pid) - cpu,
                "load_cpu": time.process_time() - own, "lost": 0}
    finally:
        load.close()
