# Raspberry Pi Pico, networked by PPP over a UART: a cellular modem, or the emulated board.

set(PICO_BOARD pico)

include(${CMAKE_CURRENT_LIST_DIR}/../rp2/board.cmake)
