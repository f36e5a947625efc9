"""`make image`: a stock MicroPython image of an ESP32 becomes one with our files in its filesystem. No toolchain.

    stock.py        the image that people download: its chip, its release, its partitions; all that can be wrong with it
    contents.py     what goes into it: the library and the firmware, compiled for it, and the user's settings
    filesystem.py   littlefs and ROMFS, as they lie in a partition
"""
