"""Messages with QoS 1 through connections that are reset again and again."""
import contextlib
import random
import select
import socket
import struct
import threading
import time

from program import PATIENCE_SEC

MESSAGES = 10000
PATIENCE = 3 * PATIENCE_SEC


class Resetting:
    """Forwards bytes between clients and the broker, and resets each connection after a random number of bytes."""

    def __init__(self, port):
        self._broker = port
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        self.resets = 0
        self._random = random.Random(1)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._ends.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                client = self._listener.accept()[0]
                broker = socket.create_connection(('127.0.0.1', self._broker))
                with contextlib.suppress(ConnectionError):  # if the system is slow, the client gives up
                    self._pass_on(client, broker, self._random.randrange(100, 20000))
                for sock in (client, broker):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                    sock.close()
                self.resets += 1

    def _pass_on(self, client, broker, left):
        while left > 0 and not self._ends.is_set():
            for sock in select.select([client, broker], [], [], 0.05)[0]:
                data = sock.recv(left if left < 4096 else 4096)
                if not data:
                    return
                (broker if sock is client else client).sendall(data)
                left -= len(data)

    def stop(self):
        self._ends.set()
        self._thread.join()
        self._listener.close()


def test_each_message_is_delivered_at_least_once(drive, mosquitto):
    receiver = drive(mosquitto.port, subscriptions=['numbers'])
    receiver.wait('connected')
    resetting = Resetting(mosquitto.port)
    try:
        sender = drive(resetting.port, second=0.01)
        sender.wait('connected')
        sender.order('flood', 'numbers', MESSAGES)
        missing = set(range(MESSAGES))
        end = time.monotonic() + PATIENCE
        while missing and time.monotonic() < end:
            missing.discard(int(receiver.wait('message')[1]))
        assert not missing
        assert resetting.resets >= 10
    finally:
        resetting.stop()
