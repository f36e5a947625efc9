"""The ways onto a network, each in the same small shape, none of which ever waits.

    start()         begin to connect; OSError or ValueError if that cannot even begin
    poll()          CONNECTING, UP or FAILED (then `reason` says why)
    stop()          give up
    address()       (address, netmask, gateway) as text

`name` is for people. `waits_ms`, where it is given, replaces the configured time to connect. Wires are in
wired_links.py, which a board without any does not load: on stock MicroPython code lies in the heap.
"""

from firmware.log import describe

CONNECTING = "connecting"
UP = "up"
FAILED = "failed"

NO_ADDRESS = "0.0.0.0"

# A status left over from the last attempt is still there when the next begins (ESP32 keeps it until it is
# connected), and a first "no such network" may be one missed beacon: failures count from here on.
STATUS_SETTLES_MS = 3000

_REASONS = (
    ("STAT_WRONG_PASSWORD", "wrong password"),
    ("STAT_NO_AP_FOUND", "no such network in reach"),
    ("STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD", "the network's signal is too weak"),
    ("STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD", "the network's security is too weak"),
    ("STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY", "no security that both sides know"),
    ("STAT_HANDSHAKE_TIMEOUT", "no handshake: wrong password?"),
    ("STAT_BEACON_TIMEOUT", "the network is no longer heard"),
    ("STAT_ASSOC_FAIL", "the network refused"),
    ("STAT_CONNECT_FAIL", "the network refused"),
)
_CYW43_NO_ADDRESS_YET = 2  # between STAT_CONNECTING 1 and STAT_GOT_IP 3, without a name of its own


def read_address(interface):
    """(address, netmask, gateway) of a network interface, by the way its port knows."""
    if hasattr(interface, "ipconfig"):
        address, netmask = interface.ipconfig("addr4")
        return address, netmask, interface.ipconfig("gw4")
    return tuple(interface.ifconfig()[:3])


def broadcast_address(address, netmask):
    """The address that everybody on the subnet hears; for a point-to-point link the general one."""
    if netmask == "255.255.255.255":
        return netmask
    own = address.split(".")
    mask = netmask.split(".")
    return ".".join(str(int(own[index]) | (~int(mask[index]) & 255)) for index in range(4))


def set_address(interface, static):
    """Give the interface its static address, or back to DHCP."""
    if static["address"]:
        gateway = static["gateway"] or NO_ADDRESS
        interface.ifconfig((static["address"], static["netmask"], gateway, static["dns"] or gateway))
    elif hasattr(interface, "ipconfig"):
        try:
            interface.ipconfig(dhcp4=True)
        except (OSError, ValueError, TypeError):
            pass  # a port without this switch uses DHCP by itself


class Interface:
    """What the links have in common: one of MicroPython's network interfaces."""

    waits_ms = None
    reason = ""
    restartable = True

    def __init__(self, interface=None):
        self.interface = interface

    def poll(self):
        """UP as soon as there is an address."""
        if self.interface.isconnected() and self.address()[0] != NO_ADDRESS:
            return UP
        return CONNECTING

    def address(self):
        """(address, netmask, gateway)"""
        return read_address(self.interface)

    def stop(self):
        """Give up."""
        if self.interface:
            self.interface.active(False)

    def rssi(self):
        """The signal's strength in dBm; None where there is no radio."""
        return None


class HostLink(Interface):
    """The network of the computer that the UNIX board runs on."""

    name = "host"
    restartable = False

    def __init__(self, network):
        super().__init__()
        self._network = network

    def start(self):
        """There from the start."""
        self.interface = self._network.Host()

    def stop(self):
        """Not ours to stop."""


class StationLink(Interface):
    """A station in one Wi-Fi network."""

    def __init__(self, network, clock, settings, country, power_save):
        super().__init__()
        self._network = network
        self._clock = clock
        self._settings = settings
        self._country = country
        self._power_save = power_save
        self._started_ms = 0
        self.name = f"wifi '{settings['ssid']}'"

    def _constant(self, name):
        # Older releases have the constants in the module, newer ones in the class.
        return getattr(self._network.WLAN, name, getattr(self._network, name, None))

    def start(self):
        """Country first: it decides on which channels the radio may look."""
        self._network.country(self._country)
        station = self._constant("IF_STA")
        self.interface = wlan = self._network.WLAN(self._constant("STA_IF") if station is None else station)
        wlan.active(True)
        try:
            wlan.disconnect()  # a soft reset keeps the radio connected, and ESP32 refuses a second connect
        except OSError:
            pass
        self._set_power_save(wlan)
        set_address(wlan, self._settings)
        wlan.connect(self._settings["ssid"], self._settings["password"] or None)
        self._started_ms = self._clock.uptime_ms()

    def _set_power_save(self, wlan):
        mode = self._constant("PM_POWERSAVE" if self._power_save else "PM_NONE")
        if mode is not None:
            wlan.config(pm=mode)

    def poll(self):
        """As the radio reports; a failure has to last."""
        state = super().poll()
        if state == UP or self._clock.uptime_ms() - self._started_ms < STATUS_SETTLES_MS:
            return state
        return self._judge(self.interface.status())

    def _judge(self, status):
        got_address = self._constant("STAT_GOT_IP")
        if status in (self._constant("STAT_IDLE"), self._constant("STAT_CONNECTING"), got_address):
            return CONNECTING
        if status == _CYW43_NO_ADDRESS_YET and got_address == _CYW43_NO_ADDRESS_YET + 1:
            return CONNECTING
        self.reason = f"code {status}"
        for name, reason in _REASONS:
            if self._constant(name) == status:
                self.reason = reason
                break
        return FAILED

    def stop(self):
        """Leave the network; the radio stays on, for the next one in the list."""
        if self.interface:
            self.interface.disconnect()

    def rssi(self):
        """The signal's strength in dBm."""
        return self.interface.status("rssi")


class AccessPointLink(Interface):
    """A Wi-Fi network of the board's own, for when no other answers."""

    def __init__(self, network, settings, ssid):
        super().__init__()
        self._network = network
        self._settings = settings
        self._ssid = settings["ssid"] or ssid
        self.name = f"access point '{self._ssid}'"

    def start(self):
        """Name, key and channel before the radio goes on; a port that wants them after gets them then."""
        wlan_class = self._network.WLAN
        kind = getattr(wlan_class, "IF_AP", None)
        self.interface = wlan = wlan_class(self._network.AP_IF if kind is None else kind)
        try:
            wlan.config(**self._options(wlan_class))
            wlan.active(True)
        except OSError:
            wlan.active(True)
            wlan.config(**self._options(wlan_class))

    def _options(self, wlan_class):
        options = {"ssid": self._ssid, "channel": self._settings["channel"]}
        names = ("SEC_OPEN",)
        if self._settings["password"]:
            options["key"] = self._settings["password"]
            names = ("SEC_WPA2", "SEC_WPA_WPA2")
        for name in names:
            if hasattr(wlan_class, name):
                options["security"] = getattr(wlan_class, name)
                break
        return options

    def has_guests(self):
        """True while somebody is in the network."""
        try:
            return bool(self.interface.status("stations"))
        except (OSError, ValueError, TypeError):
            return False


def make_links(board, config, clock):
    """The links that the board can have and the configuration wants, in its order."""
    network = board.network
    by_kind = {
        "host": lambda: [HostLink(network)] if hasattr(network, "Host") else [],
        "lan": lambda: _make_lan(board, config["lan"]),
        "ppp": lambda: _make_ppp(board, config["ppp"]),
        "wifi": lambda: _make_stations(network, config["wifi"], clock),
    }
    links = []
    for kind in config["network"]["order"]:
        links += by_kind[kind]()
    return links


def _make_lan(board, settings):
    """Where the board has, or the configuration describes, a wired interface."""
    network = board.network
    on_chip = hasattr(network, "LAN") and settings["phy"]
    if not settings["enabled"] or not (hasattr(board.support, "lan") or hasattr(network, "WIZNET5K") or on_chip):
        return []
    from firmware.wired_links import LanLink

    return [LanLink(board, settings)]


def _make_ppp(board, settings):
    """Where the image has PPP, and the board or the configuration a UART for it."""
    has_uart = hasattr(board.support, "uart") or settings["uart"] is not None
    if not settings["enabled"] or not hasattr(board.network, "PPP") or not has_uart:
        return []
    from firmware.wired_links import PppLink

    return [PppLink(board, settings)]


def _make_stations(network, settings, clock):
    if not hasattr(network, "WLAN"):
        return []
    return [
        StationLink(network, clock, one, settings["country"], settings["power_save"]) for one in settings["networks"]
    ]


def make_fallback(board, config, device):
    """The access point for when no link comes up, or None."""
    if config["ap"]["enabled"] and hasattr(board.network, "WLAN"):
        return AccessPointLink(board.network, config["ap"], device)
    return None


def guarded(action, *args):
    """Call a driver. Returns (result, None), or (None, text) where it raised: drivers raise nearly anything."""
    try:
        return action(*args), None
    except Exception as error:
        return None, describe(error)
