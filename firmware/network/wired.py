"""Ethernet. firmware/network/__init__.py describes the methods."""

from firmware import borrow
from firmware.network import Interface


class LanLink(Interface):
    """A wired network: the board's own interface, an ESP32's MAC with a PHY, or a WIZnet chip."""

    name = "lan"
    waits_ms = 5000  # short, because without a cable waiting is useless

    def __init__(self, board, settings):
        super().__init__()
        self._board = board
        self._settings = settings

    def _make(self):
        interface = self._board.lan()
        if interface:
            return interface
        network = self._board.network
        if hasattr(network, "LAN") and self._settings["phy"]:
            return self._make_esp32(network)
        return network.WIZNET5K()

    def _make_esp32(self, network):
        settings = self._settings
        phy = getattr(network, "PHY_" + settings["phy"], None)
        if phy is None:
            raise ValueError(f"lan.phy: this image has no driver for {settings['phy']}")
        pins = {}
        for name in ("mdc", "mdio", "power"):
            if settings[name] is not None:
                pins[name] = self._board.machine.Pin(settings[name])
        return network.LAN(phy_type=phy, phy_addr=settings["phy_address"], **pins)

    def start(self):
        """Switch it on. A cable may be plugged in later."""
        if not self.interface:
            self.interface = self._make()
        self.interface.active(True)
        borrow("firmware.network.joining").set_address(self.interface, self._settings)

    def stop(self):
        """Leave it on. The next attempt then notices at once if a cable was plugged in."""
