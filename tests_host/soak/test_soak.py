"""A few seconds of the soak test, to keep it working. It finds most faults with threads."""
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize('threads', ['own', '4'])
def test_some_seconds_of_the_soak(interpreter, threads):
    if threads == 'own' and interpreter.name == 'cpython':
        pytest.skip('as threads 4, but slower')
    run = subprocess.run([sys.executable, str(Path(__file__).parent), '--minutes', '0.03', '--only', interpreter.name,
                          '--threads', threads], capture_output=True, text=True, timeout=100)
    print(run.stdout, run.stderr)
    assert run.returncode == 0 and ' 0 failures' in run.stdout
