#include "boards/ESP32_GENERIC_C3/mpconfigboard.h"
#include "../esp32/board.h"
