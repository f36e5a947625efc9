"""Runs fuzzed targets for another process, on either interpreter.

A line of its input is `target hexadecimal`. Its answer is one line: `ok` and the result, or `failed` and the lines of
the traceback.
"""
import sys
from binascii import unhexlify

import socket_targets
import targets

TARGETS = dict(targets.TARGETS)
TARGETS.update(socket_targets.TARGETS)


def traceback_of(error):
    if hasattr(sys, 'print_exception'):
        from io import StringIO
        text = StringIO()
        sys.print_exception(error, text)
        return text.getvalue()
    import traceback
    return ''.join(traceback.format_exception(type(error), error, error.__traceback__))


while True:
    words = sys.stdin.readline().split()
    if not words:
        break
    try:
        print('ok', TARGETS[words[0]](unhexlify(words[1] if len(words) > 1 else '')))
    except Exception as error:
        print('failed ' + traceback_of(error).replace('\n', ' | '))
