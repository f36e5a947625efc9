# What every chip's image freezes: MicroPython's own modules, then ours. `drivers` are those of micropython-lib.
options.defaults(drivers=())

# The port's boot code (_boot.py mounts the filesystem) and asyncio lie in MicroPython's own tree ...
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")

# ... these come from micropython-lib, which a full checkout has and Debian's sources have not.
try:
    require("onewire")
except ValueError:  # the text is not shown: nothing of ours needs them
    pass
else:
    for name in options.drivers:
        require(name)

# What the board itself gives (board_support), what every board gets, and the program that a chip starts with.
# Both without their line numbers, like asyncio. Tracebacks still name the functions.
freeze("$(BOARD_DIR)/modules")
include("../../manifest.py", library_opt=3)
module("main.py", base_path="../../firmware")
