"""Makes a board reachable at TCP ports of 127.0.0.1, without special rights.

The listening sockets are made first, in the user's network. Then this process moves into a private network namespace,
where it may make the board's interface. Its sockets stay bound as before.
"""

import socket
import threading

CONNECT_SEC = 5
CHUNK = 65536


class Relay:
    """One TCP port."""

    def __init__(self, port):
        """Listen, on the board's port if it is free."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(("127.0.0.1", port))
        except OSError:
            self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.target = port
        self.port = self._listener.getsockname()[1]

    def start(self, address):
        """Send connections to this address from now on."""
        threading.Thread(target=self._serve, args=(address,), daemon=True).start()

    def _serve(self, address):
        while True:
            ours, _ = self._listener.accept()
            threading.Thread(target=self._connect, args=(ours, address), daemon=True).start()

    def _connect(self, ours, address):
        with ours:
            try:
                theirs = socket.create_connection((address, self.target), CONNECT_SEC)
            except OSError:
                return
            with theirs:
                theirs.settimeout(None)
                back = threading.Thread(target=_copy, args=(theirs, ours), daemon=True)
                back.start()
                _copy(ours, theirs)
                back.join()


def _copy(source, target):
    """Pass on all data, and then the end of the connection."""
    try:
        while data := source.recv(CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
