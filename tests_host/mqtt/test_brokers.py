"""The MQTT client with real brokers."""
import pytest


@pytest.fixture(params=['mosquitto', 'nats'])
def broker(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def topic(request):
    """A topic that no other test uses."""
    return request.node.name.replace('[', '/').replace(']', '')


@pytest.mark.parametrize('qos', [0, 1])
def test_messages_go_out_and_come_in(drive, broker, topic, qos):
    one = drive(broker.port, subscriptions=[topic + '/+'])
    other = drive(broker.port)
    one.wait('connected')
    other.wait('connected')
    for payload in ('', 'plain', 'umlauts äöü', 'x' * 900):
        assert other.publish(topic + '/ä', payload, qos)
        assert one.wait('message') == [topic + '/ä', payload, False]
        if qos:
            other.wait('acked')


def test_a_retained_message_is_sent_to_later_subscribers(drive, broker, topic):
    one = drive(broker.port)
    one.wait('connected')
    assert one.publish(topic, 'kept', 1, True)
    one.wait('acked')
    late = drive(broker.port, subscriptions=[topic])
    assert late.wait('message') == [topic, 'kept', True]
    assert one.publish(topic, '', 1, True)
    assert late.wait('message') == [topic, '', False]
    later = drive(broker.port, subscriptions=[topic, topic + '/end'])
    later.wait('connected')
    assert one.publish(topic + '/end', 'not kept')
    assert later.wait('message') == [topic + '/end', 'not kept', False]


def test_the_will_is_published_when_the_client_is_gone(drive, broker, topic):
    watcher = drive(broker.port, subscriptions=[topic])
    watcher.wait('connected')
    one = drive(broker.port, will=[topic, 'offline'])
    one.wait('connected')
    assert one.publish(topic, 'online', 1, True)
    assert watcher.wait('message') == [topic, 'online', False]
    one.kill()
    assert watcher.wait('message') == [topic, 'offline', False]
    late = drive(broker.port, subscriptions=[topic])
    assert late.wait('message') == [topic, 'offline', True]


def test_after_a_clean_stop_no_will_is_published(drive, broker, topic):
    watcher = drive(broker.port, subscriptions=[topic])
    watcher.wait('connected')
    one = drive(broker.port, will=[topic, 'offline'])
    one.wait('connected')
    one.order('stop')
    one.wait('stopped')
    assert not one.publish(topic, 'nobody hears it')
    one.order('start')
    one.wait('connected')
    assert one.publish(topic, 'online')
    assert watcher.wait('message') == [topic, 'online', False]


def test_a_broker_is_killed_and_restarted(drive, broker, topic):
    one = drive(broker.port, subscriptions=[topic], second=0.1)
    one.wait('connected')
    broker.kill()
    one.wait('lost')
    assert not one.publish(topic, 'nobody is there', 1)
    one.wait('lost')    # refused
    broker.start()
    one.wait('connected')
    assert one.publish(topic, 'again', 1)
    assert one.wait('message') == [topic, 'again', False]
