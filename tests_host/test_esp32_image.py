"""The image with the ESP32's socket layer has a board's limits and error numbers, and our manifest."""
import os
import subprocess

import pytest

# The errno numbers of newlib that differ from those of Linux.
ERRNO = {'EADDRINUSE': 112, 'ECONNABORTED': 113, 'ETIMEDOUT': 116, 'EHOSTUNREACH': 118, 'EINPROGRESS': 119,
         'EALREADY': 120, 'ENOTCONN': 128}

OPEN_ALL = """
import socket
numbers = []
try:
    while True:
        sock = socket.socket()
        numbers.append(sock.fileno())
        kept = numbers, sock, globals().get('kept')
except OSError as error:
    print(numbers, error.errno)
"""


@pytest.fixture
def run(esp32, tmp_path):
    """Runs code in a process of its own, and returns its output."""

    def run(code, **environment):
        done = subprocess.run([esp32.command[0], '-c', code], cwd=tmp_path, env={**os.environ, **environment},
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


def test_it_has_the_sockets_of_a_board(run):
    assert run(OPEN_ALL) == '%s 23\n' % list(range(54, 64))


def test_it_can_have_more_of_them(run):
    assert run(OPEN_ALL, EXTRA_SOCKETS='3') == '%s 23\n' % list(range(51, 64))


def test_errors_have_the_numbers_of_a_board(run):
    code = 'import errno; print([getattr(errno, name) for name in %r])' % list(ERRNO)
    assert run(code) == '%s\n' % list(ERRNO.values())


def test_our_manifest_is_frozen(run):
    code = 'import sys, firmware, XAsyncSockets; print(sys.platform, XAsyncSockets.__file__, firmware.__file__)'
    assert run(code, MICROPYPATH='.frozen') == 'esp32 XAsyncSockets.py firmware/__init__.py\n'


def test_a_program_ends_while_it_has_connections(run):
    """The threads of the network stack do not keep the process running."""
    run('import socket\ns = socket.socket(); s.bind(("127.0.0.1", 8000)); s.listen(1)\n'
        'c = socket.socket(); c.connect(("127.0.0.1", 8000))')
