"""Many simulated boards in one process: the firmware's MQTT client and its line protocol, over real sockets."""

import random
import time

from firmware.mqtt.client import MqttClient
from firmware.telemetry.line_protocol import encode_fields, encode_head
from XAsyncSockets import XAsyncSocketsPool, XTimer

HEADER = 4  # bytes of MQTT around a message: kind, length, the topic's length


def readings(source):
    """Return {sensor: {field: value}} of a Pico W with a BME280."""
    return {
        "bme280": {
            "celsius": round(source.uniform(15, 30), 2),
            "humidity": round(source.uniform(30, 70), 2),
            "pascal": round(source.uniform(99000, 103000), 1),
        },
        "chip": {"celsius": round(source.uniform(25, 40), 2)},
        "heap": {"free": source.randrange(60000, 120000), "used": source.randrange(60000, 120000)},
        "wifi": {"rssi": source.randrange(-80, -40)},
    }


class Counts:
    """Counts what the whole fleet sent and lost."""

    def __init__(self):
        self.sent = self.sent_bytes = 0  # readings, and their bytes in MQTT
        self.dropped = 0  # readings that were not sent, because there was no connection
        self.lost = 0  # lost connections and failed attempts
        self.reasons = set()


class SimulatedBoard:
    """A board at a broker. It has a will and a status, and publishes a line of readings at regular intervals."""

    def __init__(self, pool, number, locate, interval_s, retain, counts):
        self.base = f"fleet/b{number:05}"
        self._interval_s = interval_s
        self._retain = retain
        self._counts = counts
        self._source = random.Random(number)
        self._head = encode_head("board", {"device": self.base[6:]})
        self._turn = number
        self._locate = locate
        self.seq = 0
        self.client = MqttClient(pool, f"fleet-{number}", self._on_connected, self._on_lost, self._on_message)
        self.client.will = (f"{self.base}/status", "offline")
        self.client.subscriptions = [f"{self.base}/rpc", f"{self.base}/pin/+/set"]
        self._timer = XTimer(pool, self._publish)

    def start(self):
        """Connect, and start publishing."""
        self.client.start(self._next_place)
        self._timer.Restart(self._source.uniform(0.001, self._interval_s))

    def stop(self):
        """Stop publishing, and disconnect."""
        self._timer.Cancel()
        self.client.stop()

    def _next_place(self):
        self._turn += 1
        return self._locate(self._turn)

    def _on_connected(self):
        self.client.publish(f"{self.base}/status", "online", qos=1, retain=True)

    def _on_lost(self, reason):
        self._counts.lost += 1
        self._counts.reasons.add(reason)

    def _on_message(self, topic, payload, retained):
        """Ignore the message: nobody sends commands in the simulation."""

    def _publish(self, _):
        self._timer.Restart(self._interval_s * self._source.uniform(0.9, 1.1))
        fields = []
        for name, values in readings(self._source).items():
            fields += encode_fields(values, name + "_")
        line = self._head + b" " + b",".join(fields) + b",seq=%di,uptime=%di\n" % (self.seq, time.monotonic())
        self.seq += 1
        topic = f"{self.base}/telemetry"
        if self.client.publish(topic, line, retain=self._retain):
            self._counts.sent += 1
            self._counts.sent_bytes += HEADER + len(topic) + len(line)
        else:
            self._counts.dropped += 1


class Collector:
    """A client that receives everything that the boards publish, as Telegraf does."""

    def __init__(self, pool, locate):
        self.taken = 0
        self.client = MqttClient(pool, "fleet-collector", lambda: None, self._on_lost, self._on_message)
        self.client.subscriptions = ["fleet/+/telemetry"]
        self.client.start(lambda: locate(0))

    def _on_lost(self, reason):
        print(f"collector: {reason}", flush=True)

    def _on_message(self, topic, payload, retained):
        if not retained:
            self.taken += 1


class Fleet:
    """All boards. They share one pool, which this thread runs."""

    def __init__(self, count, locate, interval_s, retain=False):
        self.pool = XAsyncSocketsPool()
        self.counts = Counts()
        self.boards = [
            SimulatedBoard(self.pool, number, locate, interval_s, retain, self.counts) for number in range(count)
        ]

    def connected(self):
        """Return the number of connected boards."""
        return sum(board.client.connected for board in self.boards)

    def run(self, seconds, until=lambda: False):
        """Run for `seconds`, or until `until()` is true (checked ten times a second). Return the time it took."""
        start = time.monotonic()
        looked = start
        while True:
            self.pool.PollEvents(20)
            now = time.monotonic()
            if now - looked > 0.1:
                looked = now
                if until():
                    return now - start
            if now - start > seconds:
                return now - start

    def stop(self):
        """Disconnect all boards from the broker."""
        for board in self.boards:
            board.stop()
        self.run(0.5)
        self.pool.StopWaitEvents()
