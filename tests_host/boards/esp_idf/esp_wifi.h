#pragma once
typedef int esp_err_t;
typedef int wifi_mode_t;

#define ESP_OK 0
#define ESP_ERR_WIFI_NOT_INIT 0x3001

esp_err_t esp_wifi_get_mode(wifi_mode_t *mode);
