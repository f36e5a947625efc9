# The common settings of all RP2 boards. Included by their mpconfigboard.cmake.

set(MICROPY_PY_LWIP ON)

# Boards freeze the library and the firmware; MICROPY_FROZEN_MANIFEST on the command line still wins.
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

# Our lwipopts.h comes first and includes the port's.
include_directories(BEFORE ${CMAKE_CURRENT_LIST_DIR}/lwip)

list(APPEND MICROPY_SOURCE_BOARD ${CMAKE_CURRENT_LIST_DIR}/lwip/listener.c ${CMAKE_CURRENT_LIST_DIR}/lwip/dns_sd.c)
add_link_options(-Wl,--wrap=tcp_recv -Wl,--wrap=tcp_err)

# The version that the REPL's banner shows; boards/rp2.mk gives it.
if(FIRMWARE_VERSION)
    list(APPEND MICROPY_DEF_BOARD FIRMWARE_VERSION="${FIRMWARE_VERSION}")
endif()

# The image contains no path of the building machine, so the same sources give the same bytes everywhere.
add_compile_options(-ffile-prefix-map=${MICROPY_DIR}=micropython -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)

# The port's stack of 8 KiB is too short for a method that checks the whole configuration: each call takes 250 bytes.
if(NOT MICROPY_USER_FROZEN_MANIFEST MATCHES "/stock/")
    add_compile_options(-UPICO_STACK_SIZE -DPICO_STACK_SIZE=0x2800)
    list(APPEND MICROPY_SOURCE_BOARD ${CMAKE_CURRENT_LIST_DIR}/stack.c)
    add_link_options(-Wl,--wrap=gc_init)
endif()
