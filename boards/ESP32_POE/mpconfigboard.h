// The board is wired, so it reserves no memory for Wi-Fi.
#define BOARD_RADIO_RESERVE (0)
#include "boards/OLIMEX_ESP32_POE/mpconfigboard.h"
#include "../esp32/board.h"
