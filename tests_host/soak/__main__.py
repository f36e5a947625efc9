"""The soak: random scenarios against the library under both interpreters, for a given time.

    python tests_host/soak [--minutes 30] [--only cpython|micropython] [--threads 0|1|4|own] [--seed N]

Each interpreter runs `served.py` with one threading mode after the other. The scenarios (stories.py) run concurrently.
Ten times they pause. Then only the listening sockets may be left, and no more descriptors and memory may be in use than
before. The exit status is 1 if a promise was broken. MICROPYTHON names the interpreter as in the other tests.
"""
import argparse
import asyncio
import json
import os
import random
import resource
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from free_ports import free_port  # noqa: E402
from stories import FAULTS, Stories, Unexpected  # noqa: E402

ROOT = HERE.parents[1]
SHARES = (('0', 1), ('own', 1), ('1', 1), ('4', 3))     # threading modes, and their shares of the time
BESIDE_EACH_OTHER = 12       # scenarios that run at a time
PAUSES = 10
DESCRIPTORS = 300           # the limit of the program under test
HEAP_BYTES = 12 << 20
GROWTH_BYTES = {'cpython': 4 << 20, 'micropython': 48 << 10}    # the tolerance of a measurement
IDLE_SOCKETS = 3            # TCP server, UDP, the soak's own connection


def command(interpreter):
    """Return the command and the environment that run `served.py`."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT / 'lib'), PYTHONDONTWRITEBYTECODE='1')
    if interpreter == 'cpython':
        return [sys.executable, '-s'], environment
    program = os.environ.get('MICROPYTHON') or str(ROOT / 'build' / 'unix' / 'micropython')
    if not shutil.which(program):
        return None, None
    environment['MICROPYPATH'] = '.frozen:%s' % (ROOT / 'lib')
    if os.environ.get('XAS_EXPECT_FROZEN') == '0':
        environment['MICROPYPATH'] = '%s:.frozen' % (ROOT / 'lib')
    return [program, '-X', 'heapsize=%d' % HEAP_BYTES], environment


class Run:
    """One interpreter with one threading mode."""

    def __init__(self, interpreter, threads, seconds):
        self.name = '%s, threads %s' % (interpreter, threads)
        self.interpreter = interpreter
        self.threads = threads
        self.seconds = seconds
        self.failures = []
        self.stories = None
        self.states = []
        self.process = None

    async def run(self):
        program, environment = command(self.interpreter)
        port = free_port()
        self.process = await asyncio.create_subprocess_exec(
            *program, str(HERE / 'served.py'), str(port), self.threads, env=environment, cwd='/',
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)))
        ready = await self.process.stdout.readline()
        output = asyncio.ensure_future(self.process.stdout.read())
        try:
            if ready != b'READY\n':
                raise Unexpected('it did not start: %r' % ready)
            await self._tell_stories(port)
        except Exception as error:
            self._fail('the run', error)
        if self.process.returncode is None:
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except asyncio.TimeoutError:
                self._fail('the end', Unexpected('it does not stop'))
                self.process.kill()
        text = (await output).decode(errors='replace')
        if text != 'ENDED 0\n' or self.process.returncode:
            self._fail('the end', Unexpected('exit status %s, and it said: %s' % (
                self.process.returncode, text[-3000:])))

    async def _tell_stories(self, port):
        self.stories = Stories(port)
        await self.stories.begin()
        control = await self.stories.connect()
        self.states.append(await self._state(control))
        pauses = PAUSES if self.seconds > 60 else 2
        try:
            for _ in range(pauses):
                end = time.monotonic() + self.seconds / pauses
                await asyncio.gather(*(self._tell_until(end) for _ in range(BESIDE_EACH_OTHER)))
                self.states.append(await self._calm(control))
                if self.failures:
                    break
            self._check_states()
        finally:
            await self.stories.end()
            await control.say(b'stop\n')
            await control.expect_end()

    async def _tell_until(self, end):
        kinds = self.stories.kinds()
        while time.monotonic() < end and not self.failures:
            kind = random.choice(kinds)
            try:
                await self.stories.tell(kind)
            except Exception as error:
                self._fail(kind, error)

    async def _state(self, control):
        state = json.loads(await control.ask('stats'))
        if self.interpreter == 'cpython':
            pages = Path('/proc/%d/statm' % self.process.pid).read_text().split()[1]
            state['heap'] = int(pages) * resource.getpagesize()
        return state

    async def _calm(self, control):
        """Return the state when all connections have ended."""
        for _ in range(200):
            state = await self._state(control)
            if state['sockets'] == IDLE_SOCKETS and state['opened'] == state.get('closed', 0) + 1:
                return state
            await asyncio.sleep(0.1)
        raise Unexpected('the pool does not become idle: %s' % state)

    def _check_states(self):
        first, last = self.states[0], self.states[-1]
        if last['files'] > first['files']:
            raise Unexpected('%d descriptors at the end, %d at the start' % (last['files'], first['files']))
        heaps = [state['heap'] for state in self.states]
        warm = max(heaps[1:len(heaps) // 2 + 1])
        long_enough = len(heaps) > PAUSES   # at first buffers and tables grow to their size
        if long_enough and min(heaps[len(heaps) // 2 + 1:]) > warm + GROWTH_BYTES[self.interpreter]:
            raise Unexpected('memory grows: %s' % heaps)
        for what, count in last.items():
            if what.startswith('unexpected') or what in ('closed twice', 'two handlers of a socket at once'):
                raise Unexpected('%s: %d' % (what, count))

    def _fail(self, kind, error):
        self.failures.append('%s: %s: %s %s' % (self.name, kind, type(error).__name__, error))

    def report(self):
        """Return the scenarios that ran, and how often."""
        counts, last = self.stories.counts, self.states[-1]
        lines = ['', '%s: %d s' % (self.name, self.seconds)]
        lines.append('  %12s connections, %s faults' % (
            format(counts['connections'], ','), format(sum(self.stories.told[kind] for kind in FAULTS), ',')))
        for what in ('messages', 'bytes', 'datagrams'):
            lines.append('  %12s %s sent, %s %s' % (
                format(counts[what + ' sent'], ','), what,
                format(counts[what + (' returned' if what == 'datagrams' else ' received')], ','),
                'returned' if what == 'datagrams' else 'received'))
        told = sorted(self.stories.told.items())
        lines.append('  stories: ' + ', '.join('%s %d' % story for story in told))
        lines.append('  closed: ' + ', '.join('%s %d' % (reason, last.get('closed for reason %d' % number, 0))
                     for number, reason in enumerate(('Error', 'ClosedByHost', 'ClosedByPeer', 'Timeout'))))
        lines.append('  descriptors at the pauses: ' + ' '.join(str(state['files']) for state in self.states))
        lines.append('  memory at the pauses, kB: ' + ' '.join(str(state['heap'] // 1000) for state in self.states))
        return '\n'.join(lines)


async def soak(interpreter, seconds, threads):
    """All ways of threading, one after the other."""
    shares = [share for share in SHARES if threads in (None, share[0])]
    runs = []
    for way, part in shares:
        run = Run(interpreter, way, seconds * part / sum(part for _, part in shares))
        await run.run()
        runs.append(run)
        print(run.report() if run.stories and run.states else '', flush=True)
        for failure in run.failures:
            print('FAILED', failure, flush=True)
    return runs


async def main():
    parser = argparse.ArgumentParser(description='Random stories against the library, for as long as asked.')
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--only', choices=('cpython', 'micropython'))
    parser.add_argument('--threads', choices=[way for way, _ in SHARES])
    parser.add_argument('--seed', type=int, default=time.time_ns() & 0xffffffff)
    options = parser.parse_args()
    random.seed(options.seed)
    print('soak of %g minutes, --seed %d' % (options.minutes, options.seed), flush=True)
    interpreters = [name for name in ('cpython', 'micropython') if options.only in (None, name)]
    for name in list(interpreters):
        if command(name)[0] is None:
            print('%s: left out, there is none' % name)
            interpreters.remove(name)
    runs = sum(await asyncio.gather(*(soak(name, options.minutes * 60, options.threads)
                                      for name in interpreters)), [])
    total = Counter()
    for run in runs:
        if run.stories:
            total += run.stories.counts
    failures = [failure for run in runs for failure in run.failures]
    print('\nin all %s connections, %s messages both ways, %d failures' % (
        format(total['connections'], ','), format(total['messages sent'] + total['messages received'], ','),
        len(failures)))
    return 1 if failures or not runs else 0


if __name__ == '__main__':
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.exit(asyncio.run(main()))
