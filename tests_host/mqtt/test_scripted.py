"""The MQTT client with a broker that splits its packets anywhere, or sends wrong ones or none. Seconds are shortened
here.
"""
import contextlib
import socket
import time

import pytest
from scripted import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBSCRIBE,
    Scripted,
    message,
    packet,
)


@pytest.fixture
def peer():
    peer = Scripted()
    yield peer
    peer.stop()


def test_the_first_packets_of_the_client(drive, peer):
    drive(peer.port, user='me', password='secret', will=['st', 'off'], keepalive_s=300)
    assert peer.accept().expect(CONNECT) == (
        0, b'\0\4MQTT\4\xee\x01\x2c' b'\0\x08client-0' b'\0\2st' b'\0\3off' b'\0\2me' b'\0\6secret')
    drive(peer.port, client_id='a')
    assert peer.accept().expect(CONNECT) == (0, b'\0\4MQTT\4\2\0\x2d' b'\0\1a')


def test_packets_cut_at_every_byte(drive, peer):
    one = drive(peer.port, subscriptions=['a/b'])
    connection = peer.accept()
    connection.expect(CONNECT)
    for byte in CONNACK:
        connection.send(bytes([byte]))
        time.sleep(0.002)
    _, body = connection.packet()[1:]
    assert body == b'\0\1\0\3a/b\1'
    for byte in packet(0x90, b'\0\1\1'):
        connection.send(bytes([byte]))
        time.sleep(0.002)
    one.wait('connected')
    for payload in (b'12345', b'x' * 130):
        for data in (message('a/b', payload), message('a/b', payload, 2, 300)):
            for cut in range(1, min(len(data), 20)):
                connection.send(data[:cut])
                time.sleep(0.002)
                connection.send(data[cut:])
                assert one.wait('message') == ['a/b', payload.decode(), False]
                if data[0] & 2:
                    assert connection.expect(PUBACK) == (0, b'\x01\x2c')
    connection.send(message('a/b', b'1') + message('a/b', b'2', 3, 7) + message('a/b', b'')[:3])
    assert [one.wait('message') for _ in range(2)] == [['a/b', '1', False], ['a/b', '2', True]]
    connection.send(message('a/b', b'')[3:])
    assert one.wait('message') == ['a/b', '', False]


WRONG = [
    (b'\x20\2\0\0', 'unexpected packet: kind 0x20'),                    # again
    (b'\x40\1\0', 'unexpected packet: kind 0x40'),                      # an acknowledgement of nothing
    (b'\x90\3\0\1\0', 'unexpected packet: kind 0x90'),                  # of a subscription
    (b'\xd0\0', 'unexpected packet: kind 0xd0'),                        # an answer to no ping
    (b'\xe0\0', 'unexpected packet: kind 0xe0'),                        # of a client
    (b'\0\0', 'unexpected packet: kind 0x00'),
    (b'\x30\xff\xff\xff\xff\1', 'a length of more than four bytes'),
    (b'\x40\xff\xff\xff\x7f' + bytes(2000), 'unexpected packet: kind 0x40'),
    (b'\x30\0', 'a wrong message: its topic is empty or cut off'),
    (b'\x30\2\0\0', 'a wrong message: its topic is empty or cut off'),
    (b'\x30\3\0\2a', 'a wrong message: its topic is empty or cut off'),
    (b'\x32\4\0\2ab', 'a wrong message: its topic is empty or cut off'),
    (b'\x32\5\0\1a\0\0', 'a wrong message: its packet identifier is 0'),
    (b'\x34\5\0\1a\0\1', 'a wrong message: its QoS was not requested'),
    (b'\x36\5\0\1a\0\1', 'a wrong message: its QoS was not requested'),
    (b'\x30\3\0\1+', 'a wrong message: its topic has characters that it must not have'),
    (b'\x30\4\0\2\xc3\x28', 'a wrong message: its topic has characters that it must not have'),
    (b'\x30\4\0\2a\0', 'a wrong message: its topic has characters that it must not have'),
]
WRONG_AT_FIRST = [
    (b'\x30\3\0\1a', 'unexpected packet: kind 0x30'),
    (b'\xd0\0', 'unexpected packet: kind 0xd0'),
    (b'\x20\1\0', 'unexpected packet: kind 0x20'),
    (b'HTTP/1.1 400 Bad Request' + bytes(100), 'unexpected packet: kind 0x48'),
    (b'\x20\2\0\1', 'the broker refuses: it does not speak MQTT 3.1.1'),
    (b'\x20\2\0\2', 'the broker refuses: it does not take the client id'),
    (b'\x20\2\0\3', 'the broker refuses: it is not ready'),
    (b'\x20\2\0\7', 'the broker refuses: code 7'),
]


def test_wrong_packets_end_the_connection_with_a_reason(drive, peer):
    one = drive(peer.port, subscriptions=['a'], second=0.05)
    for data, reason in WRONG:
        connection = peer.accept()
        connection.greet()
        one.wait('connected')
        connection.send(data)
        assert reason in one.wait('lost')[0], data
        assert connection.packet() is None
    for data, reason in WRONG_AT_FIRST:
        connection = peer.accept()
        connection.expect(CONNECT)
        connection.send(data)
        assert reason in one.wait('lost')[0], data
        assert connection.packet() is None
        connection = peer.accept()      # a good connection, so that the pauses stay short
        connection.greet()
        one.wait('connected')
        connection.close()
        one.wait('lost')


def test_a_wrong_answer_to_the_subscription(drive, peer):
    one = drive(peer.port, subscriptions=['a'], second=0.01)
    for answer in (b'\x90\3\0\2\1', b'\x90\4\0\1\1\1'):
        connection = peer.accept()
        connection.expect(CONNECT)
        connection.send(CONNACK)
        connection.packet()
        connection.send(answer)
        one.wait('lost')


def test_a_refused_subscription_is_reported_and_requested_again(drive, peer):
    one = drive(peer.port, subscriptions=['a', 'b'], second=0.02)
    connection = peer.accept()
    connection.expect(CONNECT)
    connection.send(CONNACK)
    _, body = connection.expect(SUBSCRIBE)
    connection.send(packet(0x90, body[:2] + b'\x80\0'))
    assert one.wait('warning') == ['the broker does not let us subscribe to a']
    one.wait('connected')
    for code in b'\x80\1':
        assert one.publish('between', '', 1)
        _, body = connection.expect(PUBLISH)
        connection.send(packet(PUBACK << 4, body[-2:]))
        _, body = connection.expect(SUBSCRIBE)
        assert body[2:] == b'\0\1a\1'
        connection.send(packet(0x90, body[:2] + bytes([code])))
    connection.send(message('a', b'comes'))
    assert one.wait('message') == ['a', 'comes', False]


def test_a_message_that_is_too_long_is_left_out(drive, peer):
    one = drive(peer.port, subscriptions=['a'])
    connection = peer.greeted()
    connection.send(message('a', b'x' * 100000, 2, 5) + message('a', b'x' * 1021) + message('a', b'x' * 1022) +
                    message('a', b'short'))
    assert one.wait('warning') == ['a message of 100005 bytes to a was left out']
    assert connection.expect(PUBACK) == (0, b'\0\5')
    assert one.wait('message') == ['a', 'x' * 1021, False]
    assert one.wait('warning') == ['a message of 1025 bytes to a was left out']
    assert one.wait('message') == ['a', 'short', False]


def test_a_topic_that_is_too_long_is_left_out(drive, peer):
    """Otherwise anyone who may publish below a wildcard could leave such a retained message, and no connection would
    last.
    """
    one = drive(peer.port, subscriptions=['+'])
    connection = peer.greeted()
    connection.send(message('x' * 1023, b'') + message('x' * 1030, b'', 2, 5) + message('a', b'short'))
    for size in 1020, 1020:
        assert one.wait('warning') == ['a message with a topic of more than %d bytes was left out' % size]
    assert one.wait('message') == ['a', 'short', False]


@pytest.mark.parametrize('answers', [0, 1])
def test_no_answer_to_the_login_or_the_subscription(drive, peer, answers):
    one = drive(peer.port, subscriptions=['a'], second=0.02)
    waits = []
    for _ in range(4):
        connection = peer.accept()
        start = time.monotonic()
        if answers:
            connection.send(CONNACK)
        assert one.wait('lost') == ['the broker has not answered within its time']
        waits.append(time.monotonic() - start)
    # 10 times 0.02. On a busy computer one is shorter, where the connection was noticed late, or longer.
    assert max(waits) > 0.15 and min(waits) < 2, waits


def test_pings(drive, peer):
    """The client sends one if nothing was sent or received for half of the keepalive, and waits for its answer."""
    one = drive(peer.port, subscriptions=['a'], second=0.02, keepalive_s=20)
    connection = peer.greeted()
    start = time.monotonic()
    one.wait('connected')
    for _ in range(3):
        assert connection.expect(PINGREQ) == (0, b'')
        connection.send(PINGRESP)
    assert 0.5 < time.monotonic() - start < 3
    # The client sends all the time, and receives nothing. (A ping after a pause of this test proves nothing.)
    sent_at = time.monotonic()
    pings = 0
    while not pings:
        assert time.monotonic() < start + 8
        assert one.publish('a', 'state')
        kind = connection.packet()[0]
        while kind == PINGREQ:
            pings += time.monotonic() - sent_at < 0.18
            connection.send(PINGRESP)
            kind = connection.packet()[0]
        sent_at = time.monotonic()
    # The client receives all the time, and sends nothing.
    connection.sock.settimeout(0.01)
    now = time.monotonic()
    end = now + 5
    while True:
        start, now = now, time.monotonic()              # at the start, the ping had not come
        assert now < end
        connection.send(message('a', b'1'))
        with contextlib.suppress(socket.timeout):
            assert connection.expect(PINGREQ) == (0, b'')
            break
    # The broker does not answer.
    assert one.wait('lost') == ['the broker has not answered within its time']
    assert 0.2 < time.monotonic() - start < 2           # 20 times 0.02 since the ping


def test_a_message_without_acknowledgement(drive, peer):
    """It is sent four more times in the connection, and then in a new one as a new message."""
    one = drive(peer.port, subscriptions=['a'], second=0.03, keepalive_s=300)
    connection = peer.greeted()
    one.wait('connected')
    start = time.monotonic()
    assert one.publish('b', 'important', 1, True)
    assert connection.expect(PUBLISH) == (3, b'\0\1b\0\2important')
    for _ in range(4):
        assert connection.expect(PUBLISH) == (0xb, b'\0\1b\0\2important')
    assert one.wait('lost') == ['the broker has not acknowledged a message']
    assert 1.4 < time.monotonic() - start < 5           # 5 times 10 times 0.03
    connection = peer.greeted()
    assert connection.expect(PUBLISH) == (3, b'\0\1b\0\4important')
    one.wait('connected')
    connection.send(packet(0x40, b'\0\4') * 2)          # the second acknowledges a message that was sent twice
    one.wait('acked')
    connection.send(message('a', b'more'))
    one.wait('message')


def test_packet_identifiers_start_again_at_1(drive, peer):
    one = drive(peer.port, subscriptions=['a'], _identifier=65534)
    connection = peer.accept()
    connection.expect(CONNECT)
    connection.send(CONNACK)
    assert connection.expect(SUBSCRIBE)[1][:2] == b'\xff\xff'
    connection.send(b'\x90\3\xff\xff\1')
    one.wait('connected')
    assert one.publish('b', 'important', 1)
    assert connection.expect(PUBLISH) == (2, b'\0\1b\0\1important')


def test_pauses_grow_until_the_broker_accepts(drive, peer):
    """The test uses the shortest random pauses: half of 1 s, 2 s, 4 s ..., 60 s."""
    drive(peer.port, subscriptions=['a'], second=0.01)

    def gaps(count):
        last, found = time.monotonic(), []
        for _ in range(count):
            connection = peer.accept()
            now = time.monotonic()
            found.append(now - last)
            last = now
            connection.close()      # the pause begins after it
        return found[1:]

    pauses = gaps(10)
    for got, want in zip(pauses, (0.5, 1, 2, 4, 8, 16, 30, 30, 30)):
        assert got >= 0.008 * want, pauses
    assert min(pauses[-2:]) < 0.5, pauses   # on a busy computer one may take longer
    connection = peer.accept()
    connection.expect(CONNECT)
    connection.send(CONNACK)
    connection.close()
    assert min(gaps(3)) < 0.2


def test_the_client_waits_until_the_address_is_known(drive, peer):
    one = drive(peer.port, subscriptions=['a'], second=0.02, unknown=5)
    start = time.monotonic()
    peer.accept().greet()
    one.wait('connected')
    assert time.monotonic() - start < 2


def test_stop_disconnects(drive, peer):
    one = drive(peer.port, subscriptions=['a'], second=0.02)
    connection = peer.greeted()
    one.wait('connected')
    one.order('publish', 'a', 'offline', 0, True)
    one.order('stop')
    assert connection.expect(PUBLISH) == (1, b'\0\1aoffline')
    assert connection.expect(DISCONNECT) == (0, b'')
    assert connection.packet() is None


def test_a_stopped_client_leaks_nothing(drive, peer):
    one = drive(peer.port, subscriptions=['a'])
    for payload in ('first', 'second'):
        connection = peer.accept()
        connection.greet()
        one.wait('connected')
        assert one.publish('b', payload, 1)
        assert connection.expect(PUBLISH)[1].endswith(payload.encode())
        one.order('stop')
        one.order('start')
