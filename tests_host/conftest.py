"""Collects each contract test once per interpreter, and runs it in a separate process.

    cpython         the Python that runs pytest
    micropython     the program in the environment variable MICROPYTHON, by default build/unix/micropython
    esp32           the program in ESP32_SOCKETS, by default build/unix-esp32-sockets/micropython, with the peers
                    on the loopback inside its process
    esp32_tap       the same, with the peers behind an Ethernet interface

If the library is frozen into MicroPython, the frozen one is tested. With XAS_EXPECT_FROZEN=1, a missing MICROPYTHON or
a library that is not frozen is an error; with 0 the library comes from lib/ in any case. A module with OVER = ['',
'tls'] runs a second time under the first two interpreters, with TLS connections.
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

# The modules that tests of every folder import: the library, the firmware, the tools, and each other's helpers.
for folder in ('lib', '', 'boards/UNIX/modules', 'tests_host/firmware', 'tests_host/tools'):
    sys.path.append(str(ROOT / folder))

import networks  # noqa: E402
from fixtures import board, collector, own_time, serial_board, terminal, tool  # noqa: E402, F401

# Tests import this module by another name, because other folders have a conftest, too.
sys.modules['host_conftest'] = sys.modules[__name__]

TIME_LIMIT_SEC = 30     # per test; a module may set its own TIME_LIMIT_SEC and its INTERPRETERS

EXPECT_FROZEN = os.environ.get('XAS_EXPECT_FROZEN')


class Interpreter:
    """An interpreter: the command that runs the portable runner, or the reason why it cannot run."""

    def __init__(self, name, command, path, network, missing=None):
        self.name = name
        self.command = command
        self.environment = path     # environment variables with the paths of its modules
        self.network = network
        self.missing = missing or network.missing
        self.left_out = {}          # text in a test's source: the reason why it does not run here

    def reason_to_leave_out(self, source):
        return next((reason for text, reason in self.left_out.items() if text in source), None)

    def run(self, script, *args, environment=None, limit_sec=TIME_LIMIT_SEC):
        """Return exit status and output. A process that takes too long is interrupted and prints its traceback."""
        process = subprocess.Popen(
            [*self.network.prefix, *self.command, str(script), *args],
            env={**os.environ, **self.environment, **(environment or {})},
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


def _cpython(network):
    path = [ROOT / 'lib', HERE, HERE / 'contract']
    return Interpreter('cpython', [sys.executable, '-s'], {
        'PYTHONPATH': os.pathsep.join(map(str, path)),
        'PYTHONPYCACHEPREFIX': str(ROOT / 'build' / 'cache' / 'python'), 'PYTHONDONTWRITEBYTECODE': ''}, network)


def _micropython(name, binary, network, advice):
    command = [binary, '-X', 'heapsize=16m']
    if shutil.which(binary) is None:
        return Interpreter(name, command, {}, network, missing='no MicroPython at %s%s' % (binary, advice))
    probe = subprocess.run([binary, '-c', 'import XAsyncSockets'], env={**os.environ, 'MICROPYPATH': '.frozen'},
                           stdin=subprocess.DEVNULL, capture_output=True, cwd='/')
    frozen = probe.returncode == 0 and EXPECT_FROZEN != '0'
    path = (['.frozen'] if frozen else [ROOT / 'lib', '.frozen']) + [HERE, HERE / 'contract']
    interpreter = Interpreter(name, command, {'MICROPYPATH': ':'.join(map(str, path))}, network)
    interpreter.frozen = frozen
    return interpreter


def _interpreters():
    host = networks.Host()
    yield _cpython(host)
    yield _micropython('micropython', os.environ.get('MICROPYTHON') or str(ROOT / 'build' / 'unix' / 'micropython'),
                       host, '')
    esp32 = os.environ.get('ESP32_SOCKETS') or str(ROOT / 'build' / 'unix-esp32-sockets' / 'micropython')
    for name, network in (('esp32', networks.InProcess()), ('esp32_tap', networks.PrivateTap())):
        interpreter = _micropython(name, esp32, network, ': make unix-esp32-sockets')
        interpreter.left_out = {'doubles.': 'this interpreter has real sockets; doubles.py is for those without'}
        yield interpreter


INTERPRETERS = list(_interpreters())
CPYTHON_AND_MICROPYTHON = INTERPRETERS[:2]


def pytest_report_header(config):
    return ['%s: %s' % (interpreter.name, interpreter.missing or '%s, library %s' % (
        interpreter.command[0], 'frozen' if interpreter.frozen else 'from lib/')) for interpreter in INTERPRETERS[1:]]


def pytest_configure(config):
    for interpreter in INTERPRETERS:
        config.addinivalue_line('markers', '%s: contract tests under this interpreter' % interpreter.name)
    micropython = INTERPRETERS[1]
    if EXPECT_FROZEN == '1' and (micropython.missing or not micropython.frozen):
        raise pytest.UsageError(micropython.missing or 'the library is not frozen in ' + micropython.command[0])
    # A background job ignores this signal, and so would all programs that the tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))    # the scale tests need thousands


def pytest_unconfigure(config):
    for interpreter in INTERPRETERS:
        interpreter.network.stop()


@pytest.hookimpl(tryfirst=True)     # before xdist reads the marks
def pytest_collection_modifyitems(items):
    """Divide the tests among the processes. Tests that share a fixture of their module stay together in one process."""
    for item in items:
        fixtures = getattr(item, '_fixtureinfo', None)
        if fixtures and any(found[-1].scope == 'module' for found in fixtures.name2fixturedefs.values()):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_generate_tests(metafunc):
    """Run host tests with the fixture `interpreter` once with each interpreter that uses this computer's network."""
    if 'interpreter' in metafunc.fixturenames:
        metafunc.parametrize('interpreter', CPYTHON_AND_MICROPYTHON,
                             ids=[interpreter.name for interpreter in CPYTHON_AND_MICROPYTHON], indirect=True)


@pytest.fixture
def interpreter(request):
    if request.param.missing:
        pytest.skip(request.param.missing)
    return request.param


@pytest.fixture(scope='session')
def micropython():
    """The interpreter that MICROPYTHON names. It may be missing."""
    return INTERPRETERS[1]


@pytest.fixture
def esp32():
    """The interpreter with the ESP32's socket layer."""
    interpreter = INTERPRETERS[2]
    if interpreter.missing:
        pytest.skip(interpreter.missing)
    return interpreter


def pytest_pycollect_makemodule(module_path, parent):
    if module_path.parent == HERE / 'contract':
        return ContractModule.from_parent(parent, path=module_path)
    return None


class ContractModule(pytest.File):
    """A portable test module. It is read and not imported, because another interpreter will import it."""

    def collect(self):
        limit_sec = TIME_LIMIT_SEC
        interpreters, over = INTERPRETERS, ['']
        source = self.path.read_text(encoding='utf-8')
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'TIME_LIMIT_SEC':
                limit_sec = ast.literal_eval(node.value)
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'INTERPRETERS':
                names = ast.literal_eval(node.value)
                interpreters = [interpreter for interpreter in INTERPRETERS if interpreter.name in names]
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'OVER':
                over = ast.literal_eval(node.value)
            if isinstance(node, ast.FunctionDef) and node.name.startswith('test_'):
                text = ast.get_source_segment(source, node)
                for interpreter, transport in itertools.product(interpreters, over):
                    if transport and interpreter not in CPYTHON_AND_MICROPYTHON:
                        continue
                    name = interpreter.name + (transport and '-' + transport)
                    yield ContractTest.from_parent(
                        self, name='%s[%s]' % (node.name, name), function=node, interpreter=interpreter,
                        limit_sec=limit_sec, transport=transport,
                        reason=interpreter.missing or interpreter.reason_to_leave_out(text))


class ContractFailure(Exception):
    """The output of the interpreter that ran the test."""


class ContractTest(pytest.Item):
    """One test function under one interpreter."""

    def __init__(self, *, function, interpreter, limit_sec, transport, reason, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.interpreter = interpreter
        self.limit_sec = limit_sec
        self.transport = transport
        self.reason = reason    # why it is skipped, or None
        self.add_marker(interpreter.name)

    def runtest(self):
        if self.reason:
            pytest.skip(self.reason)
        status, output = self.interpreter.run(
            HERE / 'run_portable.py', self.path.stem, self.function.name,
            environment={**self.interpreter.network.environment(), 'XAS_TRANSPORT': self.transport},
            limit_sec=self.limit_sec)
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
        """Add the source lines to MicroPython's tracebacks, which have only line numbers."""
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
