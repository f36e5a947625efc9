// The options of ports/esp32/mpconfigport.h that change how sockets, threads and time behave.
#include "../UNIX/mpconfigvariant.h"

#define MICROPY_PY_SYS_PLATFORM "esp32"

// select.poll asks each socket, because there are no file descriptors of the computer to wait for.
#undef MICROPY_PY_SELECT_POSIX_OPTIMISATIONS
#define MICROPY_PY_SELECT_POSIX_OPTIMISATIONS (0)
#undef MICROPY_PY_SELECT_SELECT
#define MICROPY_PY_SELECT_SELECT (1)

#undef MICROPY_PY_THREAD_GIL // the makefile says 0
#define MICROPY_PY_THREAD_GIL (1)
#define MICROPY_PY_THREAD_GIL_VM_DIVISOR (32)
// The unix port needs this with a GIL, and sets it itself since 1.26.
#define MICROPY_PY_THREAD_RECURSIVE_MUTEX (MICROPY_PY_THREAD)

#undef MICROPY_FLOAT_IMPL
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)

// Like the ESP32's MICROPY_EVENT_POLL_HOOK, this lets other threads run while one waits. The unix port has no GIL, so it
// would not release it.
#define MICROPY_INTERNAL_EVENT_HOOK \
    do { \
        MP_THREAD_GIL_EXIT(); \
        usleep(200); \
        MP_THREAD_GIL_ENTER(); \
    } while (0)
