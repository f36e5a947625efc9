"""Fixtures: a process of either interpreter that runs the fuzzed targets."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = [HERE, ROOT / 'lib', ROOT, ROOT / 'boards' / 'UNIX' / 'modules']

os.environ.setdefault('HYPOTHESIS_STORAGE_DIRECTORY', str(ROOT / 'build' / 'cache' / 'hypothesis'))

for source in SOURCES:
    if str(source) not in sys.path:
        sys.path.append(str(source))


class Twin:
    """twin.py under an interpreter."""

    def __init__(self, interpreter, folder):
        self._interpreter = interpreter
        self._folder = folder
        self._process = None

    def _start(self):
        environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, SOURCES)), 'FUZZ_FOLDER': str(self._folder)}
        environment['MICROPYPATH'] = ':'.join(map(str, [*SOURCES, '.frozen']))
        self._process = subprocess.Popen([*self._interpreter.command, str(HERE / 'twin.py')], env=environment,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, target, data):
        """Return the target's result for `data` as text. An AssertionError says which promise is broken."""
        if self._process is None:
            self._start()
        self._process.stdin.write('%s %s\n' % (target, data.hex()))
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer.startswith('ok '), '%s(%r): %s' % (target, data, answer.replace(' | ', '\n') or 'it died')
        return answer[3:-1]

    def end(self):
        if self._process is not None:
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait(10)


_twins = {}


@pytest.fixture
def twin(interpreter, tmp_path_factory):
    """One process per interpreter for all tests here."""
    if interpreter.name not in _twins:
        _twins[interpreter.name] = Twin(interpreter, tmp_path_factory.mktemp(interpreter.name))
    return _twins[interpreter.name]


def pytest_unconfigure(config):
    while _twins:
        _twins.popitem()[1].end()
