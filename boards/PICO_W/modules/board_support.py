"""The PICO_W board: its name, and the pins of its Wi-Fi chip."""

NAME = "PICO_W"
RESERVED_PINS = (23, 24, 25, 29)
