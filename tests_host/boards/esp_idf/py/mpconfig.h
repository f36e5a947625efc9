#define CONFIG_IDF_TARGET_ARCH_RISCV 1
#define MICROPY_GC_SPLIT_HEAP_AUTO 1

#include "esp_heap_caps.h"
#include BOARD_H
