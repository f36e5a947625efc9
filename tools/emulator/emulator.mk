# The emulated board, tests on a chip, and tools that put firmware onto a board.

EMULATOR := tools/emulator/node_modules/.package-lock.json
EMULATED := build/PICO_PPP/firmware.bin
EMULATED_STOCK := build/PICO_PPP-stock/firmware.bin
PICO_W_IMAGE := $(or $(UF2),$(PICO_W_UF2),build/PICO_W/firmware.uf2)

.PHONY: emulator emulate fleet test-device weigh flash deploy config pico-w

emulator: $(EMULATOR)

NO_EMULATOR = echo "$(BOARD) has no emulator; ESP32_C3, PICO_PPP and PICO_W have one." >&2; exit 1

$(EMULATOR): tools/emulator/package-lock.json build/programs.node
	@echo "Installing the emulator's packages (tools/emulator/package-lock.json) with npm"
	@cd tools/emulator && npm ci --no-audit --no-fund --loglevel=http
	@touch $@

# The image's own rules define its dependencies.
$(EMULATED): FORCE
	@$(MAKE) --silent --no-print-directory BOARD=PICO_PPP build/PICO_PPP/SHA256SUMS

$(EMULATED_STOCK): FORCE
	@$(MAKE) --silent --no-print-directory BOARD=PICO_PPP STOCK=1 build/PICO_PPP-stock/SHA256SUMS

ifeq ($(BOARD),PICO_W)
emulate: pico-w
	@$(VENV)/python -m tools.emulator.fleet --image $(PICO_W_IMAGE)
else ifneq ($(filter $(BOARD),$(ESP32_BOARDS)),)
emulate: emulate-esp32
else ifneq ($(filter-out PICO_PPP,$(BOARD)),)
emulate:
	@$(NO_EMULATOR)
else
emulate: $(EMULATED) $(EMULATOR) build/venv/installed ## try: run the firmware on an emulated board until Ctrl-C (BOARD=PICO_W, UF2=)
	@$(VENV)/python -m tools.emulator --image $(EMULATED)
endif

fleet: pico-w ## try: run the firmware on N emulated Pico Ws in one Wi-Fi network until Ctrl-C (N=20, UF2=)
	@$(VENV)/python -m tools.emulator.fleet --image $(PICO_W_IMAGE) --count $(or $(N),5)

# Users who may not make a network interface get a network from passt. With MPY_DIR= the image is built.
MAY_MAKE_INTERFACES := $(shell [ "$$(id -u)" = 0 ] && [ -c /dev/net/tun ] && echo yes)
pico-w: $(EMULATOR) $(if $(MAY_MAKE_INTERFACES),,build/programs.passt) build/venv/installed
	@$(if $(MPY_DIR),$(if $(UF2),,$(MAKE) --no-print-directory firmware BOARD=PICO_W MPY_DIR=$(MPY_DIR)))

DEVICE_TESTS := BOARD=$(BOARD) PICO_W_UF2=$(PICO_W_UF2) DEVICE=$(DEVICE) HOST_ADDRESS=$(HOST_ADDRESS) $(VENV)/pytest

# Two processes, each with its own emulated boards. For a real board, or with PYTEST_ARGS, there is only one
# process. On a real board, DEVICE=/dev/ttyACM0 HOST_ADDRESS=<this computer, as the board sees it>. On an emulated Pico
# W, BOARD=PICO_W, and PICO_W_UF2=<image> for another image than the built one.
test-device: $(if $(DEVICE),,$(if $(filter PICO_W,$(BOARD)),pico-w,$(EMULATED) $(EMULATED_STOCK) $(EMULATOR))) build/venv/installed ## test: run the tests on a chip (DEVICE= or BOARD=PICO_W, PYTEST_ARGS=)
	@$(DEVICE_TESTS) tests_device $(or $(PYTEST_ARGS),$(if $(DEVICE),,-n 2 --dist loadfile))

weigh: $(EMULATED_STOCK) $(EMULATOR) build/venv/installed ## measure: measure how much heap each module takes on a stock board
	@$(VENV)/python -m tools.weigh

# For an ESP32 this writes the newest image of "make image" or "make firmware".
flash: $(if $(filter $(BOARD),$(ESP32_BOARDS)),,firmware) build/venv/installed ## board: write an image onto a board (BOARD=, PORT=, DRIVE=, ERASE=1)
	@$(VENV)/python -m tools.flash flash $(BOARD) $(if $(PORT),--port $(PORT)) $(if $(DRIVE),--drive $(DRIVE)) $(if $(ERASE),--erase)

deploy: build/venv/installed ## board: install the firmware on a board with stock MicroPython (PORT=)
	@$(VENV)/python -m tools.flash deploy $(if $(PORT),--port $(PORT))

config: build/venv/installed ## board: show a board's settings, or write them (PORT=, CONFIG=config.json)
	@$(VENV)/python -m tools.flash config $(if $(PORT),--port $(PORT)) $(CONFIG)
