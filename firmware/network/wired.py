"""Ways onto a network by a wire: Ethernet, and PPP over a UART. interface.py has their shape."""

from firmware import borrow
from firmware.network.interface import FAILED, UP, Interface


class LanLink(Interface):
    """A wired network: what the board brings, ESP32's own MAC with a PHY, or a WIZnet chip."""

    name = "lan"
    waits_ms = 5000  # without a cable there is nothing to wait for

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
        """Switch it on; a cable may come later."""
        if not self.interface:
            self.interface = self._make()
        self.interface.active(True)
        borrow("firmware.network.joining").set_address(self.interface, self._settings)

    def stop(self):
        """Leave it on: a cable that is plugged in later is noticed by the next attempt at once."""


class PppLink(Interface):
    """The point-to-point protocol over a UART: a cellular modem, or the emulated board's way out."""

    name = "ppp"

    def __init__(self, board, settings):
        super().__init__()
        self._board = board
        self._settings = settings

    def _make_uart(self):
        settings = self._settings
        if settings["uart"] is None:
            return self._board.uart(settings["baud"])
        machine = self._board.machine
        pins = {}
        for name in ("tx", "rx"):
            if settings[name] is not None:
                pins[name] = machine.Pin(settings[name])
        return machine.UART(settings["uart"], settings["baud"], rxbuf=4096, **pins)

    def start(self):
        """Dial."""
        ppp_class = self._board.network.PPP
        if not self.interface:
            self.interface = ppp_class(self._make_uart())
        options = {}
        if self._settings["user"]:
            security = getattr(ppp_class, "SEC_CHAP", getattr(ppp_class, "SEC_PAP", None))
            options = {"security": security, "user": self._settings["user"], "key": self._settings["password"]}
        self.interface.connect(**options)

    def poll(self):
        """As the protocol reports; lwIP's error codes are negative here."""
        state = super().poll()
        status = self.interface.status() if state != UP and hasattr(self.interface, "status") else 0
        if isinstance(status, int) and status < 0:
            self.reason = f"PPP error {-status}"
            return FAILED
        return state

    def stop(self):
        """Hang up."""
        if self.interface:
            self.interface.disconnect()
