"""Runs the computer's end of a board's PPP link in a thread: between a serial line and a TUN interface."""

import os
import select
import threading
import time

from .ppp import PppPeer

TICK_SEC = 0.5


class PppLink:
    """The network cable of a board. It is plugged in from the start. `modem` is a modem on it (modem.py), or None."""

    def __init__(self, line, tun, local, remote, modem=None):
        self._line = line
        self.modem = modem
        self._tun = tun
        self._plugged = True
        self._is_up = threading.Event()
        self._is_down = threading.Event()
        self._is_down.set()
        self._stop_read, self._stop_write = os.pipe()
        self.peer = PppPeer(self._send, tun.write, self._changed, local, remote)
        if modem:
            modem.on_end = self.peer.lost
        self._thread = threading.Thread(target=self._run, name="ppp", daemon=True)
        self._thread.start()

    def _changed(self, is_up):
        for event, value in ((self._is_up, is_up), (self._is_down, not is_up)):
            event.set() if value else event.clear()
        if self.modem and not is_up:
            self.modem.hang_up()

    def wait_up(self, timeout):
        """Return True as soon as both ends agree that the link is up, or False after `timeout` seconds."""
        return self._is_up.wait(timeout)

    def wait_down(self, timeout):
        return self._is_down.wait(timeout)

    def unplug(self):
        """Cut the cable: from now on nothing arrives on either side, without any message."""
        self._plugged = False

    def plug(self):
        self._plugged = True

    def hang_up(self):
        """End the link with the protocol's message, like a modem's network."""
        self.peer.terminate()

    def close(self):
        os.write(self._stop_write, b"x")
        self._thread.join()
        self._tun.close()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _send(self, data):
        if self._plugged and (not self.modem or self.modem.online):
            self._line.sendall(data)

    def _run(self):
        try:
            while self._turn():
                pass
        except OSError:  # the board is gone
            pass
        self.modem = None
        self._changed(False)

    def _turn(self):
        readable, _, _ = select.select([self._line, self._tun.fd, self._stop_read], [], [], TICK_SEC)
        if self._stop_read in readable:
            return False
        now = time.monotonic()
        if self._line in readable:
            data = self._line.recv(65536)
            if not data:
                return False
            if self._plugged:
                self.peer.receive(self.modem.receive(data, now) if self.modem else data, now)
        if self._tun.fd in readable:
            packet = self._tun.read()
            if packet:
                self.peer.send_packet(packet)
        if self.modem:
            self.modem.tick(now)
        self.peer.tick(now)
        return True
