// The ESP32 port's socket module, unmodified, with the settings and functions that it expects.
#include "py/mpconfig.h"

// Since 1.27 the module requires this setting.
#undef MICROPY_PY_NETWORK
#define MICROPY_PY_NETWORK (1)
// ports/esp32/mpconfigport.h: socket events are only for WebREPL, and mDNS queries need a component of ESP-IDF.
#undef MICROPY_PY_SOCKET_LISTEN_BACKLOG_DEFAULT
#define MICROPY_PY_SOCKET_LISTEN_BACKLOG_DEFAULT (2)
#define MICROPY_PY_SOCKET_EVENTS (0)
#define MICROPY_HW_ENABLE_MDNS_QUERIES (0)

#include "py/mphal.h"
#include "lwip/sockets.h"

// ESP-IDF's C library passes these to lwIP if the file is a socket (components/vfs, components/lwip).
#define select lwip_select
#define getsockopt lwip_getsockopt
#define fcntl(...) FCNTL(__VA_ARGS__, 0, 0)
#define FCNTL(fd, command, value, ...) lwip_fcntl(fd, command, value)

#include "ports/esp32/modsocket.c"
