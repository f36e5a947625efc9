"""The air between boards with Wi-Fi: access points, the boards in their range, and disturbances.

    air = Air(lan)
    home = air.add("home", key="correct horse")
    home.change(on=False)
    air.set_conditions(loss=0.1, delay_ms=20)
    air.deauthenticate()

All access points of an Air lead to one Lan. If a board opens a network of its own, the other boards can join it and
talk to that board.
"""

import struct

FRAME, ASSOCIATED, LEFT = 0, 1, 2  # wifi/air.mjs
LENGTH = 4
HEADER = 7
SECURITIES = ("open", "wpa", "wpa2", "wpa2/wpa3", "wpa3")


class AirError(Exception):
    """A request is impossible; the message is one sentence for the user."""


class AccessPoint:
    """One access point."""

    def __init__(self, air, bssid, ssid, key, security, channel, rssi, hidden):
        self._air = air
        self.bssid = bssid
        self.ssid = ssid
        self.key = key
        self.security = security or ("wpa2" if key else "open")
        self.channel = channel
        self.rssi = rssi
        self.hidden = hidden
        self.on = True
        if self.security not in SECURITIES:
            raise AirError(f"{self.security!r} is not a network security: use one of {', '.join(SECURITIES)}.")
        if (self.security == "open") != (not key):
            raise AirError(f"The network {ssid!r} is {self.security}, and {'has' if key else 'has no'} key.")

    def change(self, **changes):
        """Change `on`, `key`, `rssi` (dBm), `channel`."""
        for name, value in changes.items():
            setattr(self, name, value)
        self._air.publish()

    def beacon(self):
        """Return the access point as the boards receive it (wifi/air.mjs)."""
        names = ("ssid", "bssid", "key", "security", "channel", "rssi", "hidden")
        return {name: getattr(self, name) for name in names}


class Air:
    """All access points and boards in one place."""

    def __init__(self, lan):
        self.lan = lan
        self.access_points = []
        self.radios = []
        self._conditions = {"loss": 0.0, "delay": 0.0}

    def add(self, ssid, key="", security=None, channel=6, rssi=-50, hidden=False):
        """Switch on an access point. A hidden one reveals its name only to stations that ask for it."""
        bssid = f"02:00:00:00:10:{len(self.access_points) + 1:02x}"
        access_point = AccessPoint(self, bssid, ssid, key, security, channel, rssi, hidden)
        self.access_points.append(access_point)
        self.publish()
        return access_point

    def of(self, ssid):
        """Return the access points of that name."""
        found = [one for one in self.access_points if one.ssid == ssid]
        if not found:
            known = ", ".join(sorted({one.ssid for one in self.access_points})) or "none"
            raise AirError(f"There is no network {ssid!r}; there are: {known}.")
        return found

    def set_conditions(self, loss=None, delay_ms=None):
        """Set the share of lost frames, 0 to 1, and the extra delay of each frame, per direction."""
        if loss is not None:
            self._conditions["loss"] = loss
        if delay_ms is not None:
            self._conditions["delay"] = delay_ms
        self.publish()

    @property
    def conditions(self):
        """Return {"loss": share of the frames, "delay": milliseconds}."""
        return dict(self._conditions)

    def deauthenticate(self, reason=3):
        """Disconnect all stations. Reason 3 means that the access point is leaving (IEEE 802.11, table 9-49)."""
        for radio in self.radios:
            radio.command("deauthenticate", reason=reason)

    def attach(self, stream, command):
        """Add a board: the stream of its antenna, and a function that sends it commands."""
        radio = Radio(self, stream, command)
        self.radios.append(radio)
        self.lan.add(radio)
        self.lan.loop.watch(stream, radio.read)
        self.publish()
        return radio

    def publish(self):
        """Send the current state of the air to every board."""
        for radio in list(self.radios):
            heard = [one.beacon() for one in self.access_points if one.on]
            heard += [other.beacon for other in self.radios if other.beacon and other is not radio]
            radio.command("air", accessPoints=heard, **self._conditions)

    def detach(self, radio):
        if radio in self.radios:
            self.radios.remove(radio)
            self.lan.remove(radio)
            self.lan.loop.forget(radio.stream)
            if radio.beacon:
                self.publish()

    def route(self, radio, kind, bssid, payload):
        """Pass on a board's frame: to the LAN, or to the boards in another board's network."""
        if any(one.bssid == bssid for one in self.access_points):
            radio.bssid = bssid if kind != LEFT else None
            if kind == FRAME:
                self.lan.receive(payload, radio)
            return
        if not (radio.beacon and radio.beacon["bssid"] == bssid):
            radio.bssid = bssid if kind != LEFT else None
        for other in self.radios:
            is_its_own = other.beacon is not None and other.beacon["bssid"] == bssid
            if other is not radio and (is_its_own or kind == FRAME and other.bssid == bssid):
                other.send(kind, bssid, payload)


class Radio:
    """A board's antenna: a port of the LAN while the board is in one of its networks."""

    def __init__(self, air, stream, command):
        self._air = air
        self._rest = b""
        self._command = command
        self.stream = stream
        self.bssid = None  # the access point that it has joined
        self.beacon = None  # stations in the board's own network

    def command(self, name, **values):
        """Send a command to the board's chip. A board that is switched off is ignored."""
        try:
            self._command(name, **values)
        except OSError:
            pass

    def deliver(self, frame):
        """Take a frame from the LAN."""
        if any(one.bssid == self.bssid for one in self._air.access_points):
            self.send(FRAME, self.bssid, frame)

    def send(self, kind, bssid, payload):
        """Send a frame to the board."""
        head = struct.pack(">IB6s", HEADER + len(payload), kind, bytes.fromhex(bssid.replace(":", "")))
        try:
            self.stream.sendall(head + payload)
        except OSError:
            pass  # the board is switched off

    def read(self):
        """Handle data that the board has sent."""
        try:
            data = self.stream.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._air.detach(self)
            return
        data = self._rest + data
        at = 0
        while len(data) - at >= LENGTH:
            end = at + LENGTH + int.from_bytes(data[at : at + LENGTH], "big")
            if end > len(data):
                break
            bssid = data[at + LENGTH + 1 : at + LENGTH + HEADER].hex(":")
            self._air.route(self, data[at + LENGTH], bssid, data[at + LENGTH + HEADER : end])
            at = end
        self._rest = data[at:]
