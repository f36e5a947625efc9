// The parts of ESP-IDF's header of this name that ports/esp32 uses.
#pragma once

typedef int esp_err_t;
typedef int esp_interface_t;
typedef struct esp_netif_obj esp_netif_t;
#define ESP_OK 0

// lwIP with all interfaces; here: host_network.c
esp_err_t esp_netif_init(void);

// The version that ports/esp32/modnetwork.h asks for.
#define ESP_IDF_VERSION_VAL(major, minor, patch) (((major) << 16) | ((minor) << 8) | (patch))
#define ESP_IDF_VERSION ESP_IDF_VERSION_VAL(5, 4, 1)
