# The emulated board, tests on a chip, and the tools that put firmware onto one.

EMULATOR := tools/emulator/node_modules/.package-lock.json
EMULATED := build/PICO_PPP/firmware.bin

.PHONY: emulator emulate test-device flash deploy config

emulator: $(EMULATOR)

$(EMULATOR): tools/emulator/package-lock.json build/programs.node
	@cd tools/emulator && npm ci --no-audit --no-fund
	@touch $@

$(EMULATED):
	@$(MAKE) --no-print-directory firmware BOARD=PICO_PPP

emulate: $(EMULATED) $(EMULATOR) build/venv/installed ## run the firmware on an emulated board, until Ctrl-C
	@$(VENV)/python -m tools.emulator --image $(EMULATED)

# On a real board, DEVICE=/dev/ttyACM0 HOST_ADDRESS=<this computer, as the board sees it>.
test-device: $(if $(DEVICE),,$(EMULATED) $(EMULATOR)) build/venv/installed ## the tests on a chip (DEVICE=, PYTEST_ARGS=)
	@DEVICE=$(DEVICE) HOST_ADDRESS=$(HOST_ADDRESS) $(VENV)/pytest tests_device $(PYTEST_ARGS)

flash: build/venv/installed $(if $(IMAGE_FILE),,firmware) ## write a board's image onto it (BOARD=, PORT=)
	@$(VENV)/python -m tools.flash flash $(BOARD) $(if $(PORT),--port $(PORT))

deploy: build/venv/installed ## put our files onto a board with stock MicroPython (PORT=)
	@$(VENV)/python -m tools.flash deploy $(if $(PORT),--port $(PORT))

config: build/venv/installed ## write a board's settings (PORT=, CONFIG=config.json)
	@$(VENV)/python -m tools.flash config $(if $(PORT),--port $(PORT)) $(CONFIG)
