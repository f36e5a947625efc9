# Images for the ESP32 family: make firmware BOARD=ESP32_S3 MPY_DIR=micropython. docs/esp32.md explains the choices.

ESP32_BOARDS := $(notdir $(patsubst %/mpconfigboard.cmake,%,$(shell grep -l esp32/board.cmake boards/*/mpconfigboard.cmake)))

ifneq ($(filter $(BOARD),$(ESP32_BOARDS)),)

OUT := build/$(BOARD)
VERSION := $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' firmware/__init__.py)
ESP32_IDF_PY := $(shell command -v idf.py)
ESP32_DOCKER = $(shell for program in docker podman; do \
    $$program info > /dev/null 2>&1 && { echo $$program; break; }; done)

# Espressif's container (mpbuild uses the same), of the ESP-IDF release that this MicroPython is tested with.
ESP32_IDF = $(shell sed -n 's/^IDF_\(NEWEST_\)\?VER=//p' $(MPY)/tools/ci.sh | tail -n 1)
ESP32_CONTAINER = espressif/idf:$(or $(ESP32_IDF),v5.2.2)

# Each board has its own: code compiled by another release's mpy-cross would be linked without an error, but fail.
ESP32_MPYCROSS := $(CURDIR)/$(OUT)/mpy-cross/mpy-cross

.PHONY: firmware image emulate-esp32

# Runs a program of ESP-IDF, and loads ESP-IDF's environment first if necessary.
ESP32_ENVIRONMENT = $(if $(ESP32_IDF_PY),,. "$(IDF_PATH)/export.sh" > /dev/null &&)

# MicroPython's build. Without MICROPY_MPYCROSS it would build mpy-cross into the image's BUILD.
ESP32_MAKE = $(ESP32_ENVIRONMENT) MICROPY_MPYCROSS=$(ESP32_MPYCROSS) $(MAKE) --no-print-directory \
    -C $(MPY)/ports/esp32 BOARD=$(BOARD) BOARD_DIR=$(CURDIR)/boards/$(BOARD) CMAKE_ARGS=-DFIRMWARE_VERSION=$(VERSION)

.PHONY: esp32-mpy-cross
esp32-mpy-cross:
	+@$(MAKE) $(JOBS) --no-print-directory -C $(MPY)/mpy-cross BUILD=$(CURDIR)/$(OUT)/mpy-cross

# ESP-IDF's own build finds what has changed.
firmware: boards/esp32.mk $(PAGE) $(if $(and $(MPY_DIR),$(IDF_PATH)),esp32-mpy-cross)
ifndef MPY_DIR
	@$(call ESP32_SAY,The image of $(BOARD) needs a MicroPython checkout with its submodules: MPY_DIR=micropython.)
else ifdef IDF_PATH
	+@$(ESP32_MAKE) BUILD=$(CURDIR)/$(OUT)/idf submodules all
	@$(PYTHON) boards/esp32/size_check.py $(OUT)/idf/partition_table/partition-table.bin $(OUT)/idf/micropython.bin
	@cp $(OUT)/idf/firmware.bin $(OUT)/firmware.bin
	@cp $(OUT)/idf/micropython.bin $(OUT)/update.bin
	@cd $(OUT) && sha256sum firmware.bin update.bin | tee SHA256SUMS
else ifneq ($(ESP32_DOCKER),)
	@echo "No IDF_PATH: building in the container $(ESP32_CONTAINER)"
	@$(ESP32_DOCKER) run --rm --user $(shell id -u):$(shell id -g) -e HOME=/tmp \
	    -e GIT_CONFIG_COUNT=1 -e GIT_CONFIG_KEY_0=safe.directory -e GIT_CONFIG_VALUE_0='*' \
	    -v "$(CURDIR):$(CURDIR)" -v "$(MPY):$(MPY)" -w "$(CURDIR)" $(ESP32_CONTAINER) \
	    make firmware BOARD=$(BOARD) MPY_DIR="$(MPY)"
else
	@$(call ESP32_SAY,The image of $(BOARD) is built with ESP-IDF $(patsubst espressif/idf:%,%,$(ESP32_CONTAINER)): \
	    IDF_PATH is not set, and neither docker nor podman runs here.)
endif

define ESP32_SAY
{ echo "$(strip $(1))" \
    "Choose one of these:"; \
  echo "  without a toolchain: make image BOARD=$(BOARD) BASE=<a .bin file from micropython.org/download>"; \
  echo "  with ESP-IDF:        . <esp-idf>/export.sh; make firmware BOARD=$(BOARD) MPY_DIR=micropython"; \
  echo "  with a container:    start docker or podman; make firmware BOARD=$(BOARD) MPY_DIR=micropython"; \
  echo "  the checkout:        git clone --branch v1.25.0 https://github.com/micropython/micropython"; \
  echo "docs/esp32.md explains them."; \
} >&2; exit 1
endef

# MicroPython's variant for Espressif's QEMU, by ESP-IDF's own command for it (docs/esp32.md). The board's control
# server is at this computer's port 8095, and this computer is 10.0.2.2 for the board.
ESP32_NETWORK := -nic user,model=open_eth,hostfwd=tcp:127.0.0.1:8095-:8095
ESP32_QEMU = $(shell $(ESP32_ENVIRONMENT) qemu-system-riscv32 -machine help 2>/dev/null | grep -o '^esp32c3')
ESP32_VARIANT := ports/esp32/boards/ESP32_GENERIC_C3/mpconfigvariant_QEMU.cmake
emulate-esp32: $(PAGE) $(if $(and $(filter ESP32_C3,$(BOARD)),$(MPY_DIR),$(IDF_PATH)),esp32-mpy-cross)
ifneq ($(BOARD),ESP32_C3)
	@$(NO_EMULATOR)
else
	@missing="$(if $(MPY_DIR),,; MPY_DIR=<a checkout of MicroPython 1.29 or later>)"; \
	missing="$$missing$(if $(IDF_PATH),,; ESP-IDF (. <esp-idf>/export.sh))"; \
	missing="$$missing$(if $(and $(IDF_PATH),$(ESP32_QEMU)),,; Espressif's QEMU (<esp-idf>/tools/idf_tools.py install qemu-riscv32))"; \
	[ -z "$$missing" ] || { echo "To run $(BOARD) in QEMU, this is missing: $${missing#; }" >&2; exit 1; }
	@[ -e $(MPY)/$(ESP32_VARIANT) ] || { \
	    echo "$(MPY_DIR) has no variant for QEMU: use MicroPython 1.29 or later." >&2; exit 1; }
	+@$(ESP32_MAKE) BOARD_VARIANT=QEMU BUILD=$(CURDIR)/$(OUT)/qemu submodules all
	@echo "control    127.0.0.1:8095. For telemetry, set telemetry.collectors to [\"10.0.2.2:8094\"]. Ctrl-A X ends QEMU."
	@$(ESP32_ENVIRONMENT) idf.py -C $(MPY)/ports/esp32 -B $(CURDIR)/$(OUT)/qemu qemu --qemu-extra-args "$(ESP32_NETWORK)"
endif

ifneq ($(filter image,$(MAKECMDGOALS)),)
$(if $(BASE),,$(error Name the stock image: BASE=<a .bin file for $(BOARD) from micropython.org/download>))
endif
image: build/venv/installed $(PAGE) ## board: make an ESP32's image from a stock image (BOARD=, BASE=, CONFIG=)
	@$(VENV)/python -m tools.image $(BOARD) $(BASE) $(if $(CONFIG),--config $(CONFIG))

endif
