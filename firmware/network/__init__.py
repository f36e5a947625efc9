"""What all links have in common: one of MicroPython's network interfaces, in a small shape that never waits.

    start()         begin to connect; OSError or ValueError if that cannot even begin
    poll()          CONNECTING, UP or FAILED (then `reason` says why)
    stop()          give up
    address()       (address, netmask, gateway) as text

`name` is for people. `waits_ms`, where it is given, replaces the configured time to connect.
"""

from firmware.log import describe

CONNECTING = "connecting"
UP = "up"
FAILED = "failed"

NO_ADDRESS = "0.0.0.0"


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


class Interface:
    """What the links have in common: one of MicroPython's network interfaces."""

    waits_ms = None
    reason = ""
    late = None  # what to tell where the time to connect is over
    broken = False  # it cannot work before the next boot: it is not tried again
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
        """The signal's strength in dBm; None if there is no radio."""
        return None


def is_address(text):
    """True for an IPv4 address: four numbers, 0 to 255, with dots between."""
    parts = text.split(".") if isinstance(text, str) else ()
    return len(parts) == 4 and all(part.isdigit() and len(part) <= 3 and int(part) < 256 for part in parts)


def guarded(function, *args):
    """Call a driver. Returns (result, None), or (None, text) where it raised: drivers raise nearly anything."""
    try:
        return function(*args), None
    except Exception as error:
        return None, describe(error)
