"""The image as a process, and a client of its control server.

The image is the one that the environment variable MICROPYTHON names, or else build/unix/micropython.
"""

import hmac
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "lib", ROOT, ROOT / "boards" / "UNIX" / "modules", ROOT / "build" / "page"]
IMAGE = os.environ.get("MICROPYTHON") or str(ROOT / "build" / "unix" / "micropython")
PATIENCE_S = 40  # a busy computer takes its time

QUIET = {
    "telemetry": {"broadcast": False, "interval_s": 0.1},
    "control": {"port": 0, "token": "a token for tests", "requests_per_s": 1000},
    "network": {"announce": 0},
    "http": {"port": 0},
}


def merge(base, extra):
    """Return `base` with the values of `extra` added to its sections."""
    return {key: {**base.get(key, {}), **extra.get(key, {})} for key in {**base, **extra}}


def image_environment(**extra):
    """Return the environment for the image. It reads modules that are not frozen from the sources."""
    environment = dict(os.environ, **extra)
    path = [environment.get("MICROPYPATH", ".frozen"), *map(str, SOURCES)]
    environment["MICROPYPATH"] = ":".join(path)
    return environment


def until(condition):
    """Wait until `condition()` holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "the condition did not become true in time"
        time.sleep(0.02)


def proof(token, purpose, challenge, asked=""):
    """Return the answer to a challenge, as docs/control.md describes it."""
    key = hmac.digest(token.encode(), purpose.encode(), "sha256")
    signed = f"{challenge['board']} {challenge['nonce']}" + (f" {asked}" if asked else "")
    return hmac.new(key, signed.encode(), "sha256").hexdigest()


def loopback(number):
    """Return an address of this computer for a client: 127.0.0.<number>."""
    address = f"127.0.0.{number}"
    with socket.socket() as trial:
        try:
            trial.bind((address, 0))
        except OSError:
            pytest.skip(f"{address} is not an address of this computer")
    return address


class Client:
    """A connection to a control server, from an address of this computer."""

    def __init__(self, port, ssl_context=None, source="127.0.0.1"):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S, (source, 0))
        if ssl_context:
            self.socket = ssl_context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self._file = self.socket.makefile("rb")
        self._id = 0

    def send(self, line):
        self.socket.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")

    def line(self):
        """Return the next line without its end, or "" if the board has closed the connection."""
        return self._file.readline().decode().rstrip("\n")

    def answer(self):
        return json.loads(self.line())

    def call(self, method, **params):
        """Send a request, and return the whole answer."""
        self._id += 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}))
        answer = self.answer()
        assert answer["id"] == self._id
        return answer

    def result(self, method, **params):
        answer = self.call(method, **params)
        assert "result" in answer, answer
        return answer["result"]

    def error(self, method, **params):
        answer = self.call(method, **params)
        assert "error" in answer, answer
        return answer["error"]

    def login(self, token=QUIET["control"]["token"]):
        return self.call("auth.login", response=self.proof("login", token=token))

    def proof(self, purpose, asked="", token=QUIET["control"]["token"]):
        return proof(token, purpose, self.result("auth.challenge"), asked)

    def close(self):
        self._file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class BoardProcess:
    """The firmware as a process, in a folder that is the board's filesystem."""

    command = [IMAGE, "-m", "firmware"]

    def __init__(self, folder):
        self.folder = folder
        self.output = []
        self._changed = threading.Condition()
        self._process = None
        self._reader = None
        self._ended = True

    def configure(self, **sections):
        self.write("config.json", json.dumps(merge(QUIET, sections)))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self):
        if not (self.folder / "config.json").exists():
            self.configure()
        self._process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=image_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        return self

    def _read(self, stream):
        for line in stream:
            with self._changed:
                self.output.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self):
        return "".join(self.output)

    def wait_for(self, pattern, start=0):
        """Wait for `pattern` in the output from line `start` on, and return the match."""

        def found():
            for line in self.output[start:]:
                match = re.search(pattern, line)
                if match:
                    return match
            return None

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, PATIENCE_S)
        match = found()
        assert match, f"no {pattern!r} in:\n{self.text}"
        return match

    @property
    def port(self):
        return int(self.wait_for(r"^control +TCP [\d.]+:(\d+)").group(1))

    @property
    def http_port(self):
        return int(self.wait_for(r"^page +http://[\d.]+:(\d+)/").group(1))

    def client(self):
        return Client(self.port)

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    @property
    def ended(self):
        """Return whether the process has ended and all its output has been read."""
        return self._ended

    def wait(self):
        """Wait for the end of the process, read the rest of its output, and return the exit code."""
        code = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def kill(self):
        self._process.kill()
        return self.wait()

    def end(self):
        if self._process and self._process.poll() is None:
            self.kill()
        print(self.text)  # pytest shows it if the test failed
