"""Runs a program as a process under any interpreter, and communicates with it."""
import os
import queue
import socket
import subprocess
import threading
import time

PATIENCE_SEC = 30


class Program:
    """A running Python program."""

    def __init__(self, interpreter, path, cwd, *args):
        self._lines = queue.Queue()
        self._text = []
        self._process = subprocess.Popen(
            [*interpreter.command, str(path), *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=cwd,
            env={**os.environ, **interpreter.environment, 'PYTHONUNBUFFERED': '1'})
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with self._process.stdout as output:
            for line in output:
                self._text.append(line)
                self._lines.put(line.rstrip('\n'))
        self._lines.put(None)

    def text(self):
        return ''.join(self._text)

    def line(self):
        """Return the next line of its output, or None at the end."""
        try:
            return self._lines.get(timeout=PATIENCE_SEC)
        except queue.Empty:
            raise AssertionError('it printed nothing more after\n' + self.text())

    def rest(self):
        """Return the lines that it prints until it ends by itself."""
        lines = list(iter(self.line, None))
        assert self._process.wait(PATIENCE_SEC) == 0, self.text()
        return lines

    def running(self):
        return self._process.poll() is None

    def stop(self):
        """End it, and check that none of its handlers has raised an exception."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert 'Traceback' not in self.text(), self.text()

    def connect(self, port):
        """Return a connection to the program as soon as it listens."""
        start = time.monotonic()
        while True:
            try:
                return socket.create_connection(('127.0.0.1', port), PATIENCE_SEC)
            except ConnectionRefusedError:
                if not self.running() or time.monotonic() - start > PATIENCE_SEC:
                    raise AssertionError('it does not listen:\n' + self.text())
                time.sleep(0.02)


def receive(sock, size):
    """Return exactly `size` bytes."""
    data = b''
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, 'the connection ended after %r' % data
        data += part
    return data
