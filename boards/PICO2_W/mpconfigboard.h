#include "boards/RPI_PICO2_W/mpconfigboard.h"
#include "../rp2/board.h"
