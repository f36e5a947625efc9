"""What all links have in common: a small interface to MicroPython's network interfaces that never waits.

    start()         begin to connect; OSError or ValueError if that cannot even begin
    poll()          CONNECTING, UP or FAILED (then `reason` says why)
    stop()          give up
    address()       (address, netmask, gateway) as text

`name` is for people. `waits_ms`, if it is not None, replaces the configured time to connect.
"""

from firmware.log import describe

CONNECTING = "connecting"
UP = "up"
FAILED = "failed"

NO_ADDRESS = "0.0.0.0"


def read_address(interface):
    """Return (address, netmask, gateway) of a network interface, with the method that the port supports."""
    if hasattr(interface, "ipconfig"):
        address, netmask = interface.ipconfig("addr4")
        return address, netmask, interface.ipconfig("gw4")
    return tuple(interface.ifconfig()[:3])


def broadcast_address(address, netmask):
    """Return the subnet's broadcast address; for a point-to-point link, 255.255.255.255."""
    if netmask == "255.255.255.255":
        return netmask
    own = address.split(".")
    mask = netmask.split(".")
    return ".".join(str(int(own[index]) | (~int(mask[index]) & 255)) for index in range(4))


class Interface:
    """The base of the links: one of MicroPython's network interfaces."""

    waits_ms = None
    reason = ""
    late = None  # the reason to report if it does not connect in time
    broken = False  # it is not tried again before the next boot, because it cannot work
    restartable = True

    def __init__(self, interface=None):
        self.interface = interface

    def poll(self):
        """Return UP if there is an address, else CONNECTING."""
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
        """Return the signal strength in dBm; None if there is no radio."""
        return None


def is_address(text):
    """Return True for an IPv4 address: four numbers from 0 to 255, separated by dots."""
    parts = text.split(".") if isinstance(text, str) else ()
    return len(parts) == 4 and all(part.isdigit() and len(part) <= 3 and int(part) < 256 for part in parts)


def guarded(function, *args):
    """Call a driver. Return (result, None), or (None, text) if it raised, because drivers raise nearly anything."""
    try:
        return function(*args), None
    except Exception as error:
        return None, describe(error)
