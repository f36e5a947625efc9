"""The ESP32_C3 board: its name, and the pins of its flash and its USB port."""

import network

NAME = "ESP32_C3"
RESERVED_PINS = (12, 13, 14, 15, 16, 17, 18, 19)

if hasattr(network, "PHY_OPENETH"):  # the image for QEMU

    def lan():
        """Return QEMU's Ethernet, still inactive."""
        return network.LAN(phy_type=network.PHY_OPENETH, phy_addr=1)
