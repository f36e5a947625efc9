include("../rp2/manifest.py")

# Bluetooth stays what it is in stock firmware.
require("aioble")
