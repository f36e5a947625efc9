"""Run contract tests with the interpreter that runs this: `run_portable.py MODULE [TEST ...]`.

Prints one line per test: `PASSED name`, `SKIPPED name: reason`, or `FAILED name` and the traceback. The exit status is
0 if none failed. The interpreter's path (PYTHONPATH, MICROPYPATH) has to include `harness`, the test modules and the
library.
"""
import sys

import harness

failed = False
module, names = sys.argv[1], sys.argv[2:]
for name in names or sorted([name for name in dir(__import__(module)) if name.startswith('test_')]):
    outcome, text = harness.run(module, name)
    print('\n%s %s%s' % (outcome, name, ': ' + text if outcome == harness.SKIPPED else ''))
    if outcome == harness.FAILED:
        print(text)
        failed = True
sys.exit(1 if failed else 0)
