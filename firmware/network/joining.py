"""What comes before a network is joined: the radio is made ready, the address is set, and what to ask the radio for."""

from firmware.network import NO_ADDRESS

# The driver of the Pico W does not join WPA3 unless it is told to, and joins WPA2 less reliably if it is. So each
# network is tried both ways. "" is what the driver does by itself.
_WAYS_OF_CYW43 = {"any": ("", "SEC_WPA2_WPA3"), "wpa2": ("",), "wpa3": ("SEC_WPA3",)}


def ready(network, constant, settings, country, power_save):
    """The station's interface, on. Country first: it decides on which channels the radio may look."""
    network.country(country)
    station = constant("IF_STA")
    wlan = network.WLAN(constant("STA_IF") if station is None else station)
    wlan.active(True)
    try:
        wlan.disconnect()  # a soft reset keeps the radio connected, and ESP32 refuses a second connect
    except OSError:
        pass
    mode = constant("PM_POWERSAVE" if power_save else "PM_NONE")
    if mode is not None:
        wlan.config(pm=mode)
    set_address(wlan, settings)
    return wlan


def ways(settings, constant, is_cyw43):
    """[arguments for `connect`, besides name and password], to be tried in turn.

    ESP32 chooses by itself. An open network leaves nothing to choose.
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
    """Give the interface its static address, or back to DHCP."""
    if static["address"]:
        gateway = static["gateway"] or NO_ADDRESS
        interface.ifconfig((static["address"], static["netmask"], gateway, static["dns"] or gateway))
    elif hasattr(interface, "ipconfig"):
        try:
            interface.ipconfig(dhcp4=True)
        except (OSError, ValueError, TypeError):
            pass  # a port without this switch uses DHCP by itself
