"""A `network` module whose radio, cables and modem a test can refuse, stall, drop and bring back.

States and their numbers are those of the ports: ESP32 (ports/esp32/network_wlan.c) and CYW43 on RP2 and others
(extmod/network_cyw43.c), MicroPython 1.29.
"""

NONE = "0.0.0.0"


class Esp32Codes:
    """The codes of an ESP32. A reason stays until there is an address, even after `disconnect` and a new `connect`."""

    STAT_IDLE = 1000
    STAT_CONNECTING = 1001
    STAT_GOT_IP = 1010
    STAT_NO_AP_FOUND = 201
    STAT_WRONG_PASSWORD = 202
    STAT_BEACON_TIMEOUT = 200
    STAT_ASSOC_FAIL = 203
    STAT_CONNECT_FAIL = 203
    STAT_HANDSHAKE_TIMEOUT = 204
    STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY = 210
    STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD = 211
    STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD = 212
    keeps_reason = True


class Cyw43Codes:
    """The codes of a Pico W. 2 (joined, no address yet) has no name."""

    STAT_IDLE = 0
    STAT_CONNECTING = 1
    STAT_GOT_IP = 3
    STAT_WRONG_PASSWORD = -3
    STAT_NO_AP_FOUND = -2
    STAT_CONNECT_FAIL = -1
    keeps_reason = False


class FakeNetwork:
    """The module, and the air around it: `air` is {ssid: what happens to a station that connects}.

    "ok", "stall" (nothing ever happens), "no address" (joined, DHCP is silent), or the name of a STAT_ constant.
    """

    AP_IF = 1
    STA_IF = 0

    def __init__(self, clock, codes=Esp32Codes):
        self.clock = clock
        self.codes = codes
        self.air = {}
        self.heard = {}  # {ssid: security}, as a scan of the Pico W reports it
        self.wpa3_only = ()  # networks that accept only WPA3
        self.calls = []
        self.delay_ms = 700
        self.lease = ("192.168.1.20", "255.255.255.0", "192.168.1.1")
        self.station = FakeStation(self)
        self.access_point = FakeAccessPoint(self)
        for name in dir(codes):
            if name.startswith("STAT_"):
                setattr(self, name, getattr(codes, name))
        network = self

        class WLAN:
            IF_STA = 0
            IF_AP = 1
            PM_NONE = 0
            PM_POWERSAVE = 2
            SEC_OPEN = 0
            SEC_WPA2 = 3
            SEC_WPA_WPA2 = 4
            SEC_WPA3 = 5
            SEC_WPA2_WPA3 = 6

            def __new__(cls, interface):
                return network.access_point if interface == cls.IF_AP else network.station

        self.WLAN = WLAN

    def country(self, code):
        self.calls.append(("country", code))

    def hostname(self, name):
        self.calls.append(("hostname", name))

    def address(self, host, turn):
        """Return the name itself, as on a computer: the library looks it up when it connects."""
        return host

    def called(self, name):
        return [call for call in self.calls if call[0] == name]


class FakeStation:
    def __init__(self, network):
        self.network = network
        self.on = False
        self.ssid = None
        self.security = None
        self.securities = []  # requested networks, in order
        self.since = 0
        self.reason = None
        self.static = None
        self.signal = -61
        self.has_memory = True

    def active(self, state=None):
        if state is None:
            return self.on
        if not self.has_memory:
            raise OSError("Wifi Unknown Error 0x0101")  # ESP32: ESP_ERR_NO_MEM
        self.network.calls.append(("active", state))
        self.on = state

    def config(self, **options):
        self.network.calls.append(("config", options))

    def connect(self, ssid, key=None, **options):
        if options and self.network.codes is Esp32Codes:
            raise TypeError("unexpected keyword argument")
        if self.ssid is not None:
            raise OSError("Wifi Internal State Error")  # ESP32, while it is connecting
        self.network.calls.append(("connect", ssid, key))
        self.ssid = ssid
        self.security = options.get("security")
        self.securities.append(self.security)
        self.since = self.network.clock.now
        if not self.network.codes.keeps_reason:
            self.reason = None

    def disconnect(self):
        self.network.calls.append(("disconnect",))
        self.ssid = None

    def _happens(self):
        if self.ssid is None or self.network.clock.now - self.since < self.network.delay_ms:
            return "stall"
        if self.ssid in self.network.wpa3_only and self.security not in (5, 6):
            return "STAT_NO_AP_FOUND"
        return self.network.air.get(self.ssid, "STAT_NO_AP_FOUND")

    def scan(self):
        self.network.calls.append(("scan",))
        return [(ssid.encode(), bytes(6), 6, -50, security, 1) for ssid, security in self.network.heard.items()]

    def isconnected(self):
        up = self._happens() == "ok"
        if up:
            self.reason = None
        return up

    def status(self, what=None):
        if what == "rssi":
            return self.signal
        codes = self.network.codes
        happens = self._happens()
        if happens == "ok":
            return codes.STAT_GOT_IP
        if happens == "no address":
            return 2 if codes is Cyw43Codes else codes.STAT_CONNECTING
        if happens != "stall":
            self.reason = getattr(codes, happens) if isinstance(happens, str) else happens
        if self.reason is not None:
            return self.reason
        return codes.STAT_IDLE if self.ssid is None else codes.STAT_CONNECTING

    def ifconfig(self, values):
        self.static = values

    def ipconfig(self, name=None, dhcp4=None):
        if dhcp4:
            self.static = None
            return None
        address = (self.static or self.network.lease) if self.isconnected() else (NONE, NONE, NONE)
        return address[2] if name == "gw4" else address[:2]


class FakeAccessPoint:
    def __init__(self, network):
        self.network = network
        self.on = False
        self.options = {}
        self.guests = []

    def config(self, **options):
        self.options = options

    def active(self, state=None):
        if state is None:
            return self.on
        self.on = state

    def isconnected(self):
        return bool(self.guests)  # as on a CYW43

    def status(self, what):
        return self.guests

    def ipconfig(self, name):
        return "192.168.4.1" if name == "gw4" else ("192.168.4.1", "255.255.255.0")


class FakeCable:
    """A wired interface. The test sets `plugged`."""

    def __init__(self):
        self.plugged = False
        self.on = False
        self.lease = ("10.0.0.7", "255.0.0.0", "10.0.0.1")

    def active(self, state):
        self.on = state

    def isconnected(self):
        return self.on and self.plugged

    def ifconfig(self, values=None):
        if values:
            self.lease = values[:3]
        return (self.lease if self.plugged else (NONE,) * 3) + (NONE,)


class FakePpp:
    """PPP with lwIP's states: 0 inactive, 2 connecting, 3 connected, negative on an error."""

    SEC_PAP = 1
    SEC_CHAP = 2

    def __init__(self, uart):
        self.uart = uart
        self.state = 0
        self.options = None
        self.hang_ups = 0

    def connect(self, **options):
        if self.state in (2, 3):
            raise OSError(114)  # EALREADY
        self.options = options
        self.state = 2

    def disconnect(self):
        self.hang_ups += 1
        self.state = 0

    def isconnected(self):
        return self.state == 3

    def status(self):
        return self.state

    def ifconfig(self):
        return ("10.64.0.2", "255.255.255.255", "10.64.0.1", NONE)
