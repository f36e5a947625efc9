"""The ESP32 board: its name, and the pins of its flash."""

NAME = "ESP32"
RESERVED_PINS = (6, 7, 8, 9, 10, 11)
