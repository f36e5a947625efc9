"""What the PICO_W board gives: its name, and the pins that its Wi-Fi chip hangs on."""

NAME = "PICO_W"
RESERVED_PINS = (23, 24, 25, 29)
