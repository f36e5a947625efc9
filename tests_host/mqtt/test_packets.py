"""The packets, compared with a second implementation, with inputs of hypothesis, on both interpreters."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scripted import message, packet

HERE = Path(__file__).parent

many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(blacklist_categories=['Cs']), max_size=40)
topics = texts.filter(lambda topic: topic and not set('+#\0') & set(topic))
optional = st.none() | texts
identifiers = st.integers(1, 65535)


def long_text(value):
    value = value.encode() if isinstance(value, str) else value
    return len(value).to_bytes(2, 'big') + value


@pytest.fixture(scope='module')
def codec(request, modules):
    """Returns codec(function, argument ...), which calls a function under the interpreter."""
    interpreter = request.param
    if interpreter.missing:
        pytest.skip(interpreter.missing)
    environment = dict(os.environ, **interpreter.environment)
    for name, separator in (('MICROPYPATH', ':'), ('PYTHONPATH', os.pathsep)):
        environment[name] = str(modules) + separator + environment.get(name, '')
    process = subprocess.Popen([*interpreter.command, str(HERE / 'codec.py')], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, bufsize=1, encoding='utf-8', env=environment)

    def call(*words):
        words = [{'hex': word.hex()} if isinstance(word, bytes) else word for word in words]
        process.stdin.write(json.dumps(words, ensure_ascii=False))   # MicroPython takes a surrogate pair for two
        process.stdin.write('\n')
        result = json.loads(process.stdout.readline())
        return bytes.fromhex(result['hex']) if isinstance(result, dict) else result

    yield call
    process.stdin.close()
    process.wait()
    process.stdout.close()


def pytest_generate_tests(metafunc):
    from host_conftest import CPYTHON_AND_MICROPYTHON
    if 'codec' in metafunc.fixturenames:
        metafunc.parametrize('codec', CPYTHON_AND_MICROPYTHON, indirect=True, scope='module',
                             ids=[interpreter.name for interpreter in CPYTHON_AND_MICROPYTHON])


@many
@given(kind=st.integers(0, 255), size=st.integers(0, 300))
@example(kind=48, size=127)
@example(kind=48, size=128)
@example(kind=48, size=16383)
@example(kind=48, size=16384)
def test_the_header_has_the_length_of_what_follows(codec, kind, size):
    assert codec('packet', kind, bytes(size)) == packet(kind, bytes(size))


@many
@given(client=texts, keepalive=st.integers(0, 65535), will=st.none() | st.tuples(topics, texts), user=optional,
       password=optional)
def test_the_first_packet(codec, client, keepalive, will, user, password):
    flags = 2
    payload = long_text(client)
    if will:
        flags |= 0b101100
        payload += long_text(will[0]) + long_text(will[1])
    if user is not None or password is not None:
        flags |= 0x80
        payload += long_text(user or '')
    if password is not None:
        flags |= 0x40
        payload += long_text(password)
    want = packet(0x10, b'\0\4MQTT\4' + bytes([flags]) + keepalive.to_bytes(2, 'big') + payload)
    assert codec('connect', client, keepalive, will, user, password) == want


@many
@given(identifier=identifiers, wanted=st.lists(texts, min_size=1, max_size=5))
def test_subscriptions(codec, identifier, wanted):
    want = packet(0x82, identifier.to_bytes(2, 'big') + b''.join(long_text(topic) + b'\1' for topic in wanted))
    assert codec('subscribe', identifier, wanted) == want


@many
@given(topic=topics, payload=st.binary(max_size=300), qos=st.integers(0, 1), others=st.sampled_from([0, 1, 8, 9]),
       identifier=identifiers)
def test_a_received_message(codec, topic, payload, qos, others, identifier):
    flags = qos << 1 | others
    data = message(topic, payload, flags, identifier if qos else None)
    body = data[2 if len(data) < 130 else 3:]
    want = [topic, identifier if qos else None, {'hex': payload.hex()}]
    assert codec('read_publish', flags, body) == want


@many
@given(flags=st.integers(0, 15), body=st.binary(max_size=12) | st.builds(
    lambda topic, rest: long_text(topic) + rest, st.binary(max_size=5), st.binary(max_size=4)))
def test_any_bytes_are_a_message_or_a_clear_error(codec, flags, body):
    found = codec('read_publish', flags, body)
    if found[0] == 'error' and len(found) == 2:
        assert found[1].startswith('it')
        return
    topic, identifier, payload = found
    assert flags & 6 in (0, 2) and topic and not set('+#\0') & set(topic)
    again = long_text(topic) + (identifier.to_bytes(2, 'big') if flags & 2 else b'') + bytes.fromhex(payload['hex'])
    assert again == body


@many
@given(topic=texts)
@example(topic='')
def test_a_topic_to_publish_to(codec, topic):
    found = codec('topic_of', topic)
    if topic and not set('+#\0') & set(topic):
        assert found == long_text(topic)
    else:
        assert found[0] == 'error' and 'needs a topic without + and #' in found[1]
