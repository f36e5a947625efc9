# Olimex ESP32-POE, wired: MicroPython's own board, with our frozen firmware and ESP-IDF's limits raised.

include(${CMAKE_SOURCE_DIR}/boards/OLIMEX_ESP32_POE/mpconfigboard.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../esp32/board.cmake)
