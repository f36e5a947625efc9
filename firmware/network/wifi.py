"""A station in a Wi-Fi network. firmware/network/__init__.py describes the methods."""

from firmware import borrow, const
from firmware.network import CONNECTING, FAILED, UP, Interface

# Failures count only after this time. At first the status may be that of the last attempt (an ESP32 keeps it until it
# is connected), and an early "no such network" may be a single missed beacon.
STATUS_SETTLES_MS = 3000

# The driver of the Pico W tries for ever to join a WPA3 network with WPA2. A wrong key is reported after 4 s.
_ONE_WAY_MS = const(8000)

_CYW43_NO_ADDRESS_YET = const(2)  # between STAT_CONNECTING 1 and STAT_GOT_IP 3; it has no name


class StationLink(Interface):
    """A station in one Wi-Fi network."""

    def __init__(self, board, clock, settings, country, power_save):
        super().__init__()
        self._board = board
        self._clock = clock
        self._settings = settings
        self._country = country
        self._power_save = power_save
        self._started_ms = 0
        self._ways = ()  # arguments for the radio, one per way to join
        self._turn = 0
        self._untried = 0  # ways that are left in this attempt
        self._failed_with = None
        self._is_cyw43 = self._constant("STAT_GOT_IP") == _CYW43_NO_ADDRESS_YET + 1
        self.name = f"wifi '{settings['ssid']}'"

    def _constant(self, name):
        # Older releases have the constants in the module, newer ones in the class.
        return getattr(self._board.network.WLAN, name, getattr(self._board.network, name, None))

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
        joining = borrow("firmware.network.joining")
        self.interface = joining.ready(
            self._board.network, self._constant, self._settings, self._country, self._power_save
        )
        self._ways = joining.ways(self._settings, self._constant, self._is_cyw43)
        self._untried = len(self._ways)
        self._join()

    def _join(self):
        self._untried -= 1
        way = self._ways[self._turn % len(self._ways)]
        self.interface.connect(self._settings["ssid"], self._settings["password"] or None, **way)
        self._started_ms = self._clock.uptime_ms()

    def _join_the_other_way(self):
        self._turn += 1
        self.interface.disconnect()
        self._join()

    def poll(self):
        """Return the state that the radio reports. A failure has to last."""
        state = super().poll()
        if state == UP:
            self._untried = 0
            self._failed_with = None
        else:
            since_ms = self._clock.uptime_ms() - self._started_ms
            if since_ms >= STATUS_SETTLES_MS:
                state = self._judge(self.interface.status(), since_ms)
        return state

    def _judge(self, status, since_ms):
        if status == _CYW43_NO_ADDRESS_YET and self._is_cyw43:
            self._untried = 0
            return CONNECTING
        if status in (self._constant("STAT_IDLE"), self._constant("STAT_CONNECTING"), self._constant("STAT_GOT_IP")):
            if self._untried and since_ms >= _ONE_WAY_MS:
                self._join_the_other_way()
            return CONNECTING
        if self._untried and status != self._constant("STAT_WRONG_PASSWORD"):
            self._join_the_other_way()
            return CONNECTING
        self._untried = 0
        if status != self._failed_with:  # finding the reason may need a scan
            self._failed_with = status
            make = borrow("firmware.network.reasons").reason
            self.reason = make(status, self._constant, self._board, self.interface, self._settings)
        return FAILED

    def stop(self):
        """Leave the network. The radio stays on for the next one."""
        if self._untried:  # no answer at all: begin the next attempt with the other way
            self._turn += 1
        if self.interface:
            self.interface.disconnect()

    def rssi(self):
        """Return the signal strength in dBm."""
        return self.interface.status("rssi")
