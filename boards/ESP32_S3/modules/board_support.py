"""The ESP32_S3 board: its name, and the pins of its flash and its USB port."""

NAME = "ESP32_S3"
RESERVED_PINS = (19, 20, 26, 27, 28, 29, 30, 31, 32)
