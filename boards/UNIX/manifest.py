include("../../manifest.py")

# What a board's port has and MicroPython's unix port has not.
freeze("modules")

# MicroPython's ssl module is part of micropython-lib, which only a full checkout (MPY_DIR=) has.
try:
    require("ssl")
except ValueError:
    pass
