# The frozen modules of all RP2 boards of this project.
include("../chip/manifest.py", drivers=("ds18x20", "dht", "neopixel", "bundle-networking"))
