// What Python code sees of the ESP32 port beside its socket module: the options of ports/esp32/mpconfigport.h
// that change how sockets, threads and time behave.
#include "../UNIX/mpconfigvariant.h"

#define MICROPY_PY_SYS_PLATFORM "esp32"

// select.poll asks each socket in turn: there are no file descriptors of the computer to wait for.
#undef MICROPY_PY_SELECT_POSIX_OPTIMISATIONS
#define MICROPY_PY_SELECT_POSIX_OPTIMISATIONS (0)
#undef MICROPY_PY_SELECT_SELECT
#define MICROPY_PY_SELECT_SELECT (1)

#undef MICROPY_PY_THREAD_GIL // the makefile says 0
#define MICROPY_PY_THREAD_GIL (1)
#define MICROPY_PY_THREAD_GIL_VM_DIVISOR (32)
// What the unix port needs with a GIL; it says so itself from 1.26 on.
#define MICROPY_PY_THREAD_RECURSIVE_MUTEX (MICROPY_PY_THREAD)

#undef MICROPY_FLOAT_IMPL
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)

// As the ESP32's MICROPY_EVENT_POLL_HOOK: other threads run while this one waits. The unix port, which has no GIL
// of its own, would keep it.
#define MICROPY_INTERNAL_EVENT_HOOK \
    do { \
        MP_THREAD_GIL_EXIT(); \
        usleep(200); \
        MP_THREAD_GIL_ENTER(); \
    } while (0)
