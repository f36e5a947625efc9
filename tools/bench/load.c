/* Load generator of the benchmark: one thread, epoll, and every byte that comes back is compared.
 *
 *   load MODE port=N [pid=N] [conns=N] [size=N] [depth=N] [idle=N] [seconds=S] [warmup=S] [count=N] [bytes=N]
 *
 *   echo      `conns` connections, each keeps `depth` messages of `size` bytes under way; `idle` more stay silent
 *   lines     the same with messages that are text lines of `size` bytes, the line feed included
 *   udp       datagrams of `size` bytes, `depth` of them under way; what is lost is counted and replaced
 *   upload    `bytes` bytes to the server, which answers one byte when it has them all
 *   download  one byte to the server, which answers `bytes` bytes: 0, 1, ... 255, 0, 1, ...
 *   churn     `conns` clients that connect, exchange one message, close and start again
 *
 * The window is `seconds` long and starts after `warmup`; with `count` it is that many messages instead. The processor
 * time of process `pid` is read at both ends of the window. The result is one line of JSON on the standard output.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RING_MESSAGES 64            /* distinct messages; a connection walks through them in turn */
#define PER_ADDRESS 10000           /* connections from one 127.0.0.x, well under the ephemeral ports of an address */
#define STALL_SECONDS 10           /* silence of the server that ends the run */
#define LOST_MS 20                  /* silence after which datagrams count as lost */
#define EVENTS 512
#define CHUNK 65536

static struct {
    const char *mode;
    int port, pid, conns, size, depth, idle;
    double seconds, warmup;
    uint64_t count, bytes;
} opt = {.conns = 1, .size = 64, .depth = 1, .seconds = 1, .warmup = 0.2, .bytes = 200000000};

struct conn {
    int fd;
    bool blocked;                   /* the system took only a part: waiting for EPOLLOUT */
    uint64_t start, sent, target, received;
};

static char *ring, scratch[CHUNK];
static size_t ring_len;
static int epfd;
static uint64_t messages, lost, opened;

static void die(const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("{\"error\": \"%s\"}\n", text);
    exit(1);
}

static double clock_seconds(clockid_t id) {
    struct timespec t;
    if (clock_gettime(id, &t)) {
        die("the processor clock of the server cannot be read: %s", strerror(errno));
    }
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double now(void) {
    return clock_seconds(CLOCK_MONOTONIC);
}

static double server_cpu(void) {
    clockid_t id;
    if (!opt.pid) {
        return 0;
    }
    if (clock_getcpuclockid(opt.pid, &id)) {
        die("process %d is gone", opt.pid);
    }
    return clock_seconds(id);
}

/* --- the measured window --------------------------------------------------------------------------------------- */

static struct {
    bool open;
    double begin, end, cpu, own;
    uint64_t messages, lost;
} window;

static void window_open(void) {
    window.messages = messages;
    window.lost = lost;
    window.own = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    window.cpu = server_cpu();
    window.begin = now();
    window.end = window.begin + opt.seconds;
    window.open = true;
}

static void window_report(uint64_t done) {
    double end = now();
    double cpu = server_cpu() - window.cpu;
    double own = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - window.own;
    printf("{\"messages\": %llu, \"seconds\": %.6f, \"server_cpu\": %.6f, \"load_cpu\": %.6f, \"lost\": %llu}\n",
           (unsigned long long)done, end - window.begin, cpu, own, (unsigned long long)(lost - window.lost));
}

/* True once the window is over; opens it when the warm-up has passed. */
static bool window_over(double warm) {
    if (opt.count) {
        return messages - window.messages >= opt.count;
    }
    double t = now();
    if (!window.open && t >= warm) {
        window_open();
    }
    return window.open && t >= window.end;
}

/* --- messages -------------------------------------------------------------------------------------------------- */

static void ring_make(bool text) {
    uint32_t random = 12345;
    ring_len = (size_t)RING_MESSAGES * opt.size;
    ring = malloc(ring_len);
    for (size_t i = 0; i < ring_len; i++) {
        random = random * 1664525 + 1013904223;
        ring[i] = text ? 'a' + (random >> 24) % 26 : random >> 24;
    }
    for (int i = 0; i < RING_MESSAGES; i++) {
        ring[i * opt.size] = 'A' + i % 26;          /* never '?', which some servers take as a question */
        if (text) {
            ring[(i + 1) * opt.size - 1] = '\n';
        }
    }
}

static void check(const struct conn *c, const char *data, size_t n) {
    size_t at = (c->start + c->received) % ring_len;
    while (n) {
        size_t part = n < ring_len - at ? n : ring_len - at;
        if (memcmp(data, ring + at, part)) {
            die("wrong data within %zu bytes after byte %llu", n, (unsigned long long)c->received);
        }
        data += part;
        n -= part;
        at = 0;
    }
}

static void watch(struct conn *c, int op, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epfd, op, c->fd, &event)) {
        die("epoll_ctl: %s", strerror(errno));
    }
}

static void conn_open(struct conn *c, int type) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(opt.port), .sin_addr.s_addr = htonl(0x7f000001)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;
    from.sin_addr.s_addr = htonl(0x7f000001 + opened / PER_ADDRESS % 200);
    c->fd = socket(AF_INET, type, 0);
    if (c->fd < 0) {
        die("socket: %s", strerror(errno));
    }
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) || connect(c->fd, (struct sockaddr *)&to, sizeof to)) {
        die("connection %llu: %s", (unsigned long long)opened, strerror(errno));
    }
    if (type == SOCK_STREAM) {
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    c->start = opened % RING_MESSAGES * opt.size;
    c->sent = c->target = c->received = 0;
    c->blocked = false;
    opened++;
}

static void conn_send(struct conn *c) {
    while (c->sent < c->target) {
        size_t at = (c->start + c->sent) % ring_len;
        size_t n = c->target - c->sent < ring_len - at ? c->target - c->sent : ring_len - at;
        ssize_t done = send(c->fd, ring + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0) {
            if (errno != EAGAIN) {
                die("send: %s", strerror(errno));
            }
            break;
        }
        c->sent += done;
    }
    bool blocked = c->sent < c->target;
    if (blocked != c->blocked) {
        c->blocked = blocked;
        watch(c, EPOLL_CTL_MOD, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

/* Takes what has come back; returns how many more messages are complete. */
static uint64_t conn_recv(struct conn *c, int flags) {
    ssize_t n = recv(c->fd, scratch, sizeof scratch, flags);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) {
            return 0;
        }
        die("the server closed a connection: %s", n ? strerror(errno) : "end of stream");
    }
    check(c, scratch, n);
    uint64_t before = c->received / opt.size;
    c->received += n;
    return c->received / opt.size - before;
}

/* Opens a connection and exchanges one message, so that the server has surely accepted it before the next comes. */
static void conn_greet(struct conn *c) {
    conn_open(c, SOCK_STREAM);
    c->target = opt.size;
    conn_send(c);
    while (c->received < c->target) {
        conn_recv(c, 0);
    }
}

static int wait_events(struct epoll_event *events) {
    int n = epoll_wait(epfd, events, EVENTS, STALL_SECONDS * 1000);
    if (n < 0) {
        die("epoll_wait: %s", strerror(errno));
    }
    if (!n) {
        die("no answer for %d s", STALL_SECONDS);
    }
    return n;
}

/* --- the modes ------------------------------------------------------------------------------------------------- */

static void run_echo(bool text) {
    struct epoll_event events[EVENTS];
    struct conn *conns = calloc(opt.conns + opt.idle, sizeof *conns);
    ring_make(text);
    for (int i = opt.conns + opt.idle - 1; i >= 0; i--) {       /* idle connections first */
        conn_greet(&conns[i]);
    }
    for (int i = 0; i < opt.conns; i++) {
        watch(&conns[i], EPOLL_CTL_ADD, EPOLLIN);
    }
    double warm = now() + opt.warmup;
    if (opt.count) {
        window_open();
    }
    for (int i = 0; i < opt.conns; i++) {
        conns[i].target += (uint64_t)opt.depth * opt.size;
        conn_send(&conns[i]);
    }
    while (!window_over(warm)) {
        int n = wait_events(events);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & ~EPOLLOUT) {
                uint64_t complete = conn_recv(c, MSG_DONTWAIT);
                messages += complete;
                c->target += complete * opt.size;
            }
            conn_send(c);
        }
    }
    window_report(messages - window.messages);
}

static void run_udp(void) {
    struct epoll_event event;
    struct conn c;
    uint64_t sent = 0, settled = 0;
    ring_make(false);
    for (uint32_t i = 0; i < RING_MESSAGES; i++) {
        memcpy(ring + i * opt.size, &i, sizeof i);
    }
    conn_open(&c, SOCK_DGRAM);
    watch(&c, EPOLL_CTL_ADD, EPOLLIN);
    double warm = now() + opt.warmup;
    if (opt.count) {
        window_open();
    }
    double heard = now();
    while (!window_over(warm)) {
        while (sent - settled < (uint64_t)opt.depth) {
            if (send(c.fd, ring + sent % RING_MESSAGES * opt.size, opt.size, MSG_DONTWAIT) < 0) {
                if (errno != EAGAIN) {
                    die("send: %s", strerror(errno));
                }
                break;
            }
            sent++;
        }
        if (!epoll_wait(epfd, &event, 1, LOST_MS)) {
            lost += sent - settled;
            settled = sent;
            if (now() - heard > STALL_SECONDS) {
                die("no answer for %d s", STALL_SECONDS);
            }
            continue;
        }
        ssize_t n;
        while ((n = recv(c.fd, scratch, sizeof scratch, MSG_DONTWAIT)) >= 0) {
            uint32_t index;
            memcpy(&index, scratch, sizeof index);
            if (n != opt.size || index >= RING_MESSAGES || memcmp(scratch, ring + (size_t)index * opt.size, n)) {
                die("a datagram came back changed");
            }
            messages++;
            if (settled < sent) {               /* a datagram given up for lost may still come */
                settled++;
            }
            heard = now();
        }
    }
    window_report(messages - window.messages);
}

static void run_upload(void) {
    struct conn c;
    opt.size = 4096;
    ring_make(false);
    conn_open(&c, SOCK_STREAM);
    window_open();
    c.target = opt.bytes;
    while (c.sent < c.target) {
        size_t at = c.sent % ring_len;
        size_t n = c.target - c.sent < ring_len - at ? c.target - c.sent : ring_len - at;
        ssize_t done = send(c.fd, ring + at, n < CHUNK ? n : CHUNK, MSG_NOSIGNAL);
        if (done < 0) {
            die("send: %s", strerror(errno));
        }
        c.sent += done;
    }
    if (recv(c.fd, scratch, 1, 0) != 1) {
        die("the server closed before it had everything");
    }
    window_report(opt.bytes);
}

static void run_download(void) {
    static char expected[CHUNK + 256];
    struct conn c;
    for (size_t i = 0; i < sizeof expected; i++) {
        expected[i] = i;
    }
    conn_open(&c, SOCK_STREAM);
    window_open();
    if (send(c.fd, "G", 1, MSG_NOSIGNAL) != 1) {
        die("send: %s", strerror(errno));
    }
    while (c.received < opt.bytes) {
        ssize_t n = recv(c.fd, scratch, sizeof scratch, 0);
        if (n <= 0) {
            die("the server closed after %llu bytes", (unsigned long long)c.received);
        }
        if (memcmp(scratch, expected + c.received % 256, n)) {
            die("wrong data within %zd bytes after byte %llu", n, (unsigned long long)c.received);
        }
        c.received += n;
    }
    window_report(opt.bytes);
}

static void run_churn(void) {
    struct epoll_event events[EVENTS];
    struct conn *conns = calloc(opt.conns, sizeof *conns);
    ring_make(false);
    double warm = now() + opt.warmup;
    if (opt.count) {
        window_open();
    }
    for (int i = 0; i < opt.conns; i++) {
        conn_open(&conns[i], SOCK_STREAM);
        watch(&conns[i], EPOLL_CTL_ADD, EPOLLIN);
        conns[i].target = opt.size;
        conn_send(&conns[i]);
    }
    while (!window_over(warm)) {
        int n = wait_events(events);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!conn_recv(c, MSG_DONTWAIT)) {
                continue;
            }
            messages++;
            close(c->fd);
            conn_open(c, SOCK_STREAM);
            watch(c, EPOLL_CTL_ADD, EPOLLIN);
            c->target = opt.size;
            conn_send(c);
        }
    }
    window_report(messages - window.messages);
}

static void parse(const char *word) {
    const char *value = strchr(word, '=');
    if (!value) {
        die("%s: not name=value", word);
    }
    size_t n = value++ - word;
#define IS(name) (n == strlen(name) && !strncmp(word, name, n))
    if (IS("port")) opt.port = atoi(value);
    else if (IS("pid")) opt.pid = atoi(value);
    else if (IS("conns")) opt.conns = atoi(value);
    else if (IS("size")) opt.size = atoi(value);
    else if (IS("depth")) opt.depth = atoi(value);
    else if (IS("idle")) opt.idle = atoi(value);
    else if (IS("seconds")) opt.seconds = atof(value);
    else if (IS("warmup")) opt.warmup = atof(value);
    else if (IS("count")) opt.count = strtoull(value, NULL, 10);
    else if (IS("bytes")) opt.bytes = strtoull(value, NULL, 10);
    else die("%s: unknown", word);
#undef IS
}

int main(int argc, char **argv) {
    if (argc < 2) {
        die("which mode?");
    }
    opt.mode = argv[1];
    for (int i = 2; i < argc; i++) {
        parse(argv[i]);
    }
    if (opt.depth > RING_MESSAGES || opt.size < 4 || opt.size > CHUNK) {
        die("depth or size out of range");
    }
    epfd = epoll_create1(0);
    if (!strcmp(opt.mode, "echo")) run_echo(false);
    else if (!strcmp(opt.mode, "lines")) run_echo(true);
    else if (!strcmp(opt.mode, "udp")) run_udp();
    else if (!strcmp(opt.mode, "upload")) run_upload();
    else if (!strcmp(opt.mode, "download")) run_download();
    else if (!strcmp(opt.mode, "churn")) run_churn();
    else die("%s: unknown mode", opt.mode);
    return 0;
}
