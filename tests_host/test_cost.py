"""The cost of a piece of work on MicroPython, in instructions, which do not depend on clocks or other load.

Valgrind counts them. The unit is the cost of one message for a bare loop (poll, readinto, send) on the same
interpreter, so other compilers give about the same numbers. contract/test_steady_state.py tests allocations and changes
of the poll set per message. `make bench` measures speed.
"""
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

sys.path.insert(0, str(ROOT / 'tools' / 'bench'))
import instructions  # noqa: E402
import runner  # noqa: E402

# The most that each may cost, in messages of the bare loop. Work that allocates gets a higher limit, because the search
# for free memory depends on the state of the heap, above all if the library is not frozen.
LIMITS = {'echo': 7.5, 'lines': 15, 'udp': 18, 'upload': 4, 'download': 8, 'churn': 82}

# With more connections, the number of messages in a turn would depend on the computer's load.
CONNECTIONS = 1


@pytest.fixture(scope='module')
def bench(micropython):
    """The servers of the benchmark, ready to run."""
    if micropython.missing:
        pytest.skip(micropython.missing)
    for program in ('valgrind', 'gcc'):
        if not shutil.which(program):
            pytest.skip('%s is not installed' % program)
    runner.MICROPYTHON = Path(micropython.command[0])
    runner.FROZEN = micropython.frozen
    runner.prepare(ROOT / 'lib')


def cost(work, side, count):
    """Return the instructions for one piece of work."""
    work = instructions.WORKS[work]
    return instructions.per_piece(work.sides[side], work, count, conns=CONNECTIONS)[0]


@pytest.fixture(scope='module')
def bare_message(bench):
    """The instructions of the bare loop for one message."""
    return cost('echo', 'bare', 400)


@pytest.mark.parametrize('work', LIMITS)
def test_instructions(bare_message, work):
    for _ in range(3):      # a busy computer may spread data that is sent at once over more turns of the loop
        spent = cost(work, 'ours', 200) / bare_message
        if spent <= LIMITS[work]:
            break
    assert spent <= LIMITS[work], '%s costs as much as %.1f messages of the bare loop (%d instructions), limit %s' % (
        work, spent, bare_message, LIMITS[work])


def test_a_timeout_that_every_message_restarts(bench):
    """There is a single connection, so each message is also a turn of the loop."""
    work = instructions.WORKS['echo']
    without, with_timeout = [instructions.per_piece(work.sides[side], work, 200, conns=CONNECTIONS)[0]
                             for side in ('ours', 'timeout')]
    assert with_timeout <= 1.2 * without, '%d instructions per message, %d without' % (with_timeout, without)
