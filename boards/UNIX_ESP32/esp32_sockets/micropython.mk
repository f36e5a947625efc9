# The ESP32 port's socket module and lwIP as parts of the unix port. LWIP_DIR: lwIP 2.2, with its contrib/.

ifeq ($(wildcard $(TOP)/ports/esp32/modsocket.c),)
$(error $(abspath $(TOP)) has no ports/esp32: the ESP32 socket layer takes its sources from there)
endif

ESP32_SOCKETS := $(USERMOD_DIR)

# Names relative to LWIP_DIR, so that the objects stay in the build folder.
vpath %.c $(LWIP_DIR)
LWIPDIR := src
include $(LWIP_DIR)/src/Filelists.mk
LWIP_STACK := $(COREFILES) $(CORE4FILES) $(CORE6FILES) $(APIFILES) $(LWIPDIR)/netif/ethernet.c
# The computer's threads, and its TAP interface.
LWIP_HOST := contrib/ports/unix/port/sys_arch.c contrib/ports/unix/port/netif/tapif.c

SRC_USERMOD_C += $(ESP32_SOCKETS)/port_modsocket.c $(ESP32_SOCKETS)/port_lwip.c
SRC_USERMOD_LIB_C += $(ESP32_SOCKETS)/host_network.c $(LWIP_HOST) $(LWIP_STACK)

CFLAGS_USERMOD += -I$(ESP32_SOCKETS)/shim -I$(LWIP_DIR)/src/include -I$(LWIP_DIR)/contrib/ports/unix/port/include
CFLAGS_USERMOD += -include $(ESP32_SOCKETS)/shim/newlib_errno.h -Wno-sign-compare
# ports/esp32/esp32_common.cmake, for lwip_patch.c
LDFLAGS_USERMOD += -Wl,--wrap=memp_malloc -Wl,--wrap=memp_free
# host_network.c
LDFLAGS_USERMOD += -Wl,--wrap=mp_thread_deinit -lpthread

# lwIP does not compile with MicroPython's warnings, and its host side needs the computer's errno.
# (CFLAGS, because CFLAGS_EXTRA on make's command line would silently replace this one.)
HOST_OBJECTS := $(addprefix $(BUILD)/,$(LWIP_HOST:.c=.o) esp32_sockets/host_network.o)
$(addprefix $(BUILD)/,$(LWIP_STACK:.c=.o)) $(HOST_OBJECTS): CFLAGS += -w
$(HOST_OBJECTS): CFLAGS += -DHOST_ERRNO
