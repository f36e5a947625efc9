"""What the W5500_EVB_PICO board gives: its Ethernet chip (its wiring is in MicroPython's board definition)."""

import network

NAME = "W5500_EVB_PICO"
RESERVED_PINS = (16, 17, 18, 19, 20, 21)


def lan():
    """The wired interface, not yet active."""
    return network.WIZNET5K()
