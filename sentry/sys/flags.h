/* Names of flag bits and of enumerated arguments, for --strace. */
#ifndef GARRISON_SENTRY_SYS_FLAGS_H
#define GARRISON_SENTRY_SYS_FLAGS_H

#include "sentry/sys/syscall.h"

extern const struct flag_name flags_access[], flags_af[], flags_at[], flags_clone[],
    flags_epollctl[], flags_fcntl[], flags_flock[], flags_futex[], flags_madvise[], flags_mmap[],
    flags_mount[], flags_mremap[], flags_msg[], flags_msync[], flags_open[], flags_prctl[],
    flags_prot[], flags_ptrace[], flags_seek[], flags_sighow[], flags_socktype[], flags_wait[],
    names_ioctl[];

/* Writes "A|B|0x40" into buf; returns buf. */
const char *flags_format(const struct flag_name *set, uint64_t value, char *buf, size_t size);
/* "SIGINT", or the number; "ENOENT", or the number. Static or in buf (16 bytes). */
const char *signal_name(int sig, char *buf);
const char *errno_name(int err, char *buf);

#endif
