// MicroPython's close() of a listening socket clears its receive and error callbacks (extmod/modlwip.c). Its control block
// is too small to have any: what is cleared lies behind it, in that of a connection, which then sends no more, for ever.
// lwIP has an assertion against it, and the port is built without. The linker puts these in between (--wrap).

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
