// Stands in for ESP-IDF's heap and Wi-Fi: memory in the numbers that the command line gives.
//
//     program FREE LARGEST EXTERNAL WIFI      prints how large a new part of Python's heap may be
//
// FREE and LARGEST are bytes of internal memory, EXTERNAL the largest free block of the other one.

#include <stdio.h>
#include <stdlib.h>

#include "esp_heap_caps.h"
#include "esp_wifi.h"
#include "py/gc.h"

static size_t internal_free, internal_largest, external_largest;
static int wifi;

size_t heap_caps_get_free_size(uint32_t caps) {
    return internal_free + (caps & MALLOC_CAP_INTERNAL ? 0 : external_largest);
}

size_t heap_caps_get_largest_free_block(uint32_t caps) {
    int external = !(caps & MALLOC_CAP_INTERNAL) && external_largest > internal_largest;
    return external ? external_largest : internal_largest;
}

esp_err_t esp_wifi_get_mode(wifi_mode_t *mode) {
    *mode = 1;
    return wifi ? ESP_OK : ESP_ERR_WIFI_NOT_INIT;
}

int main(int count, char **arguments) {
    internal_free = atoi(arguments[1]);
    internal_largest = atoi(arguments[2]);
    external_largest = atoi(arguments[3]);
    wifi = atoi(arguments[4]);
    printf("%zu\n", gc_get_max_new_split());
    return 0;
}
