"""What the PICO_PPP board gives: the UART of its modem (tools/emulator has one, too)."""

from machine import UART, Pin

NAME = "PICO_PPP"
TX, RX = 0, 1
RESERVED_PINS = (TX, RX)

# A whole frame fits either buffer. Then lwIP does not wait for the line with everything locked, and a frame that comes
# while the program is busy is not lost.
BUFFER = 2048


def uart(baud):
    """The modem's UART, on UART0's usual pins."""
    return UART(0, baud, tx=Pin(TX), rx=Pin(RX), txbuf=BUFFER, rxbuf=2 * BUFFER)
