"""An emulated Pico W: a board whose network is the Wi-Fi of an Air.

    with PicoW("build/PICO_W/firmware.uf2", air) as board:
        board.link.wait_up(30)      # it is in a network
        board.link.hang_up()        # the access point sends it away
"""

import threading

from .board import Board, BoardError

SSID = "home"
KEY = "correct horse"
LEAVES_SEC = 10


class PicoW(Board):
    """One board. Its address follows from its `number`, in the Air's LAN."""

    KIND = "PICO_W"
    CABLE = "radio"
    settings = {"wifi": {"networks": [{"ssid": SSID, "password": KEY}]}}

    def __init__(self, image, air, number=1, **options):
        super().__init__(image, number=number, **options)
        self.air = air
        self.mac = bytes((0x28, 0xCD, 0xC1)) + number.to_bytes(3, "big")  # in the range of the chip's maker
        self.local_address = air.lan.host_address

    @property
    def address(self):
        """Return the address that the network's DHCP server gives the board."""
        return str(self.air.lan.dhcp.address(self.mac))

    @address.setter
    def address(self, _):
        """Do nothing. Board sets an address here, but a Pico W gets its address from the DHCP server."""

    def start(self):
        super().start()
        self.link = WifiLink(self)

    def connect_network(self, interface=None):
        """Do nothing: Wi-Fi needs no cable."""

    def wifi(self):
        """Return the Wi-Fi chip's state: ssid, bssid, access_point (its own), stations (in it), lost (frames)."""
        return self._do("wifi")

    def radio_command(self, name, **values):
        try:
            self._do(name, **values)
        except BoardError:
            pass  # the board was switched off

    def _handle_event(self, event):
        if event["event"] == "wifi" and self.link:
            self.link.happened(event)


class WifiLink:
    """The board's Wi-Fi, seen from outside."""

    def __init__(self, board):
        self._board = board
        self._changed = threading.Condition()
        self._is_up = False
        self.joined = 0  # how often the network has come up
        self.radio = board.air.attach(board._cable, board.radio_command)

    def happened(self, event):
        air = self._board.air
        if "access_point" in event:
            beacon = event["access_point"]
            self.radio.beacon = beacon and {**beacon, "rssi": -40}
            air.lan.loop.call(air.publish)
            return
        with self._changed:
            self._is_up = event["link"] == "up"
            self.joined += self._is_up
            self._changed.notify_all()

    def wait_up(self, timeout):
        """Return True as soon as the board is in a network, or False after `timeout` seconds."""
        return self._wait(lambda: self._is_up, timeout)

    def wait_down(self, timeout):
        return self._wait(lambda: not self._is_up, timeout)

    def wait_joined(self, times, timeout):
        """Return True as soon as the network has come up that many times."""
        return self._wait(lambda: self.joined >= times, timeout)

    def _wait(self, condition, timeout):
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def hang_up(self):
        """Have the access point disconnect the board. Return when it has left, or is already back."""
        before = self.joined
        self._board.radio_command("deauthenticate", reason=3)
        self._wait(lambda: not self._is_up or self.joined > before, LEAVES_SEC)

    def close(self):
        """Remove the board from the air when it is switched off. Its descriptor may be used again afterwards."""
        air = self._board.air
        gone = threading.Event()
        air.lan.loop.call(lambda: (air.detach(self.radio), gone.set()))
        gone.wait(LEAVES_SEC)
