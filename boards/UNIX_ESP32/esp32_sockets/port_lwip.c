// The ESP32 port's additions to lwIP, unmodified: the limit of TCP control blocks, and addresses as Python objects.
#include <assert.h>
#include "ports/esp32/lwip_patch.c"
#include "shared/netutils/netutils.c"
