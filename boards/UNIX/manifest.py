include("../../manifest.py")

# Modules that boards' ports have and MicroPython's unix port does not.
freeze("modules")

# MicroPython's ssl module is part of micropython-lib, which only a full checkout (MPY_DIR=) has.
try:
    require("ssl")
except ValueError:
    pass
