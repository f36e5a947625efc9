# Everything is made below build/. docs/build.md has the details.

PYTHON ?= python3
VENV := build/venv/bin

# The ports whose stubs the type checks use.
PORTS := unix esp32 rp2

ifdef MICROPYTHON
# An existing interpreter. It reads modules that are not frozen into it from the sources.
INTERPRETER := $(abspath $(shell command -v "$(MICROPYTHON)" 2>&1))
$(if $(INTERPRETER),,$(error MICROPYTHON=$(MICROPYTHON) is not a program))
export MICROPYPATH := .frozen:$(CURDIR)/lib:$(CURDIR):$(CURDIR)/boards/UNIX/modules:$(CURDIR)/build/page
PROGRAMS := build/programs.python
else
INTERPRETER := $(CURDIR)/build/unix/micropython
IMAGE := unix
# lwIP's host side needs Linux, and a checkout may lack the ESP32 port.
ESP32_IMAGE := $(and $(filter Linux,$(shell uname -s)),\
    $(if $(MPY_DIR),$(wildcard $(MPY_DIR)/ports/esp32/modsocket.c),Debian),unix-esp32-sockets)
PROGRAMS := build/programs.python+compiler
endif

# The number of processes for the tests on this computer. It is high, because most tests wait most of the time.
TEST_JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 2)

# The folder with the files of the board on this computer.
DISK ?= build/disk

# The board's page, as the module that every image contains.
PAGE := build/page/web_page.py

# The program with which the tests check the page's accessibility.
AXE := tests_host/web/node_modules/.package-lock.json

SOAK_MINUTES ?= 30
FUZZ_SECONDS ?= 60

# Bytecode beside the sources would change their folders, so make would freeze everything again.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/cache/python
# Without stored bytecode, each of the tests' thousands of Python processes would compile all its imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-host check tools venv hashes unix unix-esp32-sockets bench soak fuzz lint screenshots reference release clean FORCE
.NOTPARALLEL:

# The comment of each target contains its group and its help text: ## group: text.
help: ## work: show this list
	@group() { printf '%s\n' "$$2"; sed -n "s/^\([a-z0-9-]*\):.*## $$1: \(.*\)/\1|\2/p" $(MAKEFILE_LIST) | \
	        while IFS='|' read -r target text; do printf '  make %-18s  %s\n' "$$target" "$$text"; done; echo; }; \
	group try 'Try it without a board'; group board 'Install it on a board, and use boards'; group test 'Test it'; \
	group measure 'Measure it'; group work 'Work on it, and release it'

# The firmware runs in build/disk, as on a board with its own filesystem. Its settings contain secrets, so only this user
# may read the files that it writes. In a terminal it is a job of its own (set -m), so that Ctrl-C stops the firmware
# properly and does not reach make.
run: $(IMAGE) $(PAGE) ## try: run the firmware on this computer until Ctrl-C (DISK=build/disk)
	@mkdir -p $(DISK)
	@umask 077; exec 9> $(DISK:/=).lock; command -v flock > /dev/null || flock() { :; }; \
	    flock -n 9 || { echo "make run is already running in $(DISK). To run another board, name another folder with DISK= and set other ports (control.port, http.port) in its config.json." >&2; exit 1; }; \
	    cd $(DISK) && { chmod -f 600 config.json config.last.json; :; } && if [ -t 0 ]; then set -m; $(INTERPRETER) -m firmware; else exec $(INTERPRETER) -m firmware; fi

# The device tests need an image that is built from Debian's sources.
test: lint test-host $(if $(MICROPYTHON)$(MPY_DIR),,test-device) ## test: run all tests that need no hardware: lint, test-host, test-device

test-host: $(IMAGE) $(PAGE) $(ESP32_IMAGE) build/venv/installed build/influxdb.stamp build/programs.tls build/peers.stamp $(AXE) ## test: run the tests on this computer (PYTEST_ARGS=, TEST_JOBS=)
	MICROPYTHON=$(INTERPRETER) ESP32_SOCKETS=$(or $(ESP32_IMAGE:%=$(CURDIR)/build/%/micropython),none) \
	    $(VENV)/pytest tests_host -n $(TEST_JOBS) --dist loadgroup $(PYTEST_ARGS)

# The type check of one port, and the tests that tools/check.py chooses.
check: $(IMAGE) build/venv/installed build/typings/installed ## test: run lint and the tests of changed files, in a minute (SINCE=commit)
	@$(VENV)/ruff check
	@MYPYPATH=build/typings/unix $(VENV)/mypy --custom-typeshed-dir build/typings/unix --cache-dir build/cache/mypy-unix
	@MICROPYTHON=$(INTERPRETER) ESP32_SOCKETS=none $(VENV)/python -m tools.check --jobs $(TEST_JOBS) $(if $(SINCE),--since $(SINCE))

tools: build/venv/tools ## board: install the packages that tools/board needs, in build/venv (docs/tools.md)

venv: build/venv/installed ## work: install all Python packages, including those for tests, certificates and serial ports

unix: build/unix/micropython ## work: build the image for this computer, build/unix/micropython

unix-esp32-sockets: build/unix-esp32-sockets/micropython ## work: build the same image with the ESP32's socket layer, for tests

bench: $(IMAGE) build/venv/bench ## measure: measure speed and memory (QUICK=1)
	MICROPYTHON=$(INTERPRETER) $(VENV)/python tools/bench $(if $(IMAGE),--frozen) $(if $(QUICK),--quick)

soak: $(IMAGE) build/venv/installed ## test: send millions of messages with random faults (SOAK_MINUTES=30)
	MICROPYTHON=$(INTERPRETER) $(VENV)/python tests_host/soak --minutes $(SOAK_MINUTES)

fuzz: build/venv/fuzz ## test: fuzz the firmware's parsers, guided by coverage (FUZZ_SECONDS=60)
	$(VENV)/python tests_host/fuzz --seconds $(FUZZ_SECONDS)

lint: build/venv/installed build/typings/installed ## test: run ruff, and mypy for each port
	$(VENV)/ruff check
	@for port in $(PORTS); do \
	    echo "mypy ($$port)"; \
	    MYPYPATH=build/typings/$$port $(VENV)/mypy --custom-typeshed-dir build/typings/$$port \
	        --cache-dir build/cache/mypy-$$port || exit; \
	done

$(PAGE): tools/page.py firmware/web/page.html
	@$(PYTHON) tools/page.py $@

screenshots: $(IMAGE) $(PAGE) build/venv/installed build/peers.stamp ## work: make the pictures of the board's page, docs/web/*.png
	MICROPYTHON=$(INTERPRETER) $(VENV)/python tests_host/web/screenshots.py

reference: ## work: update docs/reference.md from the library's docstrings
	@$(PYTHON) tools/reference.py

clean: ## work: remove build/, including build/disk
	rm -rf build

# --- the image for this computer

ifdef MPY_DIR
MPY := $(abspath $(MPY_DIR))
SOURCES := --mpy-dir "$(MPY)"
else
MPY := $(CURDIR)/build/src/micropython
SOURCES := micropython mbedtls
# A tarball has no git tag, and the tag of this repository would be wrong.
MPY_TAG = MICROPY_GIT_TAG=$(firstword $(subst +, ,$(subst micropython-,v,$(notdir $(realpath $(MPY))))))
endif

# A checkout may have lwIP as its submodule.
LWIP := $(or $(if $(MPY_DIR),$(patsubst %/contrib,%,$(wildcard $(MPY)/lib/lwip/contrib))),$(CURDIR)/build/src/lwip)

JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN))
MPY_MAKE = +@$(MPY_TAG) MICROPY_MPYCROSS=$(CURDIR)/build/mpy-cross/mpy-cross $(MAKE) $(JOBS) --no-print-directory

FROZEN := $(PAGE) $(shell find lib firmware boards/UNIX -name '*.py')
FROZEN_FOLDERS := $(shell find lib firmware boards/UNIX -type d ! -name __pycache__)

# Each variant's board folder and further sources.
VARIANTS := unix unix-esp32-sockets
build/unix/%: VARIANT := UNIX
build/unix/micropython: $(wildcard boards/UNIX/*)
build/unix-esp32-sockets/%: VARIANT := UNIX_ESP32
build/unix-esp32-sockets/micropython: $(wildcard boards/UNIX/*) $(shell find boards/UNIX_ESP32 -type f) | $(LWIP)
build/unix-esp32-sockets/config.stamp: $(shell find boards/UNIX_ESP32 -name '*.mk')

# A checkout may have changed, Debian's sources do not.
$(VARIANTS:%=build/%/micropython): build/%/micropython: build/%/frozen.stamp $(FROZEN) $(if $(MPY_DIR),FORCE)
	$(MPY_MAKE) -C $(MPY)/mpy-cross BUILD=$(CURDIR)/build/mpy-cross
	$(MPY_MAKE) -C $(MPY)/ports/unix BUILD=$(CURDIR)/build/$* VARIANT_DIR=$(CURDIR)/boards/$(VARIANT) LWIP_DIR=$(LWIP)
	@touch $@

# MicroPython's makefiles detect changed files, but not a changed manifest or a removed file ...
$(VARIANTS:%=build/%/frozen.stamp): build/%/frozen.stamp: build/%/config.stamp manifest.py boards/UNIX/manifest.py \
        $(FROZEN_FOLDERS)
	@rm -rf build/$*/frozen_mpy build/$*/frozen_content.c
	@touch $@

# ... nor options or sources that differ from the last build.
$(VARIANTS:%=build/%/config.stamp): build/%/config.stamp: build/mpy-cross.stamp boards/UNIX/mpconfigvariant.mk
	@rm -rf build/$*
	@mkdir -p build/$*
	@touch $@

build/mpy-cross.stamp: build/micropython.stamp
	@rm -rf build/mpy-cross
	@touch $@

# Rewritten when another MicroPython is used.
build/micropython.stamp: $(PROGRAMS) FORCE
	@$(PYTHON) tools/setup/sources.py $(SOURCES) --stamp $@

$(CURDIR)/build/src/lwip: | $(PROGRAMS)
	@$(PYTHON) tools/setup/sources.py lwip

# --- tools

build/programs.%: tools/setup/programs.sh
	@PYTHON=$(PYTHON) sh tools/setup/programs.sh $(subst +, ,$*)
	@mkdir -p build
	@touch $@

build/venv/tools: tools/board/requirements.txt | build/programs.python
	@echo "Installing the packages of tools/board/requirements.txt into build/venv"
	@$(VENV)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv build/venv
	@$(VENV)/python -m pip install --disable-pip-version-check --require-hashes -r tools/board/requirements.txt
	@touch $@

build/venv/installed: requirements.txt tools/board/requirements.txt | build/programs.python
	@echo "Setting up the Python environment build/venv with the packages of requirements.txt"
	@rm -rf build/venv
	@$(PYTHON) -m venv build/venv
	@$(VENV)/python -m pip install --disable-pip-version-check --require-hashes \
	    -r tools/board/requirements.txt -r requirements.txt
	@touch build/venv/tools $@

hashes: build/venv/installed ## work: update the hashes of the Python packages after a change to a requirements.in
	@$(VENV)/python -m pip install --disable-pip-version-check --quiet uv==0.13.9
	@$(VENV)/python tools/setup/hashes.py

build/venv/bench: tools/bench/requirements.txt build/venv/installed
	@echo "Installing the packages of tools/bench/requirements.txt into build/venv"
	@$(VENV)/python -m pip install --disable-pip-version-check --require-hashes -r tools/bench/requirements.txt
	@touch $@

build/venv/fuzz: tests_host/fuzz/requirements.txt build/venv/installed
	@echo "Installing the packages of tests_host/fuzz/requirements.txt into build/venv"
	@$(VENV)/python -m pip install --disable-pip-version-check --only-binary :all: --require-hashes \
	    -r tests_host/fuzz/requirements.txt || \
	    { echo "make fuzz needs atheris, which has no wheel for this Python. The property tests need none."; exit 1; }
	@touch $@

# A test sends our telemetry to this database. Without it, the test is skipped with the reason.
build/influxdb.stamp: $(PROGRAMS)
	@$(PYTHON) tools/setup/sources.py influxdb || echo "No InfluxDB: its test will be skipped."
	@touch $@

# More peers of the tests. The tests of one that is missing are skipped with the reason.
build/peers.stamp: tools/setup/programs.sh
	@PYTHON=$(PYTHON) sh tools/setup/programs.sh peers || echo "The tests that need the missing programs will be skipped."
	@mkdir -p build
	@touch $@

$(AXE): tests_host/web/package-lock.json
	@$(MAKE) --no-print-directory build/programs.node && cd tests_host/web && \
	    npm ci --no-audit --no-fund --loglevel=error || echo "No axe-core: the tests of the page's accessibility will be skipped."
	@[ ! -e $@ ] || touch $@

build/typings/installed: requirements-typings.txt build/venv/installed
	@echo "Setting up MicroPython's type stubs in build/typings with the packages of requirements-typings.txt"
	@rm -rf build/typings
	@for port in $(PORTS); do \
	    grep -e stdlib -e "-$$port-" requirements-typings.txt > build/typings-$$port.txt; \
	    $(VENV)/python -m pip install --disable-pip-version-check --no-deps --require-hashes \
	        --target build/typings/$$port -r build/typings-$$port.txt || exit; \
	done
	@touch $@

# --- boards

include boards/rp2.mk boards/esp32.mk tools/emulator/emulator.mk

CHIP_BOARDS := $(RP2_BOARDS) $(ESP32_BOARDS)

# Debian's sources suffice for boards that need no further driver. ESP32 boards need ESP-IDF.
WITHOUT_DRIVER := $(filter-out $(patsubst boards/%/driver,%,$(wildcard boards/*/driver)),$(RP2_BOARDS))
RELEASED := $(sort $(if $(MPY_DIR),$(RP2_BOARDS) $(if $(IDF_PATH),$(ESP32_BOARDS)),$(WITHOUT_DRIVER)))
release: ## work: build all images that this computer can build, with checksums and notes, in build/release/ (MPY_DIR=)
	@$(PYTHON) tools/release.py --check
	+@for board in $(RELEASED); do $(MAKE) --no-print-directory firmware BOARD=$$board || exit; done
	@$(PYTHON) tools/release.py $(RELEASED) --left-out $(filter-out $(RELEASED),$(sort $(CHIP_BOARDS)))

ifeq ($(filter $(BOARD),$(CHIP_BOARDS)),)
ifneq ($(BOARD)$(filter firmware flash,$(MAKECMDGOALS)),)
$(error $(if $(BOARD),There is no board $(BOARD),BOARD= is missing). The boards: $(sort $(CHIP_BOARDS)))
endif
endif
ifeq ($(filter $(BOARD),$(ESP32_BOARDS)),)
image:
	@echo "make image needs BOARD= and one of $(ESP32_BOARDS). make firmware builds the images of other boards." >&2; exit 1
endif
