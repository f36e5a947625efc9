"""The bare loop behind the library's interface, to show what the calls alone cost (MicroPython).

Only one thread may use it. It checks no argument, handles no error, and has no event except data.
"""

import select
import sys

from listening import listening

SIZE = 4096


class Client:
    """An application's part of a connection."""

    def __init__(self, sock):
        self.sock = sock
        self.handler = self.arg = None

    def AsyncSendData(self, data, onDataSent=None, onDataSentArg=None):
        """Send."""
        try:
            self.sock.write(data)
        except OSError:
            pass

    def AsyncRecvData(self, size=None, onDataRecv=None, onDataRecvArg=None, timeoutSec=None):
        """Keep the handler for the next data."""
        self.handler = onDataRecv
        self.arg = onDataRecvArg


def on_data(client, data, _):
    """Send the data back and wait for more."""
    client.AsyncSendData(data)
    client.AsyncRecvData(None, on_data)


def main(port):
    """Echo everything, for ever."""
    listener = listening(port)
    buffer = bytearray(SIZE)
    parts = [memoryview(buffer)[:n] for n in range(SIZE + 1)]
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    clients = {}
    print("READY")
    while True:
        for key, _ in poll.ipoll():
            if key is listener:
                sock = key.accept()[0]
                sock.setblocking(False)
                poll.register(sock, select.POLLIN)
                clients[sock] = Client(sock)
                clients[sock].AsyncRecvData(None, on_data)
                continue
            client = clients[key]
            n = client.sock.readinto(buffer)
            if n:
                client.handler(client, parts[n], client.arg)
            elif n == 0:
                poll.unregister(key)
                key.close()


main(int(sys.argv[1]))
