"""Faults of the network itself, in a private network namespace: on TCP nothing is lost or doubled."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize('fault', ['link', 'loss', 'reordering', 'duplication', 'delay'])
def test_a_stream_through_a_bad_network(interpreter, fault):
    if not shutil.which('ip') or not shutil.which('tc') or not shutil.which('unshare'):
        pytest.skip('needs iproute2 (ip, tc) and unshare')
    if subprocess.run(['unshare', '--net', 'true'], capture_output=True).returncode:
        pytest.skip('needs the right to make a network namespace (root)')
    run = subprocess.run(
        ['unshare', '--net', sys.executable, str(HERE / 'bad_network.py'), fault, *interpreter.command,
         str(HERE / 'echo.py')], env={**os.environ, **interpreter.environment}, capture_output=True, text=True,
        timeout=60)
    if run.stdout.startswith('skipped'):
        pytest.skip('tc netem: ' + run.stdout.strip())
    assert run.stdout == 'passed\n', run.stdout + run.stderr
