# Images for the RP2040 and RP2350: make firmware BOARD=PICO_PPP. docs/add-a-board.md explains the boards' folders.

RP2_BOARDS := $(notdir $(patsubst %/mpconfigboard.cmake,%,$(shell grep -l rp2/board.cmake boards/*/mpconfigboard.cmake)))

ifneq ($(filter $(BOARD),$(RP2_BOARDS)),)

# STOCK=1 builds an image without our files, like a stock image, to test `make deploy`.
OUT := build/$(BOARD)$(if $(STOCK),-stock)
VERSION := $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' firmware/__init__.py)

# The image has the date of the sources, so that the same sources give the same bytes. MicroPython's tools/boardgen.py
# writes a set (the two names of a pin), whose order depends on PYTHONHASHSEED.
RP2_EPOCH := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),315532800)

# The chip's number for the bootloader's drive (UF2 specification, "Family ID").
ifneq ($(shell grep '"mcu": "rp2350"' boards/$(BOARD)/board.json),)
UF2_FAMILY := 0xe48bff59
else
UF2_FAMILY := 0xe48bff56
endif

# Debian has the sources for boards that need no driver from elsewhere.
RP2_DRIVER := $(strip $(if $(wildcard boards/$(BOARD)/driver),$(shell cat boards/$(BOARD)/driver)))
RP2_GOAL := $(firstword $(filter firmware flash,$(MAKECMDGOALS)))
ifneq ($(and $(RP2_GOAL),$(RP2_DRIVER)),)
ifeq ($(MPY_DIR),)
$(error $(BOARD) needs $(RP2_DRIVER), which Debian does not have. Name a MicroPython checkout with its submodules: \
    make $(RP2_GOAL) BOARD=$(BOARD) MPY_DIR=/path/to/micropython (docs/add-a-board.md: how to get one))
endif
endif
ifdef MPY_DIR
RP2_TAG = MICROPY_GIT_TAG=$(shell git -C $(MPY) describe --tags --always --match 'v[1-9].*')
else
RP2_TAG = $(MPY_TAG)
SOURCES += lwip pico-sdk tinyusb
endif

# PPP needs the patch for the release. It is applied to a tree of links, so that the sources do not change.
RP2_PATCHES := $(if $(shell grep PPP_LWIP boards/$(BOARD)/mpconfigboard.h),$(wildcard boards/patches/*.patch))
RP2_MPY := $(if $(RP2_PATCHES),$(CURDIR)/build/src/patched,$(MPY))

# Each board has its own: code compiled by another release's mpy-cross would be linked without an error, but fail.
RP2_MPYCROSS := $(CURDIR)/$(OUT)/mpy-cross/mpy-cross

RP2_FROZEN := $(shell find $(if $(STOCK),,lib firmware) boards/$(BOARD) boards/rp2 boards/chip -type f ! -path '*__pycache__*') \
    $(if $(STOCK),,$(PAGE))
RP2_MANIFEST := $(if $(STOCK),-DMICROPY_FROZEN_MANIFEST=$(CURDIR)/boards/rp2/stock/manifest.py)

.PHONY: firmware
firmware: $(OUT)/SHA256SUMS ## board: build a board's image, in build/<BOARD>/ (BOARD=PICO_PPP, MPY_DIR=)
	@cat $(OUT)/size.txt $(OUT)/SHA256SUMS

$(OUT)/SHA256SUMS: $(OUT)/size.txt $(OUT)/firmware.uf2
	@cd $(OUT) && sha256sum firmware.bin firmware.uf2 > SHA256SUMS

$(OUT)/size.txt: $(OUT)/cmake/firmware.elf boards/rp2/size_report.py
	@$(PYTHON) boards/rp2/size_report.py $< > $@ || { cat $@; rm $@; exit 1; }

$(OUT)/firmware.uf2: $(OUT)/cmake/firmware.elf
	@cp $(OUT)/cmake/firmware.bin $(OUT)/firmware.bin
	@$(PYTHON) $(MPY)/tools/uf2conv.py -c -b 0x10000000 -f $(UF2_FAMILY) -o $@ $(OUT)/firmware.bin > /dev/null

# ninja finds what has changed, also in a checkout.
$(OUT)/cmake/firmware.elf: $(OUT)/config.stamp manifest.py $(RP2_FROZEN) $(if $(MPY_DIR),FORCE)
	+@$(RP2_TAG) $(MAKE) $(JOBS) --no-print-directory -C $(MPY)/mpy-cross BUILD=$(CURDIR)/$(OUT)/mpy-cross
	@$(RP2_TAG) SOURCE_DATE_EPOCH=$(RP2_EPOCH) PYTHONHASHSEED=0 MICROPY_MPYCROSS=$(RP2_MPYCROSS) \
	    cmake --build $(OUT)/cmake
	@touch $@

$(OUT)/config.stamp: build/micropython.stamp build/programs.arm $(if $(RP2_PATCHES),build/src/patched.stamp) \
        boards/rp2.mk $(wildcard boards/$(BOARD)/mpconfigboard.*) $(wildcard boards/rp2/*.cmake)
	@$(foreach file,$(RP2_DRIVER) lib/pico-sdk/README.md lib/tinyusb/README.rst lib/lwip/README,\
	    [ -e $(RP2_MPY)/$(file) ] || [ -z "$(MPY_DIR)" ] || { $(call RP2_NO_SUBMODULE,$(file)); };)
	@rm -rf $(OUT)
	@mkdir -p $(OUT)
	@$(RP2_TAG) MICROPY_MPYCROSS=$(RP2_MPYCROSS) cmake -G Ninja \
	    -S $(RP2_MPY)/ports/rp2 -B $(OUT)/cmake -DPICO_NO_PICOTOOL=1 -DFIRMWARE_VERSION=$(VERSION) \
	    -DMICROPY_BOARD=$(BOARD) -DMICROPY_BOARD_DIR=$(CURDIR)/boards/$(BOARD) $(RP2_MANIFEST) > $(OUT)/cmake.log 2>&1 \
	    || { cat $(OUT)/cmake.log; exit 1; }
	@touch $@

build/src/patched.stamp: build/micropython.stamp $(RP2_PATCHES)
	@rm -rf build/src/patched && mkdir -p build/src && cp -as $(realpath $(MPY)) build/src/patched
	@for patch in $(abspath $(RP2_PATCHES)); do \
	    if patch -d build/src/patched -p1 --follow-symlinks --quiet --dry-run < $$patch > /dev/null; then \
	        patch -d build/src/patched -p1 --follow-symlinks --quiet < $$patch && touch $@; exit; fi; done; \
	    echo "None of $(RP2_PATCHES) fits this MicroPython; each names the releases that it is for." >&2; exit 1

define RP2_NO_SUBMODULE
echo "MPY_DIR=$(MPY_DIR) lacks $(1). This command fetches it:" \
    "make -C $(MPY_DIR)/ports/rp2 BOARD=$(or $(RP2_UPSTREAM),RPI_PICO_W) submodules" >&2; exit 1
endef

endif
