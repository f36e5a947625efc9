"""What the ESP32 board gives: its name, and the pins that its flash hangs on."""

NAME = "ESP32"
RESERVED_PINS = (6, 7, 8, 9, 10, 11)
