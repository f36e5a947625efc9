#define MICROPY_HW_BOARD_NAME               "Raspberry Pi Pico with PPP"

// The firmware has 768 KiB of the 2 MiB of flash.
#define MICROPY_HW_FLASH_STORAGE_BYTES      (1280 * 1024)

#define MICROPY_PY_NETWORK                  (1)
#define MICROPY_PY_NETWORK_PPP_LWIP         (1)
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "pico-ppp"

#include "../rp2/board.h"
