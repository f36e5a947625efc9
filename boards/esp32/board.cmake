# The common settings of all ESP32 boards. Included by their mpconfigboard.cmake, after MicroPython's own.

# Boards freeze the library and the firmware; MICROPY_FROZEN_MANIFEST on the command line still wins.
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

# ESP-IDF takes the partition table from MicroPython's folder, unless its path is absolute.
if(NOT PARTITIONS)
    set(PARTITIONS partitions-4MiB.csv)
endif()
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${CMAKE_CURRENT_LIST_DIR}/${PARTITIONS}\"\n")

# The last value of an option wins.
list(APPEND SDKCONFIG_DEFAULTS
    ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.board
    ${CMAKE_BINARY_DIR}/sdkconfig.partitions
)
if(EXISTS ${MICROPY_BOARD_DIR}/sdkconfig.board)
    list(APPEND SDKCONFIG_DEFAULTS ${MICROPY_BOARD_DIR}/sdkconfig.board)
endif()

# The version that the REPL's banner shows; boards/esp32.mk gives it.
if(FIRMWARE_VERSION)
    list(APPEND MICROPY_DEF_BOARD FIRMWARE_VERSION="${FIRMWARE_VERSION}")
endif()

# This reserves some memory for the system. MicroPython's build has no list of link options for boards. The options of this
# folder apply to the application, but not to the bootloader, which is a separate project.
list(APPEND MICROPY_SOURCE_BOARD ${CMAKE_CURRENT_LIST_DIR}/heap_reserve.c)
add_link_options(-Wl,--wrap=gc_get_max_new_split)
