// The features of the chips' ports, and what the unix port adds to them.
#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#include "variants/mpconfigvariant_common.h"

// Ticks wrap around as on a 32-bit chip (2^30), so that code which forgets time.ticks_diff() fails here too.
#define MICROPY_PY_TIME_TICKS_PERIOD (1 << 30)

// Shows the tests whether a handler runs with the heap locked.
#define MICROPY_PY_MICROPYTHON_HEAP_LOCKED (1)

// Ctrl-C is raised at the next bytecode and not out of the signal handler, which may have interrupted a garbage
// collection and would leave the heap locked (ports/unix/unix_mphal.c).
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)

// The cache of name look-ups (py/map.c). Its default suits a chip's memory; a message takes 4 % less time with this.
#define MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE (1024)
