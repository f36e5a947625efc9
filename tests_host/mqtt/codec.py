"""Calls functions of packets.py for another process, on either interpreter. Each line of its input is JSON:
[function, argument ...]; bytes are {"hex": ...}. Each answer is one line: the result, or ["error", text]."""
import json
import sys
from binascii import hexlify, unhexlify

from mqtt import packets


def decoded(value):
    if isinstance(value, dict):
        return unhexlify(value['hex'])
    return [decoded(one) for one in value] if isinstance(value, list) else value


def encoded(value):
    if isinstance(value, bytes):
        return {'hex': hexlify(value).decode()}
    return [encoded(one) for one in value] if isinstance(value, tuple) else value


while True:
    line = sys.stdin.readline()
    if not line:
        break
    name, *args = decoded(json.loads(line))
    try:
        print(json.dumps(encoded(getattr(packets, name)(*args))))
    except ValueError as error:
        print(json.dumps(['error', str(error)]))
