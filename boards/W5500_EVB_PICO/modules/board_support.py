"""The W5500_EVB_PICO board: its Ethernet chip (its wiring is in MicroPython's board definition)."""

import network

NAME = "W5500_EVB_PICO"
RESERVED_PINS = (16, 17, 18, 19, 20, 21)


def lan():
    """Return the wired interface, still inactive."""
    return network.WIZNET5K()
