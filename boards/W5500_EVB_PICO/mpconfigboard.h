#include "boards/W5500_EVB_PICO/mpconfigboard.h"
#include "../rp2/board.h"

// 768 KiB of the 2 MiB of flash are firmware: MicroPython's own 640 KiB do not hold ours, too.
#undef MICROPY_HW_FLASH_STORAGE_BYTES
#define MICROPY_HW_FLASH_STORAGE_BYTES      (1280 * 1024)
