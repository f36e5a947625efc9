#include "boards/RPI_PICO_W/mpconfigboard.h"
#include "../rp2/board.h"
