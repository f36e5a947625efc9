"""What the firmware weighs on a board with stock MicroPython.

    scales.py   measures it, on an emulated board
    table.py    docs/weight.md, where the figures are
"""
