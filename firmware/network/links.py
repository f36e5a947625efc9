"""Makes the links that the image supports and the configuration enables, in the configured order.

Each kind is loaded only if it is used, because on stock MicroPython code takes heap.
"""

from firmware import make
from firmware.network import Interface


class HostLink(Interface):
    """The network of the computer that the UNIX board runs on."""

    name = "host"
    restartable = False

    def __init__(self, network):
        super().__init__()
        self._network = network

    def start(self):
        """Do nothing: the network is there from the start."""
        self.interface = self._network.Host()

    def stop(self):
        """Do nothing: the network belongs to the computer."""


def make_links(board, config, clock):
    """Return the links that the board supports and the configuration enables, in the configured order."""
    network = board.network
    by_kind = {
        "host": lambda: [] if hasattr(network, "WLAN") or not hasattr(network, "Host") else [HostLink(network)],
        "lan": lambda: _make_lan(board, config["lan"]),
        "ppp": lambda: _make_ppp(board, config["ppp"], clock),
        "wifi": lambda: _make_stations(board, config["wifi"], clock),
    }
    links = []
    for kind in config["network"]["order"]:
        links += by_kind[kind]()
    return links


def _make_lan(board, settings):
    """Return the wired link if the board has or the configuration describes an interface, else none."""
    network = board.network
    on_chip = hasattr(network, "LAN") and settings["phy"]
    if not settings["enabled"] or not (hasattr(board.support, "lan") or hasattr(network, "WIZNET5K") or on_chip):
        return []
    return [make("firmware.network.wired LanLink", board, settings)]


def _make_ppp(board, settings, clock):
    """Return the PPP link if the image has PPP, and the board or the configuration has a UART, else none."""
    has_uart = hasattr(board.support, "uart") or settings["uart"] is not None
    if not settings["enabled"] or not hasattr(board.network, "PPP") or not has_uart:
        return []
    return [make("firmware.network.ppp PppLink", board, settings, clock)]


def _make_stations(board, settings, clock):
    if not settings["networks"] or not hasattr(board.network, "WLAN"):
        return []
    more = settings["country"], settings["power_save"]
    return [make("firmware.network.wifi StationLink", board, clock, one, *more) for one in settings["networks"]]


def make_fallback(board, config, device, app=None):
    """Return the access point to use when no link comes up, or None. With `app`, it leads phones to the page."""
    if not config["ap"]["enabled"] or not hasattr(board.network, "WLAN"):
        return None
    if app:
        return make("firmware.network.portal Portal", app)
    return make("firmware.network.access_point AccessPointLink", board.network, config["ap"], device)
