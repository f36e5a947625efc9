// What all ESP32 boards of this project have in common. Included by their mpconfigboard.h.

#ifdef FIRMWARE_VERSION
#define MICROPY_BANNER_NAME_AND_VERSION \
    "XAsyncSockets " FIRMWARE_VERSION ", MicroPython " MICROPY_GIT_TAG " on " MICROPY_BUILD_DATE
#endif

// What listen() without an argument queues. The port's own default of 2 refuses the third of three clients
// that come while the program is busy.
#define MICROPY_PY_SOCKET_LISTEN_BACKLOG_DEFAULT (8)

// Bytes of the internal memory that Python's heap does not grow into (heap_reserve.c; docs/esp32.md): what the network
// needs while it runs, and, as long as Wi-Fi is not initialised, what that takes.
#ifndef BOARD_SYSTEM_RESERVE
#define BOARD_SYSTEM_RESERVE (32 * 1024)
#endif
#ifndef BOARD_RADIO_RESERVE
#define BOARD_RADIO_RESERVE (48 * 1024)
#endif
