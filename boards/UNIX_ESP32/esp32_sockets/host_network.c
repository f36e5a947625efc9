// Replaces ESP-IDF's esp_netif: starts lwIP with the interfaces that it has on a computer.
//
//   loopback        always
//   Ethernet        if PRECONFIGURED_TAPIF names a TAP interface: 10.99.0.2/24, gateway 10.99.0.1
//
// There are as many sockets and TCP control blocks as on the board. EXTRA_SOCKETS=n adds n, for peers in this process.

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lwip/netif.h"
#include "lwip/sockets.h"
#include "lwip/tcpip.h"
#include "netif/tapif.h"
#include "esp_netif.h"

_Static_assert(ETIMEDOUT == 110, "this file and lwIP's host side need the errno numbers of Linux");

#define LINGER_MS 20

static bool has_ethernet(void) {
    return getenv("PRECONFIGURED_TAPIF") != NULL;
}

static void add_interfaces(void *started) {
    static struct netif ethernet;
    ip4_addr_t address, mask, gateway;
    if (has_ethernet()) {
        IP4_ADDR(&address, 10, 99, 0, 2);
        IP4_ADDR(&mask, 255, 255, 255, 0);
        IP4_ADDR(&gateway, 10, 99, 0, 1);
        netif_add(&ethernet, &address, &mask, &gateway, NULL, tapif_init, tcpip_input);
        netif_set_default(&ethernet);
        netif_set_up(&ethernet);
    }
    sys_sem_signal(started);
}

// lwIP's tables have EXTRA_SOCKETS_MAX more places than on the board. Hidden TCP sockets, each with its control block,
// occupy the places that were not requested. They have the lowest numbers, so the others have the same numbers as on
// the board.
static void hold_extra_sockets(void) {
    const char *extra = getenv("EXTRA_SOCKETS");
    for (int n = extra != NULL ? atoi(extra) : 0; n < EXTRA_SOCKETS_MAX; n++) {
        lwip_socket(AF_INET, SOCK_STREAM, 0);
    }
}

static bool is_running;

static void stand_still(void *standing) {
    sys_sem_signal(standing);
    for (;;) {
        pause();
    }
}

// A board's network outlives a script; this one does not. The last segments leave, then lwIP's thread stops. MicroPython
// is about to cancel the script's threads, even inside lwIP, whose thread would go on with data on their stacks.
void __real_mp_thread_deinit(void);
void __wrap_mp_thread_deinit(void) {
    if (is_running) {
        if (has_ethernet()) {
            usleep(LINGER_MS * 1000);
        }
        sys_sem_t standing;
        sys_sem_new(&standing, 0);
        tcpip_callback(stand_still, &standing);
        sys_arch_sem_wait(&standing, 0);
    }
    __real_mp_thread_deinit();
}

esp_err_t esp_netif_init(void) {
    sys_sem_t started;
    srand(time(NULL) ^ (getpid() << 8)); // for the first local port and sequence number
    sys_sem_new(&started, 0);
    tcpip_init(add_interfaces, &started);
    sys_arch_sem_wait(&started, 0);
    sys_sem_free(&started);
    hold_extra_sockets();
    is_running = true;
    return ESP_OK;
}
