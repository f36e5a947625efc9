# WIZnet W5500-EVB-Pico: MicroPython's own board, with our frozen firmware and lwIP's limits raised.

include(${MICROPY_PORT_DIR}/boards/W5500_EVB_PICO/mpconfigboard.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../rp2/board.cmake)
