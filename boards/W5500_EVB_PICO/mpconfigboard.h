#include "boards/W5500_EVB_PICO/mpconfigboard.h"
#include "../rp2/board.h"

// The firmware has 768 KiB of the 2 MiB of flash; MicroPython's own 640 KiB are too small for it.
#undef MICROPY_HW_FLASH_STORAGE_BYTES
#define MICROPY_HW_FLASH_STORAGE_BYTES      (1280 * 1024)
