// The parts of ESP-IDF's header of this name that ports/esp32 uses.
#pragma once
#include <stdio.h>

#define ESP_LOGE(tag, format, ...) fprintf(stderr, "E %s: " format "\n", tag,##__VA_ARGS__)
#define ESP_LOGI(tag, ...) ((void)tag)
