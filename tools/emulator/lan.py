"""The network behind the access points: an Ethernet switch with a DHCP server and a connection to this computer.

The connection is an `uplink`: Tap (an interface of this computer or of a namespace), Passt (no rights needed), or none.
Everything runs in one thread, a `Loop`.
"""

import ipaddress
import os
import selectors
import threading
from collections import deque

from .dhcp import DhcpServer

NETWORK = ipaddress.IPv4Network("10.65.0.0/24")


class Loop:
    """A thread that waits for file objects and calls their handlers."""

    def __init__(self):
        self._selector = selectors.DefaultSelector()
        self._calls = deque()
        self._wake_read, self._wake_write = os.pipe()
        self._is_open = True
        self.watch(self._wake_read, lambda: os.read(self._wake_read, 4096))
        self._thread = threading.Thread(target=self._run, name="lan", daemon=True)
        self._thread.start()

    def watch(self, file, on_readable):
        """Watch a file. Call this in the thread itself, or before there is anything to read."""
        self._selector.register(file, selectors.EVENT_READ, on_readable)

    def forget(self, file):
        """Stop watching a file."""
        if file in self._selector.get_map():
            self._selector.unregister(file)

    def call(self, function):
        """Have the thread call a function as soon as it can."""
        self._calls.append(function)
        os.write(self._wake_write, b"x")

    def close(self):
        """End the thread, after all requested calls."""
        self.call(self._end)
        self._thread.join()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _end(self):
        self._is_open = False

    def _run(self):
        while self._is_open:
            for key, _ in self._selector.select():
                key.data()
            while self._calls:
                self._calls.popleft()()


class Lan:
    """The switch. A port is anything with `deliver(frame)`."""

    def __init__(self, network=NETWORK):
        self.network = network
        self.loop = Loop()
        self.dhcp = DhcpServer(network)
        self.uplink = None
        self._ports = []
        self._stations = {}  # MAC address: port

    @property
    def host_address(self):
        """The computer's address in this network."""
        return str(self.network[1])

    def connect(self, uplink):
        """Connect this computer."""
        self.uplink = uplink
        uplink.start(self)

    def add(self, port):
        self._ports.append(port)

    def remove(self, port):
        self._ports.remove(port)
        self._stations = {mac: owner for mac, owner in self._stations.items() if owner is not port}

    def close(self):
        if self.uplink:
            self.loop.call(self.uplink.close)
        self.loop.close()

    def owns(self, address):
        """Return whether a board has this address (4 bytes)."""
        return any(lease.packed == address for lease in self.dhcp.leases.values())

    def receive(self, frame, port):
        """Pass on a frame from a port (None: from the uplink)."""
        if len(frame) < 14:
            return
        if port:
            self._stations[frame[6:12]] = port
            answer = self.dhcp.answer(frame)
            if answer is not False:
                if answer:
                    port.deliver(answer)
                return
        owner = None if frame[0] & 1 else self._stations.get(frame[:6])
        if owner:
            owner.deliver(frame)
            return
        if frame[0] & 1:
            for other in self._ports:
                if other is not port:
                    other.deliver(frame)
        if port and self.uplink:
            self.uplink.send(frame, port)
