"""docs/reference.md, lib/XAsyncSockets.pyi and the library agree."""
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import XAsyncSockets as library

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT / 'lib'


def generator(library_path=None):
    spec = importlib.util.spec_from_file_location('reference', ROOT / 'tools' / 'reference.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if library_path:
        module.LIBRARY = library_path
    return module


def public_members():
    """Return (class, member) of all public members of the library."""
    for name, found in vars(library).items():
        if inspect.isclass(found) and found.__module__ == library.__name__ and not name.startswith('_'):
            yield from ((name, member) for member in vars(found) if not member.startswith('_'))


def mypy(folder, *arguments):
    done = subprocess.run(
        [sys.executable, '-m', 'mypy', '--config-file=', '--cache-dir', str(ROOT / 'build/cache/mypy-examples'),
         '--strict', *map(str, arguments)],
        cwd=folder, env={'MYPYPATH': str(LIB), 'PATH': ''}, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_the_reference_is_that_of_the_docstrings():
    made = generator().Page().text()
    assert made == (ROOT / 'docs' / 'reference.md').read_text(encoding='utf-8'), 'make reference'


def test_the_reference_has_every_public_member_and_parameter():
    sections = dict(re.findall(r'^## (\w+)\n(.*?)(?=^## |\Z)', generator().Page().text(), re.DOTALL | re.MULTILINE))
    for name, member in public_members():
        bases = [base.__name__ for base in getattr(library, name).__mro__[1:-1]]
        text = ''.join(sections.get(each, '') for each in [name, *bases])
        assert re.search(r'`(%s\.)?%s[`(]' % (name, member), text), '%s.%s' % (name, member)
        value = inspect.getattr_static(getattr(library, name), member)
        value = getattr(value, '__func__', value)
        for parameter in inspect.signature(value).parameters if inspect.isfunction(value) else ():
            assert parameter in ('self',) or '| `%s` |' % parameter in text, '%s.%s(%s)' % (name, member, parameter)


def test_every_argument_is_explained():
    assert list(generator().Page().unexplained()) == []


@pytest.mark.parametrize('suffixes, new, said', [
    (['.py', '.pyi'], 'def New(self) -> None: ...', 'New of XFiFo has no docstring'),
    (['.pyi'], 'New: int', 'the docstring of XFiFo says nothing of New'),
    (['.py'], 'def New(self): pass', 'New of XFiFo is missing in the .pyi')])
def test_a_missing_docstring_or_type_is_reported(tmp_path, suffixes, new, said):
    for each in ('.py', '.pyi'):
        source = (LIB / 'XAsyncSockets').with_suffix(each).read_text(encoding='utf-8')
        if each in suffixes:
            source = source.replace('    def Put(self', '    %s\n\n    def Put(self' % new)
        (tmp_path / 'library').with_suffix(each).write_text(source, encoding='utf-8')
    module = generator(tmp_path / 'library.py')
    with pytest.raises(module.Undocumented, match=said):
        module.Page().text()


def stubtest(folder):
    cache = ROOT / 'build' / 'cache' / 'stubtest'       # it writes its cache to its current folder
    cache.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([sys.executable, '-m', 'mypy.stubtest', 'XAsyncSockets'], cwd=cache,
                          env={'MYPYPATH': str(folder), 'PYTHONPATH': str(folder), 'PATH': '',
                               'PYTHONDONTWRITEBYTECODE': '1'},
                          capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_the_types_are_those_of_the_library(tmp_path):
    status, output = stubtest(LIB)
    assert status == 0, output
    for name in ('XAsyncSockets.py', 'XAsyncSockets.pyi'):      # to check that this notices a difference
        text = (LIB / name).read_text(encoding='utf-8')
        (tmp_path / name).write_text(text.replace('timeoutMs=0', 'timeoutMs=1'), encoding='utf-8')
    status, output = stubtest(tmp_path)
    assert status == 1 and 'PollEvents' in output


def test_the_types_name_every_member():
    text = (LIB / 'XAsyncSockets.pyi').read_text(encoding='utf-8')
    classes = dict(re.findall(r'^class (\w+)\b(.*?)(?=^\S|\Z)', text, re.DOTALL | re.MULTILINE))
    hooks = set(vars(library.XAsyncSocket))
    missing = [(name, member) for name, member in public_members()
               if member not in hooks and not re.search(r'\b%s\b' % member, classes[name])]
    assert not missing


def test_the_examples_have_the_right_types():
    status, output = mypy(ROOT, *sorted((ROOT / 'examples').glob('*.py')))
    assert status == 0, output


def test_wrong_uses_are_noticed(tmp_path):
    (tmp_path / 'wrong.py').write_text(textwrap.dedent('''
        from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncUDPDatagram

        def on_line(client: XAsyncTCPClient, line: str, number: int) -> None:
            client.AsyncRecvLine(on_line, number + 1, timeoutSec=5)
            client.AsyncRecvLine(on_line, 'one')    # wrong
            client.AsyncSendData(line)              # wrong
            client.OnClosed = lambda client, reason: pool.StopWaitEvents()
            client.OnClosed = lambda reason: pool.StopWaitEvents()
            client.OnConnected = on_line            # wrong

        pool = XAsyncSocketsPool()
        client = XAsyncTCPClient.Create(pool, ('localhost', 7777))
        client.Close()                              # wrong
        pool.CallLater(1.5, print, 'later')
        pool.CallLater('1', print)                  # wrong
        XAsyncUDPDatagram.Create(pool, 7777)        # wrong
    '''))
    status, output = mypy(tmp_path, 'wrong.py')
    lines = (tmp_path / 'wrong.py').read_text().splitlines()
    wrong = [number for number, line in enumerate(lines, 1) if line.endswith('# wrong')]
    assert [int(number) for number in re.findall(r'^wrong\.py:(\d+): error', output, re.MULTILINE)] == wrong, output


def test_the_types_come_with_the_package():
    assert ['XAsyncSockets.pyi', 'lib/XAsyncSockets.pyi'] in json.loads((ROOT / 'package.json').read_text())['urls']
