"""Simulates a day of telemetry and control on the image, as fast as the sockets allow. Prints JSON.

The test sets the board's clock, which jumps forward as soon as everything that was due is done.
"""

import gc
import json

import XAsyncSockets
from firmware.app import App
from firmware.board import Board
from firmware.clock import Clock
from firmware.config import Config
from firmware.log import Log
from XAsyncSockets import XAsyncTCPClient, XAsyncUDPDatagram

HOURS = 24
SECONDS_PER_STEP = 40  # less than idle_s
PERIOD = 1 << 30


class OwnClock(Clock):
    """A clock that starts two hours before the ticks wrap. The library uses it too, so nothing may wait for it."""

    now = PERIOD - 2 * 3600 * 1000

    def __init__(self):
        super().__init__()
        XAsyncSockets._ticks_ms = self.ticks
        XAsyncSockets._ticks_add = lambda ticks, delta: (ticks + delta) % PERIOD
        XAsyncSockets._ticks_diff = lambda end, start: (end - start + PERIOD // 2) % PERIOD - PERIOD // 2

    def ticks(self):
        return self.now % PERIOD


class Day:
    def __init__(self):
        self.clock = OwnClock()
        log = Log(self.clock, console=False)
        config = Config(Board(), log)
        config.set("http.port", 0)
        config.set("control", {"port": 0, "clients": 2, "idle_s": 60})
        config.set("telemetry", {"broadcast": False, "interval_s": SECONDS_PER_STEP, "jitter": 0})
        self.app = App(Board(), config, log, self.clock)
        self.lines = self.answers = self.notes = 0
        self.settled = None
        self.receiver = XAsyncUDPDatagram.Create(self.app.pool, ("127.0.0.1", 0))
        self.receiver.OnRecv = self.on_datagram
        config.set("telemetry.collectors", ["127.0.0.1:%d" % self.receiver.LocalAddr[1]])
        self.app.start()
        self.client = None

    def on_datagram(self, _socket, _address, _datagram):
        self.lines += 1

    def on_line(self, client, line, _arg):
        if '"method"' in line:
            self.notes += 1
        else:
            self.answers += 1
        client.AsyncRecvLine(self.on_line)

    def connect(self):
        port = self.app.services.get("control").port
        self.client = XAsyncTCPClient.Create(self.app.pool, ("127.0.0.1", port))
        self.client.OnConnected = self.on_connected

    def on_connected(self, client):
        client.AsyncRecvLine(self.on_line)
        client.AsyncSendData(b'{"jsonrpc": "2.0", "id": 1, "method": "telemetry.subscribe"}\n')

    def turn_until(self, condition):
        for _ in range(20000):
            if condition():
                return
            self.app.turn(0)
        raise RuntimeError("the condition did not become true in time")

    def step(self):
        """Simulate some seconds: the collector and the subscriber get a measurement, and there is a request."""
        lines, notes, answers = self.lines, self.notes, self.answers
        self.clock.now += SECONDS_PER_STEP * 1000
        self.app.turn(0)
        self.client.AsyncSendData(b'{"jsonrpc": "2.0", "id": 2, "method": "info"}\n')
        self.turn_until(lambda: self.lines > lines and self.notes > notes and self.answers > answers)

    def hour(self):
        """Simulate an hour on a new connection, and return the bytes in use afterwards."""
        self.connect()
        answers = self.answers
        self.turn_until(lambda: self.answers > answers)
        for _ in range(3600 // SECONDS_PER_STEP):
            self.step()
        self.client.Close()
        self.turn_until(lambda: not self.app.services.get("control").clients)
        return self.used_when_settled()

    def used_when_settled(self):
        """Return the least memory in use within some turns, because closed sockets are freed a bit later."""
        least = None
        for _ in range(30):
            gc.collect()
            used = gc.mem_alloc()
            least = used if least is None else min(least, used)
            if self.settled is not None and least <= self.settled:
                break
            self.app.turn(0)
        self.settled = self.settled or least
        return least


day = Day()
used = [0] * HOURS  # allocated at the start, because it is on the measured heap
for hour in range(HOURS):
    used[hour] = day.hour()
print(
    json.dumps(
        {
            "used": used,
            "lines": day.lines,
            "answers": day.answers,
            "notes": day.notes,
            "uptime": day.clock.uptime(),
            "errors": [entry for entry in day.app.log.tail(50) if entry["level"] != "info"],
        }
    )
)
