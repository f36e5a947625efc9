# The board UNIX with the ESP32 port's socket module, over lwIP, in place of the computer's sockets: docs/build.md.
include $(VARIANT_DIR)/../UNIX/mpconfigvariant.mk

MICROPY_PY_SOCKET = 0
USER_C_MODULES = $(VARIANT_DIR)
