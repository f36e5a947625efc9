# What a stock image of an RP2 board freezes, as far as Debian's sources have it: nothing of ours.
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
