"""The brokers that tests start: Debian's mosquitto and nats-server."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from free_ports import free_port

TLS_DIR = Path(__file__).resolve().parents[1] / 'tls'
PATIENCE_SEC = 30


class Broker:
    """A broker's process. It listens at `port`, also after a restart."""

    program = ''

    def __init__(self, folder, address='127.0.0.1', **more):
        path = shutil.which(self.program, path=os.environ['PATH'] + ':/usr/sbin')
        if path is None:
            pytest.skip('no %s: tools/setup/programs.sh peers' % self.program)
        self.folder = folder
        self.address = address
        self.log = folder / 'broker.log'
        self.port = free_port()
        self._command = [path, '-c', str(self.configure(**more))]
        self.process = None
        self.start()

    def configure(self, **more):
        raise NotImplementedError

    def start(self):
        with self.log.open('a') as log:
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE_SEC
        while True:
            with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 1):
                return
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def paused(self):
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


class Mosquitto(Broker):
    """A mosquitto. `lines` are further lines of its configuration."""

    program = 'mosquitto'

    def configure(self, lines=('allow_anonymous true',)):
        path = self.folder / 'mosquitto.conf'
        # It would become another user, who may not read the test's folder. And it would drop messages that it has
        # acknowledged, if 1000 wait for a slow receiver.
        general = ['user root', 'max_queued_messages 0', 'listener %d %s' % (self.port, self.address)]
        path.write_text('\n'.join([*general, *lines, '']))
        return path


class Nats(Broker):

    program = 'nats-server'

    def configure(self):
        path = self.folder / 'nats.conf'
        path.write_text('server_name: one\nlisten: "%s:%d"\njetstream {store_dir: "%s"}\nmqtt {listen: "%s:%d"}\n' % (
            self.address, free_port(), self.folder / 'store', self.address, self.port))
        return path
