"""A station in a Wi-Fi network. interface.py has its shape."""

from firmware import borrow, const
from firmware.network.interface import CONNECTING, FAILED, UP, Interface, set_address

# A status left over from the last attempt is still there when the next begins (ESP32 keeps it until it is
# connected), and a first "no such network" may be one missed beacon: failures count from here on.
STATUS_SETTLES_MS = 3000

_CYW43_NO_ADDRESS_YET = const(2)  # between STAT_CONNECTING 1 and STAT_GOT_IP 3, without a name of its own


class StationLink(Interface):
    """A station in one Wi-Fi network."""

    def __init__(self, board, clock, settings, country, power_save):
        super().__init__()
        self._board = board
        self._network = board.network
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
        """Begin to connect. A radio without memory will not get any before the next boot."""
        try:
            self._start()
        except OSError as error:
            text = borrow("firmware.network.radio").no_memory(error, self._board)
            if not text:
                raise
            self.broken = True
            raise OSError(text) from None

    def _start(self):
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
        self.reason = borrow("firmware.network.reasons").reason(status, self._constant)
        return FAILED

    def stop(self):
        """Leave the network; the radio stays on, for the next one in the list."""
        if self.interface:
            self.interface.disconnect()

    def rssi(self):
        """The signal's strength in dBm."""
        return self.interface.status("rssi")
