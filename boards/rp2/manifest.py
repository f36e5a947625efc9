# What all RP2 boards of this project freeze.
include("../chip/manifest.py", drivers=("ds18x20", "dht", "neopixel", "bundle-networking"))
