#include "boards/ESP32_GENERIC/mpconfigboard.h"
#include "../esp32/board.h"
