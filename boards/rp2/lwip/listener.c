// MicroPython's close() of a listening socket clears its receive and error callbacks (extmod/modlwip.c). But a listening
// control block is too short to have any: close() overwrites the memory after it, the control block of a connection, which
// then never sends again. lwIP's assertion against this is not compiled in. The linker inserts these functions (--wrap).

#include "lwip/tcp.h"

void __real_tcp_recv(struct tcp_pcb *pcb, tcp_recv_fn recv);
void __real_tcp_err(struct tcp_pcb *pcb, tcp_err_fn err);

void __wrap_tcp_recv(struct tcp_pcb *pcb, tcp_recv_fn recv) {
    if (pcb->state != LISTEN) {
        __real_tcp_recv(pcb, recv);
    }
}

void __wrap_tcp_err(struct tcp_pcb *pcb, tcp_err_fn err) {
    if (pcb->state != LISTEN) {
        __real_tcp_err(pcb, err);
    }
}
