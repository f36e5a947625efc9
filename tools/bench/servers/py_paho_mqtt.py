"""MQTT client of paho-mqtt: PORT NAME QOS BURST SIZE. Publishes a burst on request, and counts the received
messages."""

import sys

from paho.mqtt.client import CallbackAPIVersion, Client


def main(port, name, qos, burst, size):
    """Serve for ever."""
    payload = bytes(size)
    count = 0

    def on_connect(client, userdata, flags, reason, properties):
        client.subscribe([("go/" + name, 1), ("in/" + name, 1)])

    def on_message(client, userdata, message):
        nonlocal count
        if message.topic[0] == "g":
            for _ in range(int(message.payload)):
                client.publish("out/" + name, payload, qos)
            return
        count += 1
        if count == burst:
            count = 0
            client.publish("done/" + name, b"")

    client = Client(CallbackAPIVersion.VERSION2, name)
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: print("READY")
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()


main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
