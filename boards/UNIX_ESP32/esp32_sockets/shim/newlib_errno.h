// The errno numbers of newlib, the C library of ESP-IDF's compilers (newlib/libc/include/sys/errno.h), for all code
// whose errors Python can see. Up to ERANGE, 34, Linux has the same.
#pragma once
#ifndef __ASSEMBLER__
#include <errno.h>
#include <fcntl.h> // before lwIP, whose own O_NONBLOCK would take the place of the computer's
#ifndef HOST_ERRNO
#undef ENOSYS
#undef EOPNOTSUPP
#undef ECONNRESET
#undef ENOBUFS
#undef EAFNOSUPPORT
#undef EPROTOTYPE
#undef ENOTSOCK
#undef ENOPROTOOPT
#undef ECONNREFUSED
#undef EADDRINUSE
#undef ECONNABORTED
#undef ENETUNREACH
#undef ETIMEDOUT
#undef EHOSTUNREACH
#undef EINPROGRESS
#undef EALREADY
#undef EMSGSIZE
#undef EPROTONOSUPPORT
#undef EADDRNOTAVAIL
#undef EISCONN
#undef ENOTCONN
#define ENOSYS 88
#define EOPNOTSUPP 95
#define ECONNRESET 104
#define ENOBUFS 105
#define EAFNOSUPPORT 106
#define EPROTOTYPE 107
#define ENOTSOCK 108
#define ENOPROTOOPT 109
#define ECONNREFUSED 111
#define EADDRINUSE 112
#define ECONNABORTED 113
#define ENETUNREACH 114
#define ETIMEDOUT 116
#define EHOSTUNREACH 118
#define EINPROGRESS 119
#define EALREADY 120
#define EMSGSIZE 122
#define EPROTONOSUPPORT 123
#define EADDRNOTAVAIL 125
#define EISCONN 127
#define ENOTCONN 128
#endif
#endif
