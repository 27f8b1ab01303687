/*
 * Terminals, as the rest of the kernel and the runtime see them: ptys
 * (/dev/ptmx, devpts) and a container's consoles, which are terminals over a
 * host fd.
 */
#ifndef GARRISON_SENTRY_KERNEL_TTY_TTY_H
#define GARRISON_SENTRY_KERNEL_TTY_TTY_H

#include "sentry/kernel/task.h"

struct tty;

void tty_get(struct tty *tty);
void tty_put(struct tty *tty);
/* Its number as stat(2) and /proc/PID/stat give it. */
uint64_t tty_dev(struct tty *tty);

/* The process group in the foreground, or -1. */
int tty_foreground(struct tty *tty);

/*
 * A terminal of the container whose far end is a host fd: the slave side of a host pty,
 * which the runtime has put into raw mode. Takes fd on success. Appears in the container's
 * devpts, if it has one, when it is first opened.
 */
int tty_new_host(struct container *c, int fd, struct tty **out) MUST_CHECK;
/* A new open file on the terminal; O_NOCTTY is implied. *out is owned. */
int tty_open_file(struct tty *tty, const struct cred *cred, int flags,
		  struct file **out) MUST_CHECK;
/* The window has changed: SIGWINCH to the foreground if the size differs. */
void tty_resize(struct tty *tty, unsigned short rows, unsigned short cols);

/* Registers /dev/tty, /dev/console, /dev/ptmx and the file system devpts. At start. */
void tty_init(void);

#endif
