# Raspberry Pi Pico W: MicroPython's own board, with our frozen firmware and lwIP's limits raised.

include(${MICROPY_PORT_DIR}/boards/RPI_PICO_W/mpconfigboard.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../rp2/board.cmake)
