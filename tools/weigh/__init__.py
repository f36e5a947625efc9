"""Measures the memory that the firmware takes on a board with stock MicroPython.

    scales.py   measures it on an emulated board
    table.py    reads and writes docs/weight.md, which has the figures
"""
