"""What the ESP32_C3 board gives: its name, and the pins that its flash and its USB port hang on."""

import network

NAME = "ESP32_C3"
RESERVED_PINS = (12, 13, 14, 15, 16, 17, 18, 19)

if hasattr(network, "PHY_OPENETH"):  # the image for QEMU

    def lan():
        """QEMU's Ethernet, not yet active."""
        return network.LAN(phy_type=network.PHY_OPENETH, phy_addr=1)
