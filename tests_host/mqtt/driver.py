"""The MQTT client as a program, on either interpreter: `driver.py PORT SETTINGS`. It takes commands over TCP.

It prints a line of JSON for each event: [name, argument ...]. A command is a line of JSON, too: ["stop"], ["start"],
["publish", topic, payload, qos, retain], ["fill", topic, size], which publishes until no more is accepted, or ["flood",
topic, count], which publishes numbers with QoS 1.
"""
import json
import sys

from mqtt.client import MqttClient

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer


def tell(*words):
    print(json.dumps(words))


class Driver:

    def __init__(self, place, settings):
        self.pool = XAsyncSocketsPool()
        self.place = place
        self.unknown = settings.pop('unknown', 0)   # how often the broker's address is not known yet
        self.flooding = None    # [topic, next number, end]
        self.client = MqttClient(self.pool, settings.pop('client_id'), self.on_connected,
                                 lambda reason: tell('lost', reason), self.on_message, lambda: 0)
        certificate = settings.pop('certificate', None)
        if certificate:
            settings['context'] = XAsyncTCPClient.CreateSSLContext(cert_reqs=2, ca_certs=certificate)
        for name, value in settings.items():
            setattr(self.client, name, value)
        self.client.on_warning = lambda text: tell('warning', text)
        self.client.on_acked = self.on_acked
        server = XAsyncTCPServer.Create(self.pool, ('127.0.0.1', 0))
        server.OnClientAccepted = lambda _, client: client.AsyncRecvLine(self.on_order)
        tell('port', server.SrvAddr[1])
        self.start()
        self.pool.AsyncWaitEvents()

    def start(self):
        self.client.start(self.locate)

    def locate(self):
        self.unknown -= 1
        return None if self.unknown >= 0 else self.place

    def on_order(self, client, line, _):
        client.AsyncRecvLine(self.on_order)
        name, *words = json.loads(line)
        if name == 'publish':
            tell('published', self.client.publish(*words))
        elif name == 'fill':
            count = 0
            while count < 10000 and self.client.publish(words[0], b'x' * words[1]):
                count += 1
            tell('filled', count)
        elif name == 'flood':
            self.flooding = [words[0], 0, words[1]]
            self.flood()
        elif name == 'stop':
            self.client.stop()
            tell('stopped')
        else:
            self.start()

    def on_connected(self):
        tell('connected')
        self.flood()

    def on_message(self, topic, payload, retained):
        tell('message', topic, payload.decode(), retained)

    def on_acked(self):
        if self.flooding:
            self.flood()
        else:
            tell('acked')

    def flood(self):
        """Publish as many as may be under way. The next ones follow when some have been acknowledged."""
        if not self.flooding:
            return
        topic, number, end = self.flooding
        while number < end and self.client.publish(topic, str(number), 1):
            number += 1
        self.flooding[1] = number
        if number == end:
            self.flooding = None
            tell('flooded')


Driver(('127.0.0.1', int(sys.argv[1])), json.loads(sys.argv[2]))
