# The frozen modules of a stock image for an RP2 board, as far as Debian's sources have them. None is ours.
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
