// The common settings of all ESP32 boards of this project. Included by their mpconfigboard.h.

#ifdef FIRMWARE_VERSION
#define MICROPY_BANNER_NAME_AND_VERSION \
    "XAsyncSockets " FIRMWARE_VERSION ", MicroPython " MICROPY_GIT_TAG " on " MICROPY_BUILD_DATE
#endif

// The queue of listen() without an argument. With the port's default of 2, the third client is refused while the program
// is busy.
#define MICROPY_PY_SOCKET_LISTEN_BACKLOG_DEFAULT (8)

// Bytes of the internal memory that Python's heap leaves free (heap_reserve.c; docs/esp32.md): for the running network,
// and, until Wi-Fi is initialised, for its start.
#ifndef BOARD_SYSTEM_RESERVE
#define BOARD_SYSTEM_RESERVE (32 * 1024)
#endif
#ifndef BOARD_RADIO_RESERVE
#define BOARD_RADIO_RESERVE (48 * 1024)
#endif
