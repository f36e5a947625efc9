"""The fuzzed targets on both interpreters, with inputs that hypothesis makes and those that once found a fault."""
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from targets import TOKEN, WRITES

CORPUS = Path(__file__).parent / 'corpus'
EXAMPLES = 150

many = settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
                suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

METHODS = ('ping', 'help', 'info', 'uptime', 'gc', 'net.status', 'sensor.list', 'sensor.read', 'log.tail', 'config.get',
           'telemetry.get', 'telemetry.subscribe', 'telemetry.unsubscribe', 'gpio.read', 'adc.read', 'auth.challenge',
           'auth.login') + WRITES

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(
    ('', '0', 'control.token', 'wifi', 'wifi.networks.0.password', 'pin', 'in', TOKEN, -1, 1 << 64, 1e308))
names = st.sampled_from(('pin', 'value', 'mode', 'key', 'name', 'count', 'response', 'duty', 'freq', 'pull')) | st.text(
    max_size=5)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
                      max_leaves=12)
requests = st.fixed_dictionaries(
    {'jsonrpc': st.just('2.0') | values, 'method': st.sampled_from(METHODS) | values},
    optional={'id': values, 'params': values, 'more': values})
plain = st.builds(lambda method, words: ' '.join([method] + words), st.sampled_from(METHODS), st.lists(
    st.builds('{}={}'.format, names, leaves) | st.text(max_size=10), max_size=4))


def bombs(opening, closing):
    return st.builds(lambda count, closed: opening * count + closing * (count if closed else 0),
                     st.integers(1, 1000), st.booleans())


lines = (st.builds(json.dumps, requests | st.lists(requests, max_size=18) | values) | plain | st.text() |
         bombs('[', ']') | bombs('{"a":', '}') | st.builds('sensor.read {}'.format, bombs('[', ']')) |
         st.builds('{{"jsonrpc":"2.0","id":1,"method":"sensor.read","params":[{}]}}'.format, bombs('[', ']')))
control_bytes = st.builds(
    lambda size, texts, noise: bytes([size]) + b'\n'.join(text.encode('utf-8', 'replace') for text in texts) + noise,
    st.integers(0, 255), st.lists(lines, max_size=4), st.just(b'\n') | st.binary(max_size=40))


@many
@given(data=control_bytes)
@example(data=b'\xff[{"jsonrpc":"2.0","id":1,"method":"help"}]\n')
def test_the_control_server(twin, data):
    twin.run('control', data)


def sections(inner):
    return st.fixed_dictionaries({}, optional={
        'control': st.fixed_dictionaries({}, optional={
            'port': inner, 'token': inner, 'clients': inner, 'line_bytes': inner, 'idle_s': inner}) | inner,
        'wifi': st.fixed_dictionaries({}, optional={'networks': inner | st.lists(st.fixed_dictionaries(
            {}, optional={'ssid': inner, 'password': inner, 'address': inner}), max_size=3)}) | inner,
        'device': st.fixed_dictionaries({}, optional={'name': inner}) | inner,
        'telemetry': st.fixed_dictionaries({}, optional={
            'interval_s': inner, 'collectors': inner | st.lists(inner, max_size=3)}) | inner,
        'network': inner, 'boot': inner, 'ap': inner, 'ntp': inner})


@many
@given(data=st.builds(lambda value: json.dumps(value).encode('utf-8', 'replace'), sections(values) | values) |
       st.binary() | st.builds(str.encode, bombs('[', ']')))
@example(data=b'{"wifi": {"networks": [{"ssid": "\\ud800"}]}}')
def test_config_json(twin, data):
    twin.run('config', data)


@many
@given(values=sections(values), cut=st.floats(0, 1, exclude_max=True))
@example(values={'control': {'clients': 3}}, cut=0.99)
def test_a_truncated_config_json(twin, values, cut):
    """MicroPython's own parser accepts a truncated document."""
    text = json.dumps(values)
    assert twin.run('config', text[:int(cut * len(text))].encode()) == 'defaults'


ends = st.integers(0, 400)
pieces = st.characters() | st.sampled_from(
    list('{}[]",:\\0e.-u ') + ['', '\\ud83d', '\\ude00', '\\u00e9', 'null', '1e999'])


@many
@given(value=values, at=ends, cut=st.integers(0, 2), piece=pieces, ascii_only=st.booleans())
@example(value={'id': '\U0001f600'}, at=0, cut=0, piece='', ascii_only=True)
@example(value={'id': 1}, at=8, cut=1, piece='', ascii_only=True)
def test_json_is_read_as_the_standard_library_reads_it(twin, value, at, cut, piece, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    text = text[:at] + piece + text[at + cut:]
    if any('\ud800' <= one < '\ue000' for one in text):
        return
    found = twin.run('jsontext', text.encode())
    if found != 'refused':
        assert same(json.loads(text, parse_constant=pytest.fail), json.loads(bytes.fromhex(found).decode())), text
    elif is_json(text):
        assert '\\ud' in text.lower() or re.search(r'[-+.\dE]{25}|\d[eE]\+?\d{3}|\[{33}', text, re.I), text


def is_json(text):
    try:
        json.loads(text, parse_constant=pytest.fail)
        return True
    except (ValueError, RecursionError, pytest.fail.Exception):
        return False


def same(one, other):
    """Return whether two values are equal. The last digits of a number may differ, as MicroPython reads them."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == pytest.approx(other, rel=1e-6) if isinstance(one, float) else one == other


@many
@given(parts=st.lists(st.text(st.sampled_from('ab\\,= "\n\r|é') | st.characters(exclude_categories=['Cs']),
                              max_size=12), min_size=5, max_size=5))
def test_the_telemetry(twin, parts):
    twin.run('telemetry', '|'.join(parts).encode())


@pytest.mark.parametrize('file', sorted(CORPUS.glob('*/*')), ids=lambda file: file.parent.name + '/' + file.name)
def test_inputs_that_once_found_a_fault(twin, file):
    twin.run(file.parent.name, file.read_bytes())
