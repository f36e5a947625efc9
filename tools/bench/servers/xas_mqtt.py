"""MQTT client of the firmware: PORT NAME QOS BURST SIZE. Publishes a burst on request, and counts the received
messages."""

import sys

from firmware.mqtt.client import MqttClient
from XAsyncSockets import XAsyncSocketsPool


def main(port, name, qos, burst, size):
    """Serve for ever."""
    payload = bytes(size)
    pool = XAsyncSocketsPool()
    left = count = 0

    def on_message(topic, data, retained):
        nonlocal left, count
        if topic[0] == "g":
            left += int(data)
            publish()
            return
        count += 1
        if count == burst:
            count = 0
            client.publish("done/" + name, b"")

    def publish():
        nonlocal left
        while left and client.publish("out/" + name, payload, qos):
            left -= 1

    client = MqttClient(pool, name, lambda: print("READY"), print, on_message)
    client.subscriptions = ["go/" + name, "in/" + name]
    client.on_acked = publish
    client.start(lambda: ("127.0.0.1", port))
    pool.AsyncWaitEvents()


main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
