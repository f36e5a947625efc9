// Python's heap grows into the system's heap, and finally takes its largest free block. This file reserves some of it
// for the system, because Wi-Fi, lwIP and TLS allocate memory when they need it.
//
// gc_get_max_new_split() tells the collector how large a new part of Python's heap may be (MicroPython's py/gc.c). The
// linker puts this function in its place: board.cmake.

#include "py/mpconfig.h"

#include "esp_heap_caps.h"
#include "esp_wifi.h"

#define INTERNAL (MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT)

size_t __real_gc_get_max_new_split(void);
size_t __wrap_gc_get_max_new_split(void);

size_t __wrap_gc_get_max_new_split(void) {
    size_t block = __real_gc_get_max_new_split();
    if (block > heap_caps_get_largest_free_block(INTERNAL)) {
        return block; // external memory, which the system does not need
    }
    size_t reserve = BOARD_SYSTEM_RESERVE;
    wifi_mode_t mode;
    if (esp_wifi_get_mode(&mode) == ESP_ERR_WIFI_NOT_INIT) {
        reserve += BOARD_RADIO_RESERVE;
    }
    size_t free = heap_caps_get_free_size(INTERNAL);
    size_t spare = free > reserve ? free - reserve : 0;
    return block < spare ? block : spare;
}
