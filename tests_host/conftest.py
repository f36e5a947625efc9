"""Collects each contract test once per interpreter, and runs it there in a process of its own.

`[cpython]` runs under the Python that runs pytest, `[micropython]` under the interpreter that the environment
variable MICROPYTHON names (build/unix/micropython where it is not set), with the library frozen in it where there
is one. XAS_EXPECT_FROZEN=1 makes a missing interpreter or a library that is not frozen an error; with 0 the library
comes from lib/ in any case. A module with OVER = ['', 'tls'] runs a second time with connections that are TLS.
"""
import ast
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TIME_LIMIT_SEC = 30     # of one test; a module may set its own, TIME_LIMIT_SEC = ...

EXPECT_FROZEN = os.environ.get('XAS_EXPECT_FROZEN')


class Interpreter:
    """How to run the portable runner, and why not, if so."""

    def __init__(self, name, command, environment, missing=None):
        self.name = name
        self.command = command
        self.environment = environment
        self.missing = missing

    def run(self, script, *args, environment=None, limit_sec=TIME_LIMIT_SEC):
        """Exit status and output; a process that takes too long is interrupted, which gives its traceback."""
        process = subprocess.Popen(
            [*self.command, str(script), *args], env={**os.environ, **self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output, _ = process.communicate(timeout=limit_sec)
            note = ''
        except subprocess.TimeoutExpired:
            note = '\nno end within %s s\n' % limit_sec
            process.send_signal(signal.SIGINT)
            try:
                output, _ = process.communicate(timeout=3)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
        return (1 if note else process.returncode), output.decode(errors='replace') + note


def _cpython():
    path = [ROOT / 'lib', HERE, HERE / 'contract']
    return Interpreter('cpython', [sys.executable, '-s'], {
        'PYTHONPATH': os.pathsep.join(map(str, path)),
        'PYTHONPYCACHEPREFIX': str(ROOT / 'build' / 'cache' / 'python')})


def _micropython():
    binary = os.environ.get('MICROPYTHON') or str(ROOT / 'build' / 'unix' / 'micropython')
    command = [binary, '-X', 'heapsize=16m']
    if shutil.which(binary) is None:
        return Interpreter('micropython', command, {}, missing='no MicroPython at %s' % binary)
    probe = subprocess.run([binary, '-c', 'import XAsyncSockets'], env={**os.environ, 'MICROPYPATH': '.frozen'},
                           stdin=subprocess.DEVNULL, capture_output=True, cwd='/')
    frozen = probe.returncode == 0 and EXPECT_FROZEN != '0'
    path = (['.frozen'] if frozen else [ROOT / 'lib', '.frozen']) + [HERE, HERE / 'contract']
    interpreter = Interpreter('micropython', command, {'MICROPYPATH': ':'.join(map(str, path))})
    interpreter.frozen = frozen
    return interpreter


INTERPRETERS = [_cpython(), _micropython()]


def pytest_report_header(config):
    micropython = INTERPRETERS[1]
    return 'micropython: ' + (micropython.missing or '%s, library %s' % (
        micropython.command[0], 'frozen' if micropython.frozen else 'from lib/'))


def pytest_configure(config):
    for interpreter in INTERPRETERS:
        config.addinivalue_line('markers', '%s: contract tests under this interpreter' % interpreter.name)
    micropython = INTERPRETERS[1]
    if EXPECT_FROZEN == '1' and (micropython.missing or not micropython.frozen):
        raise pytest.UsageError(micropython.missing or 'the library is not frozen in ' + micropython.command[0])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))    # the scale tests need thousands


class _Agent:
    """The peer agent of this session, started with the first test."""

    process = None

    @classmethod
    def addr(cls):
        if cls.process is None:
            cls.process = subprocess.Popen([sys.executable, str(HERE / 'peer_agent.py')],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            cls.port = int(cls.process.stdout.readline())
        return '127.0.0.1:%d' % cls.port

    @classmethod
    def stop(cls):
        if cls.process is not None:
            cls.process.stdin.close()
            cls.process.wait(timeout=5)
            cls.process = None


def pytest_unconfigure(config):
    _Agent.stop()


def pytest_generate_tests(metafunc):
    """Host tests that ask for `interpreter` run once with each."""
    if 'interpreter' in metafunc.fixturenames:
        metafunc.parametrize('interpreter', INTERPRETERS, ids=[interpreter.name for interpreter in INTERPRETERS],
                             indirect=True)


@pytest.fixture
def interpreter(request):
    if request.param.missing:
        pytest.skip(request.param.missing)
    return request.param


def pytest_pycollect_makemodule(module_path, parent):
    if module_path.parent == HERE / 'contract':
        return ContractModule.from_parent(parent, path=module_path)
    return None


class ContractModule(pytest.File):
    """A portable test module. It is read, not imported: it belongs to the interpreter that will run it."""

    def collect(self):
        limit_sec = TIME_LIMIT_SEC
        over = ['']
        for node in ast.parse(self.path.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'TIME_LIMIT_SEC':
                limit_sec = ast.literal_eval(node.value)
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'OVER':
                over = ast.literal_eval(node.value)
            if isinstance(node, ast.FunctionDef) and node.name.startswith('test_'):
                for interpreter, transport in itertools.product(INTERPRETERS, over):
                    name = interpreter.name + (transport and '-' + transport)
                    yield ContractTest.from_parent(
                        self, name='%s[%s]' % (node.name, name), function=node, interpreter=interpreter,
                        limit_sec=limit_sec, transport=transport)


class ContractFailure(Exception):
    """What the interpreter that ran the test printed."""


class ContractTest(pytest.Item):
    """One test function under one interpreter."""

    def __init__(self, *, function, interpreter, limit_sec, transport, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.interpreter = interpreter
        self.limit_sec = limit_sec
        self.transport = transport
        self.add_marker(interpreter.name)

    def runtest(self):
        if self.interpreter.missing:
            pytest.skip(self.interpreter.missing)
        status, output = self.interpreter.run(
            HERE / 'run_portable.py', self.path.stem, self.function.name,
            environment={'XAS_AGENT': _Agent.addr(), 'XAS_TRANSPORT': self.transport}, limit_sec=self.limit_sec)
        skipped = '\nSKIPPED %s: ' % self.function.name
        if skipped in output:
            pytest.skip(output.split(skipped)[1].splitlines()[0])
        if status != 0 or '\nPASSED ' + self.function.name not in output:
            raise ContractFailure('exit status %s\n%s' % (status, output))

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, ContractFailure):
            return '%s under %s\n%s' % (
                self.function.name, self.interpreter.name, self._with_source(str(excinfo.value)))
        return super().repr_failure(excinfo, style)

    def _with_source(self, text):
        """MicroPython's tracebacks name lines; show what stands there."""
        if self.interpreter.name == 'cpython':
            return text
        lines = []
        for line in text.splitlines():
            lines.append(line)
            if line.startswith('  File "'):
                path, _, rest = line[len('  File "'):].partition('", line ')
                number = rest.partition(',')[0]
                path = Path(path) if Path(path).is_file() else ROOT / 'lib' / path
                if path.is_file() and number.isdigit():
                    source = path.read_text(encoding='utf-8').splitlines()
                    lines.append('    ' + source[int(number) - 1].strip())
        return '\n'.join(lines)

    def reportinfo(self):
        return self.path, self.function.lineno - 1, self.name
