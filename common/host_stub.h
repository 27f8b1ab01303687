/* Host calls on stub processes, as -errno wrappers. */
#ifndef GARRISON_COMMON_HOST_STUB_H
#define GARRISON_COMMON_HOST_STUB_H

#include <sys/uio.h>

#include "common/base.h"

struct seccomp_notif;
struct seccomp_notif_resp;
struct seccomp_notif_addfd;

/* Copies from or to another process's memory; bytes done, or -EFAULT, -ESRCH. */
/* Per page address its NUMA node, or -errno if it is not there (move_pages(2) as a question). */
MUST_CHECK int host_pages_status(pid_t pid, const uint64_t *addrs, size_t n, int *status);
MUST_CHECK ssize_t host_process_read(pid_t pid, uint64_t from, void *to, size_t n);
MUST_CHECK ssize_t host_process_write(pid_t pid, uint64_t to, const void *from, size_t n);

int host_kill(pid_t pid, int sig);
int host_tgkill(pid_t tgid, pid_t tid, int sig);

/* Waits for a child's end without reaping it: its pid, and its wait status as from wait(2). With
 * pid > 0 only that one; without `block`, 0 if it lives. -ECHILD: none. */
MUST_CHECK pid_t host_wait_peek(pid_t pid, bool block, int *status);
int host_reap(pid_t pid);

/* The seccomp listener. poll: 1 if a notification waits, 0 after timeout_ms. */
MUST_CHECK int host_notif_poll(int listener, int timeout_ms);
MUST_CHECK int host_notif_recv(int listener, struct seccomp_notif *n);
int host_notif_send(int listener, struct seccomp_notif_resp *r);
MUST_CHECK int host_notif_addfd(int listener, struct seccomp_notif_addfd *a);

#endif
