"""`make image`: adds our files to a stock MicroPython image of an ESP32. It needs no toolchain.

    stock.py        the image that people download: its chip, release and partitions, and checks of everything in it
    contents.py     what goes into it: the library and the firmware, compiled for it, and the user's settings
    heap.py         how much of Python's heap will be in use, and whether that can run
    loading.py      which modules stay loaded with a configuration
    filesystem.py   makes and reads littlefs and ROMFS partitions
"""
