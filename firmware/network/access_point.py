"""The board's own Wi-Fi network. firmware/network/__init__.py describes the methods."""

from firmware.network import Interface


class AccessPointLink(Interface):
    """The board's own Wi-Fi network, used when no other answers."""

    def __init__(self, network, settings, ssid):
        super().__init__()
        self._network = network
        self._settings = settings
        self._ssid = settings["ssid"] or ssid
        self.name = f"access point '{self._ssid}'"

    def start(self):
        """Set name, key and channel before the radio is switched on, or after it if the port requires that."""
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
        """Return True while a device is connected."""
        try:
            return bool(self.interface.status("stations"))
        except (OSError, ValueError, TypeError):
            return False
