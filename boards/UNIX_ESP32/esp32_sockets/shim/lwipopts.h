// lwIP as ESP-IDF configures it for MicroPython: what components/lwip/port/include/lwipopts.h makes of the defaults
// of components/lwip/Kconfig and of MicroPython's ports/esp32/boards/sdkconfig.base. A comment after a value names its
// option, CONFIG_LWIP_…, if it has one. "here" marks values that differ for the computer.
#pragma once
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

// --- limits

#define EXTRA_SOCKETS_MAX               50  // here: see host_network.c
#define MEMP_NUM_NETCONN                (10 + EXTRA_SOCKETS_MAX) // MAX_SOCKETS
#define MEMP_NUM_TCP_PCB                (12 + EXTRA_SOCKETS_MAX) // MAX_ACTIVE_TCP, sdkconfig.base
#define MEMP_NUM_TCP_PCB_LISTEN         16  // MAX_LISTENING_TCP
#define MEMP_NUM_UDP_PCB                16  // MAX_UDP_PCBS
#define MEMP_NUM_RAW_PCB                16  // MAX_RAW_PCBS
#define LWIP_SOCKET_OFFSET              (64 - MEMP_NUM_NETCONN) // FD_SETSIZE - MAX_SOCKETS

// --- memory: the C library's

#define MEM_LIBC_MALLOC                 1
#define MEMP_MEM_MALLOC                 1
#define MEM_ALIGNMENT                   8   // here: pointers of 64 bits

// --- threads

#define SYS_LIGHTWEIGHT_PROT            1
#define LWIP_TCPIP_CORE_LOCKING         0   // TCPIP_CORE_LOCKING
#define LWIP_TCPIP_CORE_LOCKING_INPUT   0
#define TCPIP_THREAD_NAME               "tiT"
#define TCPIP_MBOX_SIZE                 32  // TCPIP_RECVMBOX_SIZE
#define LWIP_NETCONN_SEM_PER_THREAD     1
#define LWIP_NETCONN_FULLDUPLEX         0   // here: ESP-IDF's is 1, on a lwIP with patches

// --- IP

#define LWIP_IPV4                       1
#define LWIP_IPV6                       1   // IPV6
#define IP_REASSEMBLY                   0   // IP4_REASSEMBLY
#define LWIP_IPV6_REASS                 0   // IP6_REASSEMBLY
#define IP_FRAG                         1   // IP4_FRAG
#define LWIP_IPV6_FRAG                  1   // IP6_FRAG
#define IP_DEFAULT_TTL                  64  // IP_DEFAULT_TTL
#define ARP_QUEUEING                    1
#define LWIP_ICMP                       1   // ICMP
#define LWIP_IGMP                       1
#define LWIP_RAW                        1
#define LWIP_DHCP                       0   // here: a fixed address
#define LWIP_DNS                        1
#define DNS_MAX_SERVERS                 3   // DNS_MAX_SERVERS
#define CHECKSUM_CHECK_IP               0   // CHECKSUM_CHECK_IP
#define CHECKSUM_CHECK_UDP              0   // CHECKSUM_CHECK_UDP

// --- TCP

#define LWIP_TCP                        1
#define TCP_MSS                         1440    // TCP_MSS
#define TCP_WND                         5760    // TCP_WND_DEFAULT
#define TCP_SND_BUF                     5760    // TCP_SND_BUF_DEFAULT
#define TCP_OVERSIZE                    TCP_MSS // TCP_OVERSIZE_MSS
#define TCP_QUEUE_OOSEQ                 1       // TCP_QUEUE_OOSEQ
#define TCP_OOSEQ_MAX_PBUFS             4       // TCP_OOSEQ_MAX_PBUFS
#define LWIP_TCP_SACK_OUT               0       // TCP_SACK_OUT
#define TCP_MAXRTX                      12      // TCP_MAXRTX
#define TCP_SYNMAXRTX                   12      // TCP_SYNMAXRTX
#define LWIP_TCP_RTO_TIME               1500    // TCP_RTO_TIME
#define TCP_TMR_INTERVAL                250     // TCP_TMR_INTERVAL
#define TCP_MSL                         60000   // TCP_MSL
#define TCP_FIN_WAIT_TIMEOUT            20000   // TCP_FIN_WAIT_TIMEOUT
#define TCP_LISTEN_BACKLOG              1
#define LWIP_TCP_KEEPALIVE              1

// --- UDP

#define LWIP_UDP                        1

// --- sockets

#define LWIP_NETCONN                    1
#define LWIP_SOCKET                     1
#define LWIP_COMPAT_SOCKETS             0   // here: the computer has functions of these names
#define LWIP_POSIX_SOCKETS_IO_NAMES     0
#define LWIP_SOCKET_POLL                0   // here: the computer's poll.h would clash
#define LWIP_TIMEVAL_PRIVATE            0
#define SOCKLEN_T_DEFINED               1   // here: by the computer's headers
#define DEFAULT_TCP_RECVMBOX_SIZE       6   // TCP_RECVMBOX_SIZE
#define DEFAULT_UDP_RECVMBOX_SIZE       6   // UDP_RECVMBOX_SIZE
#define DEFAULT_ACCEPTMBOX_SIZE         6   // TCP_ACCEPTMBOX_SIZE
#define DEFAULT_RAW_RECVMBOX_SIZE       6
#define LWIP_SO_SNDTIMEO                1
#define LWIP_SO_RCVTIMEO                1
#define LWIP_SO_LINGER                  0   // SO_LINGER
#define LWIP_SO_RCVBUF                  0   // SO_RCVBUF
#define SO_REUSE                        1   // SO_REUSE
#define SO_REUSE_RXTOALL                1   // SO_REUSE_RXTOALL

// --- interfaces

#define LWIP_HAVE_LOOPIF                1
#define LWIP_NETIF_LOOPBACK             1   // NETIF_LOOPBACK
#define LWIP_LOOPBACK_MAX_PBUFS         8   // LOOPBACK_MAX_PBUFS
#define LWIP_NETIF_HOSTNAME             1
#define LWIP_NETIF_TX_SINGLE_PBUF       1
#define LWIP_STATS                      0   // STATS
