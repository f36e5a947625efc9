"""Wi-Fi: a station in a network, and an access point of the board's own. interface.py has their shape."""

from firmware.network.interface import CONNECTING, FAILED, UP, Interface, set_address

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
