"""Faults of the network between two private network namespaces. TCP loses and doubles nothing."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def run(interpreter, fault, program):
    done = subprocess.run(
        [sys.executable, str(HERE / 'bad_network.py'), fault, *interpreter.command, str(HERE / program)],
        env={**os.environ, **interpreter.environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60)
    if done.stdout.startswith('skipped'):
        pytest.skip(done.stdout.strip().partition(': ')[2])
    assert done.stdout == 'passed\n', done.stdout + done.stderr


@pytest.mark.parametrize('fault', ['link', 'loss', 'reordering', 'duplication', 'delay', 'all at once'])
def test_a_stream_through_a_bad_network(interpreter, fault):
    run(interpreter, fault, 'echo.py')


def test_timeouts_on_a_slow_network(interpreter):
    run(interpreter, 'timeouts', 'slow_answers.py')
