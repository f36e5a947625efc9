"""Prepares for joining a network: the radio, the address, and the arguments for `connect`."""

from firmware.network import NO_ADDRESS

# The driver of the Pico W joins WPA3 only on request, and then joins WPA2 less reliably. So both ways are tried. "" is
# the driver's default.
_WAYS_OF_CYW43 = {"any": ("", "SEC_WPA2_WPA3"), "wpa2": ("",), "wpa3": ("SEC_WPA3",)}


def ready(network, constant, settings, country, power_save):
    """Return the station's interface, switched on. The country comes first, because it decides which channels are
    allowed."""
    network.country(country)
    station = constant("IF_STA")
    wlan = network.WLAN(constant("STA_IF") if station is None else station)
    wlan.active(True)
    try:
        wlan.disconnect()  # the radio stays connected over a soft reset, and an ESP32 refuses a second connect
    except OSError:
        pass
    mode = constant("PM_POWERSAVE" if power_save else "PM_NONE")
    if mode is not None:
        wlan.config(pm=mode)
    set_address(wlan, settings)
    return wlan


def ways(settings, constant, is_cyw43):
    """Return a list of more arguments for `connect`, besides name and password, to be tried one after the other.

    An ESP32 chooses by itself, and an open network leaves no choice.
    """
    if not is_cyw43 or not settings["password"]:
        return [{}]
    found = []
    for name in _WAYS_OF_CYW43[settings["security"]]:
        value = constant(name) if name else None
        if not name or value is not None:
            found.append({"security": value} if name else {})
    if not found:
        raise ValueError(f"this image has no driver for {settings['security']}")
    return found


def set_address(interface, static):
    """Set the interface's static address, or DHCP."""
    if static["address"]:
        gateway = static["gateway"] or NO_ADDRESS
        interface.ifconfig((static["address"], static["netmask"], gateway, static["dns"] or gateway))
    elif hasattr(interface, "ipconfig"):
        try:
            interface.ipconfig(dhcp4=True)
        except (OSError, ValueError, TypeError):
            pass  # a port without this option always uses DHCP
