/*
 * Reading and writing host fds whose description others share (a container's
 * stdio): without O_NONBLOCK, which would change it for them too.
 */
#ifndef GARRISON_COMMON_HOST_STDIO_H
#define GARRISON_COMMON_HOST_STDIO_H

#include <poll.h>
#include <sys/ioctl.h>

#include "common/host_file.h"

/* As read(2) and write(2), but -EAGAIN instead of waiting. */
MUST_CHECK ssize_t host_read_nowait(int fd, void *buf, size_t n);
MUST_CHECK ssize_t host_write_nowait(int fd, const void *buf, size_t n);
/* Of POLLIN, POLLOUT, ...: what holds now. */
uint32_t host_poll_now(int fd, uint32_t events);
MUST_CHECK int host_fionread(int fd, int *bytes);
/* Only for a description that nobody else uses. */
MUST_CHECK int host_set_nonblock(int fd);
/* All zero if fd is no terminal. */
void host_get_winsize(int fd, struct winsize *ws);

#endif
