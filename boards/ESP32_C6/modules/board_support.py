"""What the ESP32_C6 board gives: its name, and the pins that its flash and its USB port hang on."""

NAME = "ESP32_C6"
RESERVED_PINS = (12, 13, 24, 25, 26, 27, 28, 29, 30)
