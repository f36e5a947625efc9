# ESP32-S3 modules with 8 MiB of flash or more: MicroPython's own board, with our frozen firmware and limits raised.

include(${CMAKE_SOURCE_DIR}/boards/ESP32_GENERIC_S3/mpconfigboard.cmake)
set(PARTITIONS partitions-8MiB.csv)
include(${CMAKE_CURRENT_LIST_DIR}/../esp32/board.cmake)
