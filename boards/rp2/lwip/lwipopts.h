// lwIP's limits on our RP2 boards: room for a server. All other options are the port's own.
//
// lwIP's memory is reserved when the firmware is linked, so every number here makes Python's heap smaller. The build's size
// report (build/<BOARD>/size.txt) shows the size of the pools; docs/add-a-board.md has the table.
#ifndef XASYNCSOCKETS_RP2_LWIPOPTS_H
#define XASYNCSOCKETS_RP2_LWIPOPTS_H

#include_next "lwipopts.h"

// Connections in any state but LISTEN, including TIME-WAIT; lwIP reuses those if it has no others left.
// lwIP: 5.
#undef MEMP_NUM_TCP_PCB
#define MEMP_NUM_TCP_PCB (20)

// UDP sockets. DHCP, mDNS and each DNS query in flight take one of them. MicroPython: 4 + mDNS.
#undef MEMP_NUM_UDP_PCB
#define MEMP_NUM_UDP_PCB (10 + LWIP_MDNS_RESPONDER)

// Segments in the sending queues of all connections together. MicroPython: 32.
#undef MEMP_NUM_TCP_SEG
#define MEMP_NUM_TCP_SEG (64)

// The heap for sending. When it is used up, even a non-blocking send() waits for up to 10 s
// (lwip_tcp_send() in extmod/modlwip.c). It holds two and a half full sending queues. MicroPython: 8000.
#undef MEM_SIZE
#define MEM_SIZE (16 * 1024)

// Buffers for received and unread data, each slightly larger than TCP_MSS: three full receive windows.
// lwIP: 16.
#undef PBUF_POOL_SIZE
#define PBUF_POOL_SIZE (24)

#endif
