# ESP32-C3 modules with 4 MiB of flash or more: MicroPython's own board, with our frozen firmware and limits raised.

include(${CMAKE_SOURCE_DIR}/boards/ESP32_GENERIC_C3/mpconfigboard.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../esp32/board.cmake)
