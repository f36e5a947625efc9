"""What the ESP32_S3 board gives: its name, and the pins that its flash and its USB port hang on."""

NAME = "ESP32_S3"
RESERVED_PINS = (19, 20, 26, 27, 28, 29, 30, 31, 32)
