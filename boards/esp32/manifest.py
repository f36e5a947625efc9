# The frozen modules of all ESP32 boards of this project.
names = ("bundle-networking", "aioespnow", "dht", "ds18x20", "neopixel", "umqtt.simple", "upysh")
include("../chip/manifest.py", drivers=names)
