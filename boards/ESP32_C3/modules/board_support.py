"""What the ESP32_C3 board gives: its name, and the pins that its flash and its USB port hang on."""

NAME = "ESP32_C3"
RESERVED_PINS = (12, 13, 14, 15, 16, 17, 18, 19)
