// The module `dns_sd` lets other machines find the board's web server (DNS-SD, RFC 6763). MicroPython starts lwIP's mDNS
// responder on each interface that has multicast, so that the board's name is known. It has no function to add a service.

#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"

#include "lwip/apps/mdns.h"
#include "lwip/netif.h"

#if LWIP_MDNS_RESPONDER

// lwIP asks for the text whenever it answers: it has to outlive the objects that it came from.
#define ITEMS (4)
#define ITEM_BYTES (48)

static char items[ITEMS][ITEM_BYTES];
static size_t item_count;

static void add_items(struct mdns_service *service, void *unused) {
    for (size_t index = 0; index < item_count; index++) {
        mdns_resp_add_service_txtitem(service, items[index], strlen(items[index]));
    }
}

// publish(name, port, item, ...): the service _http._tcp on each interface, in place of an earlier one. `item` is "key=value".
static mp_obj_t publish(size_t count, const mp_obj_t *arguments) {
    const char *name = mp_obj_str_get_str(arguments[0]);
    mp_int_t port = mp_obj_get_int(arguments[1]);
    const char *texts[ITEMS];
    if (count - 2 > ITEMS || strlen(name) > MDNS_LABEL_MAXLEN || port <= 0 || port > 65535) {
        mp_raise_ValueError(NULL);
    }
    for (size_t index = 0; index < count - 2; index++) {
        texts[index] = mp_obj_str_get_str(arguments[2 + index]);
        if (strlen(texts[index]) >= ITEM_BYTES) {
            mp_raise_ValueError(NULL);
        }
    }
    int added = 0;
    MICROPY_PY_LWIP_ENTER
    item_count = count - 2;
    for (size_t index = 0; index < item_count; index++) {
        strcpy(items[index], texts[index]);
    }
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (mdns_resp_netif_active(netif)) {
            mdns_resp_del_service(netif, 0);
            added += mdns_resp_add_service(netif, name, "_http", DNSSD_PROTO_TCP, port, add_items, NULL) >= 0;
        }
    }
    MICROPY_PY_LWIP_EXIT
    return MP_OBJ_NEW_SMALL_INT(added);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(publish_object, 2, 2 + ITEMS, publish);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_dns_sd) },
    { MP_ROM_QSTR(MP_QSTR_publish), MP_ROM_PTR(&publish_object) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t dns_sd_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};

MP_REGISTER_MODULE(MP_QSTR_dns_sd, dns_sd_module);

#endif
