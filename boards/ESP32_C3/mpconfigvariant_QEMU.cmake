# For Espressif's QEMU, which has an emulated Ethernet and no Wi-Fi: MicroPython's own variant (1.29 and later).

include(${CMAKE_SOURCE_DIR}/boards/ESP32_GENERIC_C3/mpconfigvariant_QEMU.cmake)
