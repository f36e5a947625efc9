# The frozen modules of every chip's image: MicroPython's own, then ours. `drivers` are from micropython-lib.
options.defaults(drivers=())

# The port's boot code (_boot.py mounts the filesystem) and asyncio are in MicroPython's own tree ...
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")

# ... these come from micropython-lib, which only a full checkout has, not Debian's sources.
try:
    require("onewire")
except ValueError:  # no message: our code does not need them
    pass
else:
    for name in options.drivers:
        require(name)

# The board's own modules (board_support), those of every board, and the program that a chip starts.
# Both without their line numbers, like asyncio. Tracebacks still name the functions.
freeze("$(BOARD_DIR)/modules")
include("../../manifest.py", library_opt=3)
module("main.py", base_path="../../firmware")
