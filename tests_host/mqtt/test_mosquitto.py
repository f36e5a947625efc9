"""The MQTT client when the broker refuses, checks, pauses, or goes away and comes back."""
import time

import pytest
from brokers import TLS_DIR, Mosquitto


@pytest.fixture(scope='module')
def broker(tmp_path_factory):
    """A broker that requires a password, and lets nobody read below `private`."""
    folder = tmp_path_factory.mktemp('broker')
    # "correct", as mosquitto_passwd hashes it: PBKDF2 with SHA-512.
    (folder / 'passwords').write_text('user:$7$101$' + PASSWORD + '\n')
    (folder / 'passwords').chmod(0o600)
    (folder / 'access').write_text('user user\ntopic readwrite open/#\ntopic write private/#\n')
    broker = Mosquitto(folder, lines=['allow_anonymous false', 'password_file %s' % (folder / 'passwords'),
                                      'acl_file %s' % (folder / 'access')])
    yield broker
    broker.kill()


@pytest.fixture(scope='module')
def tls_broker(tmp_path_factory):
    broker = Mosquitto(tmp_path_factory.mktemp('tls'), lines=[
        'allow_anonymous true', 'certfile %s' % (TLS_DIR / 'server.crt'), 'keyfile %s' % (TLS_DIR / 'server.key')])
    yield broker
    broker.kill()


def _hashed(password):
    import base64
    import hashlib
    salt = b'0123456789ab'
    key = hashlib.pbkdf2_hmac('sha512', password.encode(), salt, 101)
    return base64.b64encode(salt).decode() + '$' + base64.b64encode(key).decode()


PASSWORD = _hashed('correct')
LOGIN = {'user': 'user', 'password': 'correct'}


def test_the_right_password_is_accepted(drive, broker):
    one = drive(broker.port, subscriptions=['open/a'], **LOGIN)
    one.wait('connected')
    assert one.publish('open/a', 'hello', 1)
    assert one.wait('message') == ['open/a', 'hello', False]


def test_a_wrong_password_is_reported_and_not_tried_again_soon(drive, broker):
    one = drive(broker.port, second=0.005, user='user', password='wrong')
    lost = None
    while lost != ['the broker refuses: user, password or client id is not allowed, next attempt in 5 minutes']:
        start = time.monotonic()
        lost = one.wait('lost')     # another reason if the answer took more than 10 times 0.005 s
    one.wait('lost')
    assert 1.3 < time.monotonic() - start < 5       # 5 times 60 times 0.005


def test_a_refused_subscription_is_reported(drive, broker):
    """mosquitto accepts it and delivers nothing; a subscription below `open` works."""
    one = drive(broker.port, subscriptions=['private/a', 'open/b'], **LOGIN)
    one.wait('connected')
    assert one.publish('private/a', 'nobody reads this', 1)
    one.wait('acked')
    assert one.publish('open/b', 'seen', 1)
    assert one.wait('message') == ['open/b', 'seen', False]


def test_tls_with_a_checked_certificate(drive, tls_broker):
    """The client has the broker's address, and checks its name."""
    one = drive(tls_broker.port, certificate=str(TLS_DIR / 'server.crt'), host='localhost', subscriptions=['a'])
    one.wait('connected')
    assert one.publish('a', 'x' * 900, 1)
    assert one.wait('message') == ['a', 'x' * 900, False]


@pytest.mark.parametrize('certificate, host', [('elsewhere', 'localhost'), ('server', 'another.example')])
def test_tls_with_a_wrong_certificate(drive, tls_broker, certificate, host):
    one = drive(tls_broker.port, certificate=str(TLS_DIR / (certificate + '.crt')), host=host)
    assert 'certificate' in one.wait('lost')[0].lower()


def test_a_plain_connection_to_a_tls_port(drive, tls_broker):
    one = drive(tls_broker.port)
    assert one.wait('lost')[0].endswith(' before its first answer: does it want TLS?')


def test_a_broker_that_pauses(drive, broker):
    """Data sent during the pause is delivered. The silence ends the connection, and another one follows."""
    one = drive(broker.port, subscriptions=['open/d'], keepalive_s=10, second=0.1, **LOGIN)
    one.wait('connected')
    start = time.monotonic()
    with broker.paused():
        one.order('fill', 'open/e', 10000)      # this is not sent before the end
        assert one.publish('open/d', 'kept', 1)
        assert one.wait('lost') == ['the broker has not answered within its time']
        assert 0.9 < time.monotonic() - start < 5     # 1.5 times 10, in tenths of a second
    one.wait('connected')
    assert one.wait('message') == ['open/d', 'kept', False]


def test_a_broker_that_reads_nothing_takes_limited_memory(drive, broker):
    """Messages that are too many are refused. Messages that were accepted with QoS 1 arrive."""
    one = drive(broker.port, **LOGIN)
    one.wait('connected')
    with broker.paused():
        one.order('fill', 'open/e', 10000)
        assert one.wait('filled')[0] < 2000     # 20 MB, most of it the system's
        for _ in range(8):
            assert one.publish('open/e', 'kept', 1)
        assert not one.publish('open/e', 'the ninth', 1)
    for _ in range(8):
        one.wait('acked')
    assert one.publish('open/e', 'again')
