// ESP-IDF's header of this name is for mDNS queries, which port_modsocket.c leaves out.
#pragma once
