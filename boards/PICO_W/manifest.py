include("../rp2/manifest.py")

# Bluetooth is the same as in stock firmware.
require("aioble")
