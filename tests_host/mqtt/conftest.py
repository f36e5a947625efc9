"""The client under test is a copy of its two modules, which shows that they need nothing else of the firmware."""
import copy
import json
import os
import shutil
import socket
import time
from pathlib import Path

import brokers
import pytest
from program import PATIENCE_SEC, Program

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Driver:
    """A running driver.py."""

    def __init__(self, interpreter, folder, port, settings):
        self._seen = []
        self._program = Program(interpreter, HERE / 'driver.py', folder, port, json.dumps(settings))
        self._orders = socket.create_connection(('127.0.0.1', self.wait('port')[0]), 5)

    def wait(self, name):
        """Wait for the next event of that name, and return its arguments. Events before it are kept for later calls."""
        for index, (found, *words) in enumerate(self._seen):
            if found == name:
                del self._seen[index]
                return words
        end = time.monotonic() + PATIENCE_SEC
        while True:
            line = self._program.line()
            assert line is not None and time.monotonic() < end, self._program.text()
            if not line.startswith('['):
                continue
            found, *words = json.loads(line)
            if found == name:
                return words
            self._seen.append([found, *words])

    def order(self, *words):
        self._orders.sendall(json.dumps(words).encode() + b'\n')

    def publish(self, *words):
        """Return the result of publish()."""
        self.order('publish', *words)
        return self.wait('published')[0]

    def kill(self):
        self._program.stop()

    def stop(self):
        self._orders.close()
        self._program.stop()


@pytest.fixture(scope='session')
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp('modules')
    (folder / 'mqtt').mkdir()
    for name in ('client.py', 'packets.py'):
        shutil.copy(ROOT / 'firmware' / 'mqtt' / name, folder / 'mqtt')
    return folder


@pytest.fixture
def drive(interpreter, modules, tmp_path):
    """Returns drive(port, setting=value ...), which starts the client under the interpreter of the test."""
    started = []
    interpreter = copy.copy(interpreter)
    interpreter.environment = dict(interpreter.environment)
    name, separator = ('MICROPYPATH', ':') if 'MICROPYPATH' in interpreter.environment else ('PYTHONPATH', os.pathsep)
    interpreter.environment[name] = str(modules) + separator + interpreter.environment[name]

    def start(port, **settings):
        settings = {'client_id': 'client-%d' % len(started), **settings}
        started.append(Driver(interpreter, tmp_path, port, settings))
        return started[-1]

    yield start
    for driver in started:
        driver.stop()


def _broker(kind):
    @pytest.fixture(scope='module')
    def fixture(tmp_path_factory):
        broker = kind(tmp_path_factory.mktemp('broker'))
        yield broker
        broker.kill()
    return fixture


mosquitto = _broker(brokers.Mosquitto)
nats = _broker(brokers.Nats)
