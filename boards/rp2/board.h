// The common settings of all RP2 boards of this project. Included by their mpconfigboard.h.

#ifdef FIRMWARE_VERSION
#define MICROPY_BANNER_NAME_AND_VERSION \
    "XAsyncSockets " FIRMWARE_VERSION ", MicroPython " MICROPY_GIT_TAG " on " MICROPY_BUILD_DATE
#endif

// The queue of listen() without an argument. With the port's default of 2, the third client is refused while the program
// is busy.
#define MICROPY_PY_SOCKET_LISTEN_BACKLOG_DEFAULT (8)
