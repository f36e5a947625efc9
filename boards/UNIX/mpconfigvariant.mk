# Our firmware on a computer: MicroPython's unix port with our manifest.
FROZEN_MANIFEST = $(VARIANT_DIR)/manifest.py

MICROPY_PY_THREAD = 1
MICROPY_PY_SSL = 1
MICROPY_SSL_MBEDTLS = 1

# Our boards do not have these modules, and they would need libffi and Berkeley DB.
MICROPY_PY_FFI = 0
MICROPY_PY_BTREE = 0

# Frozen @micropython.native functions are compiled for the image's processor, or frozen as bytecode if it has no native
# emitter (aarch64).
TARGET_CPU := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ifeq ($(TARGET_CPU),x86_64)
MPY_CROSS_FLAGS += -march=x64
else ifneq ($(filter i%86,$(TARGET_CPU)),)
MPY_CROSS_FLAGS += -march=x86
else
export REAL_MPY_CROSS := $(MICROPY_MPYCROSS)
export MICROPY_MPYCROSS := $(VARIANT_DIR)/../UNIX/mpy-cross-bytecode
endif
