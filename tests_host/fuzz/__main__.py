"""Coverage-guided fuzzing for a given time: `python tests_host/fuzz --seconds 60 [--only TARGET]`.

atheris changes inputs so that they reach code which no input has reached before. An input that breaks a promise of
targets.py ends the run and is written to build/fuzz/. Put it into corpus/<target>/, where the tests find it, and fix
the code.
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[1:1] = [str(ROOT / 'lib'), str(ROOT), str(ROOT / 'boards' / 'UNIX' / 'modules')]

WORDS = ('"jsonrpc":"2.0"', '"method":"', '"params":', '"id":', 'auth.login', 'auth.challenge', 'config.get',
         'gpio.read', 'log.tail', 'telemetry.subscribe', 'pin=', '1e999', '\\ud800', '"wifi":{"networks":[',
         '"control":{', '|', '\\=')

# Without these seeds, no input would pass the first check of a configuration or of a measurement.
SEEDS = {
    'config': b'{"device":{"name":"node"},"wifi":{"networks":[{"ssid":"home","password":"a password","address":null}]},'
              b'"control":{"port":5025,"token":"0123456789abcdef","clients":3,"idle_s":60},'
              b'"telemetry":{"interval_s":5,"collectors":["192.0.2.1:8094"]},"ntp":{"servers":["192.0.2.2"]}}',
    'telemetry': b'weather|place|roof, north|temperature=|12 "C"\\',
}


def fuzz(target, seconds):
    """Fuzz in a process of its own, which atheris ends. Return True if no fault was found."""
    work = ROOT / 'build' / 'fuzz' / target
    work.mkdir(parents=True, exist_ok=True)
    if target in SEEDS:
        (work / 'seed').write_bytes(SEEDS[target])
    words = work.parent / 'words'
    words.write_text(''.join('"%s"\n' % word.replace('\\', '\\\\').replace('"', '\\"') for word in WORDS))
    print('fuzzing %s for %d s' % (target, seconds), flush=True)
    done = subprocess.run(
        [sys.executable, __file__, '--inside', target, '-max_total_time=%d' % seconds, '-dict=%s' % words,
         '-artifact_prefix=%s/found-%s-' % (work.parent, target), '-max_len=4096', '-verbosity=0',
         '-print_final_stats=1', str(work), *map(str, (HERE / 'corpus').glob(target))],
        env={**os.environ, 'FUZZ_FOLDER': str(work.parent)})
    return done.returncode == 0


def inside(target):
    import atheris
    with atheris.instrument_imports(include=['firmware', 'json']):
        from targets import TARGETS
    run = TARGETS[target]
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


def main():
    if sys.argv[1:2] == ['--inside']:
        target = sys.argv.pop(2)
        del sys.argv[1]
        inside(target)
    parser = argparse.ArgumentParser(description='Coverage-guided fuzzing.')
    parser.add_argument('--seconds', type=int, default=60, help='time for each target')
    parser.add_argument('--only')
    options = parser.parse_args()
    targets = [options.only] if options.only else ['control', 'config', 'telemetry']
    return 0 if all([fuzz(target, options.seconds) for target in targets]) else 1


if __name__ == '__main__':
    sys.exit(main())
