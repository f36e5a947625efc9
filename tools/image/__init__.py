"""`make image`: adds our files to a stock MicroPython image of an ESP32. It needs no toolchain.

    stock.py        the downloaded image: its chip, release and partitions, and the checks of it
    contents.py     the files for it: the library and the firmware, compiled, and the user's settings
    filesystem.py   littlefs and ROMFS in a partition
"""
