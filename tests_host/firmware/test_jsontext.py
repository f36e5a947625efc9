"""Strict JSON (firmware/jsontext.py), on CPython and in the image."""

import json
import subprocess

import pytest
from image import IMAGE, PATIENCE_S, image_environment

from firmware.jsontext import loads

RIGHT = [
    "null",
    " true\r\n",
    "\tfalse",
    "0",
    "-0",
    "-12",
    "1.5",
    "-0.25e-2",
    "1E5",
    "1e+3",
    '""',
    '"a\\"b\\\\"',
    '"\\\\\\\\"',
    '"\\\\u0041\\u0041\\/\\b\\f\\n\\r\\t"',
    '"é€"',
    '"\\u00e9\\u20aC"',
    '"\\ud83d\\ude00!"',
    '"x\\uD83D\\uDE00\\ud83d\\ude01\\n"',
    '"\U0001f600"',
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[[],{},[{}]]",
    '[1, "2", null, true, [3.5], {"a": {}}]',
    '{"a": 1, "b": [1, 2], "c": {"d": null}, "": ""}',
    '{"a":{"b":[{"c":[]},{}]}}',
    "[" * 32 + "]" * 32,
    "1" * 24,
]
WRONG = [
    "",
    " ",
    "{",
    "[",
    "]",
    "}",
    '{"jsonrpc":"2.0","id":1,"method":"ping"',
    '{"jsonrpc":"2.0" "id":1 "method":"ping"}',
    "[1 2]",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1:2]",
    "[1}",
    '{"a":1]',
    '{"a":1,}',
    "{,}",
    '{"a"}',
    '{"a",1}',
    '{"a":}',
    '{"a"::1}',
    '{"a" 1}',
    "{1:2}",
    "{null:2}",
    "{[]:2}",
    '{"a":1 "b":2}',
    "1 2",
    "[] []",
    "[]]",
    "1,",
    ":1",
    ",",
    "nul",
    "nulll",
    "True",
    "NaN",
    "Infinity",
    "-Infinity",
    "inf",
    "1e999",
    "-1e999",
    "01",
    "-01",
    "+1",
    "1.",
    ".5",
    "1.e5",
    "1e",
    "1e+",
    "--1",
    "-",
    "1-2",
    "1.5.5",
    "1_0",
    "0x10",
    "1" * 25,
    "1" * 1000,
    '"',
    '"a',
    '"\\"',
    '"\\',
    "'a'",
    '"\\x41"',
    '"\\a"',
    '"\\ "',
    '"\\u12"',
    '"\\u12G4"',
    '"\\u+123"',
    '"\\u"',
    '"\\ud83d"',
    '"\\ude00"',
    '"\\ud83d\\ud83d"',
    '"\\ud83dx\\ude00"',
    '"\\ud83d\\n"',
    '"\\ud83d\\\\ude00"',
    '"\\ude00\\ud83d"',
    '{"\\ud83d": 1}',
    '"a\tb"',
    '"a\nb"',
    '"\0"',
    "[\0]",
    "\ufeff1",
    "\xa01",
    "/* */ 1",
    "[" * 33 + "]" * 33,
    "[" * 100000,
    '{"a":' * 1000,
]
BYTES = [b'"\xed\xa0\xbd"', b'"\xed\xa0\xbd\xed\xb8\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe0\x80\xaf"']


@pytest.mark.parametrize("text", RIGHT)
def test_json_is_read(text):
    assert repr(loads(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_invalid_json_is_refused(text):
    with pytest.raises(ValueError):
        loads(text)


READ = """
import sys
from firmware.jsontext import dumps, loads
for line in eval(sys.stdin.read()):
    try:
        print(repr(dumps(loads(line if isinstance(line, str) else str(line, "utf-8"))).encode()))
    except ValueError:
        print("refused")
"""


def in_the_image(script, lines):
    done = subprocess.run(
        [IMAGE, "-c", script],
        input=repr(lines),
        env=image_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_image_reads_and_writes_the_same():
    lines = in_the_image(READ, [text.encode() for text in RIGHT])
    assert [json.loads(eval(line).decode()) for line in lines] == [json.loads(text) for text in RIGHT]
    assert in_the_image(READ, [text.encode() for text in WRONG] + BYTES) == ["refused"] * (len(WRONG) + len(BYTES))


WRITE = """
import sys
from firmware.jsontext import dumps
for value in eval(sys.stdin.read()):
    print(repr(dumps(value).encode()))
strange = str(b"\\xed\\xa0\\xbd \\xc0\\x80 \\xf4\\x90\\x80\\x80 \\xc3\\xa9", "utf-8")
print(repr(dumps([float("nan"), float("-inf"), {1: (2,)}, strange]).encode()))
"""


def test_the_image_writes_only_valid_json():
    values = [None, True, 1, -1.5, "", 'é "\\\n\x01', [], {}, [1, [2, (3,)]], {"a": {"b": [None]}}, 1e16, 10**20]
    lines = [json.loads(eval(line).decode()) for line in in_the_image(WRITE, values)]
    assert lines[:-1] == json.loads(json.dumps(values))
    assert lines[-1] == [None, None, {"1": [2]}, "? ? ? é"]
