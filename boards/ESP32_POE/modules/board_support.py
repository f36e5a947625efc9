"""The ESP32_POE board: its Ethernet, and the pins of its Ethernet and its flash."""

import network
from machine import Pin

NAME = "ESP32_POE"
MDC, MDIO, POWER, CLOCK = 23, 18, 12, 17
RESERVED_PINS = (6, 7, 8, 9, 10, 11, POWER, CLOCK, MDIO, 19, 21, 22, MDC, 25, 26, 27)


def lan():
    """Return the wired interface, still inactive. The chip's 50 MHz come from the ESP32 (Olimex's schematic)."""
    return network.LAN(
        mdc=Pin(MDC),
        mdio=Pin(MDIO),
        power=Pin(POWER),
        phy_type=network.PHY_LAN8720,
        phy_addr=0,
        ref_clk=Pin(CLOCK),
        ref_clk_mode=Pin.OUT,
    )
