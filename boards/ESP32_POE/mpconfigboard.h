#include "boards/OLIMEX_ESP32_POE/mpconfigboard.h"
#include "../esp32/board.h"
