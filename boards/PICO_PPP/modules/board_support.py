"""The PICO_PPP board: the UART of its modem (tools/emulator has one, too)."""

from machine import UART, Pin

NAME = "PICO_PPP"
TX, RX = 0, 1
RESERVED_PINS = (TX, RX)

# Each buffer holds a whole frame. So lwIP does not wait for the line while it holds its lock, and no frame is lost
# while the program is busy.
BUFFER = 2048


def uart(baud):
    """Return the modem's UART, on UART0's usual pins."""
    return UART(0, baud, tx=Pin(TX), rx=Pin(RX), txbuf=BUFFER, rxbuf=2 * BUFFER)
