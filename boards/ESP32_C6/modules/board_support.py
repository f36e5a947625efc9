"""The ESP32_C6 board: its name, and the pins of its flash and its USB port."""

NAME = "ESP32_C6"
RESERVED_PINS = (12, 13, 24, 25, 26, 27, 28, 29, 30)
