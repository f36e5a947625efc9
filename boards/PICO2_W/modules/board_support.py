"""The PICO2_W board: its name, and the pins of its Wi-Fi chip."""

NAME = "PICO2_W"
RESERVED_PINS = (23, 24, 25, 29)
