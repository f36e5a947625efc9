"""`micropython -m firmware`: the firmware on a computer, until Ctrl-C."""

from firmware.boot import main

try:
    from micropython import kbd_intr

    kbd_intr(3)  # with -m the unix port does not handle SIGINT, so it would kill the process
except ImportError:
    pass  # CPython

main()
