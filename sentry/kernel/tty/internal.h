/*
 * The inside of sentry/kernel/tty/: the terminal, its line discipline, its
 * drivers.
 *
 *	        master file, or host fd
 *	     write |                ^ read
 *	           v                |
 *	  ldisc_input (ldisc.c)   ring `out`  <- echo
 *	           |                ^
 *	           v                | tty_output (output.c)
 *	   ldisc.buf  -> ldisc_read
 *	           v                |
 *	         slave files: read, write
 *
 * Locking: one lock per terminal (RANK_OBJECT) guards everything that is not
 * marked otherwise. Signals are sent under it (RANK_TASKLIST and RANK_SIGHAND
 * come later); queues are woken under it too, which costs a little and keeps the
 * many small paths simple.
 */
#ifndef GARRISON_SENTRY_KERNEL_TTY_INTERNAL_H
#define GARRISON_SENTRY_KERNEL_TTY_INTERNAL_H

#include <asm/termbits.h>
#include <sys/ioctl.h>

#include "sentry/core/hostpoll.h"
#include "sentry/core/timer.h"
#include "sentry/kernel/tty/ring.h"
#include "sentry/kernel/tty/tty.h"

/* glibc's <sys/ioctl.h> and the kernel's <asm/termbits.h> do not clash; <termios.h> would. */
#define LINE_MAX_BYTES 4096U /* the kernel's N_TTY_BUF_SIZE */
#define ECHO_MAX 4096U
#define ENOIOCTLCMD 515 /* not mine; never leaves this folder */
#define NO_CHAR 0	/* _POSIX_VDISABLE */

struct ldisc {
	unsigned char buf[LINE_MAX_BYTES];
	uint8_t ends[LINE_MAX_BYTES / 8]; /* bit: this byte ends a line (or is the mark of VEOF) */
	uint32_t head, tail, canon_head;  /* free-running */
	unsigned int column, canon_column;
	bool lnext, erasing;
	bool told_to_stop;	/* IXOFF: we sent VSTOP */
	uint64_t last_input;	/* CLOCK_MONOTONIC ns, for VTIME */
	uint64_t read_deadline; /* of a VMIN=0 read that waits; 0: none */
	/* Echo that has not gone out yet. */
	unsigned int column_before_echo, canon_column_before_echo;
	unsigned char echo[ECHO_MAX];
	uint32_t echo_used;
};

struct tty_ops {
	/* `out` has got something. Under the lock. */
	void (*output)(struct tty *tty);
	/* There is room for input again. Under the lock. */
	void (*input_room)(struct tty *tty);
	/* The last reference went: frees what embeds tty. */
	void (*release)(struct tty *tty);
};

struct tty {
	struct refcount ref;
	const struct tty_ops *ops;   /* immutable */
	struct container *container; /* immutable; borrowed; NULL: gone */
	struct mutex lock;
	struct waitq wq;     /* of slave files */
	struct ktimer timer; /* VTIME */

	struct termios2 termios;
	struct termios2 pinned; /* TIOCSLCKTRMIOS: bits and characters that do not change */
	struct winsize winsize;
	struct ldisc ldisc;
	struct ring out;
	bool stopped;	      /* by VSTOP or tcflow */
	bool stopped_by_call; /* by tcflow: VSTART does not start it */
	bool hung_up;
	bool exclusive;
	int opens; /* slave files */

	struct session *session; /* owned; whose controlling terminal this is; NULL: none */
	int pgrp;		 /* in the foreground; 0: none */

	/* Where it appears: a name in a devpts. Set once, before others know the terminal;
	 * the inode keeps the file system. */
	struct inode *inode; /* owned; NULL: nowhere */
	int index;	     /* -1: nowhere */

	/* packet mode of a pty's master */
	bool packet;
	unsigned char packet_status; /* TIOCPKT_* */
	struct waitq *master_wq;     /* immutable; NULL: not a pty */
	bool slave_closed;	     /* it was open and is no more */
	bool locked;		     /* TIOCSPTLCK */
};

/* --- tty.c */
void tty_setup(struct tty *tty, const struct tty_ops *ops, struct container *c);
void tty_teardown(struct tty *tty);
void tty_hangup_locked(struct tty *tty);
/* A file on the terminal (the slave's side, for a pty). */
int tty_file_new(struct tty *tty, struct inode *inode, const struct path *path,
		 const struct cred *cred, int flags, struct file **out) MUST_CHECK;
void tty_wake_locked(struct tty *tty, uint32_t events);
void packet_note_locked(struct tty *tty, unsigned char set, unsigned char clear);

/* --- output.c: all under the lock */
/* Bytes of buf that were taken. */
size_t tty_output(struct tty *tty, const unsigned char *buf, size_t n);
bool tty_output_room(struct tty *tty);
void tty_flush_output(struct tty *tty);
void tty_stop(struct tty *tty);
void tty_start(struct tty *tty);
void echo_raw(struct tty *tty, const void *bytes, size_t n); /* counts no columns */
void echo_out(struct tty *tty, unsigned char c);	     /* with OPOST */
void echo_char(struct tty *tty, unsigned char c);	     /* ^X for control characters */
void echo_pending(struct tty *tty);			     /* tries again what had to wait */

/* --- ldisc.c, ldisc_edit.c, ldisc_read.c: all under the lock */
void ldisc_init(struct ldisc *l);
/* Input from the far end: bytes taken; fewer than n if a reader must first make room. */
size_t ldisc_input(struct tty *tty, const unsigned char *buf, size_t n);
bool ldisc_has_room(struct tty *tty);
void ldisc_flush(struct tty *tty); /* forgets what has not been read */
void ldisc_termios_changed(struct tty *tty, const struct termios2 *old);
ssize_t ldisc_read(struct tty *tty, void *buf, size_t n, bool nonblock);
bool ldisc_readable(struct tty *tty);
size_t ldisc_available(struct tty *tty); /* for FIONREAD */
void ldisc_erase(struct tty *tty, unsigned char c);
void ldisc_reprint(struct tty *tty, unsigned char c);
void ldisc_end_erasing(struct tty *tty);
unsigned char ldisc_at(const struct ldisc *l, uint32_t i);
bool tty_utf8_tail(const struct tty *tty, unsigned char c); /* a byte that continues a character */

#define L_FLAG(tty, f) (((tty)->termios.c_lflag & (f)) != 0)
#define I_FLAG(tty, f) (((tty)->termios.c_iflag & (f)) != 0)
#define O_FLAG(tty, f) (((tty)->termios.c_oflag & (f)) != 0)
#define CC(tty, i) ((tty)->termios.c_cc[i])

static inline bool is_cc(const struct tty *tty, unsigned char c, int which)
{
	return c == tty->termios.c_cc[which] && c != NO_CHAR;
}

static inline bool is_control(unsigned char c)
{
	return c < 32 || c == 127;
}

/* --- jobctl.c */
/* To the foreground group. Under the lock. */
void tty_signal(struct tty *tty, int sig);
/* May the calling task use its terminal now? 0, -EIO, or -ERESTARTSYS with the signal sent. */
int tty_check_change(struct tty *tty, int sig) MUST_CHECK;
bool tty_is_mine(struct tty *tty, struct task *t); /* the controlling terminal of t? */
/* open(2) by a session leader without a terminal. */
void tty_acquire_on_open(struct tty *tty, struct task *t);
long tty_ioctl_jobs(struct tty *tty, struct file *f, unsigned int cmd, uint64_t arg, struct task *t,
		    bool from_master);
/* Ends the session's claim. Under the lock. */
void tty_forget_session_locked(struct tty *tty);

/* --- ioctl.c */
long tty_ioctl(struct tty *tty, struct file *f, unsigned int cmd, uint64_t arg, struct task *t,
	       bool from_master);
void tty_set_winsize_locked(struct tty *tty, const struct winsize *ws);

/* --- devpts.c */
struct devpts;
/* The devpts that sb is, or NULL; borrowed. */
struct devpts *devpts_of(struct superblock *sb);
/* Where the container has its devpts (/dev/pts): an owned path, or -ENODEV. */
int devpts_of_container(struct container *c, struct path *out) MUST_CHECK;
/* Gives tty an index and an inode; -ENOSPC. */
int devpts_add(struct devpts *d, struct tty *tty, const struct cred *cred) MUST_CHECK;
/* The name goes; open files stay. May be called twice. */
void devpts_remove(struct tty *tty);
/* Opens the terminal through its name below mnt (NULL: no name). */
int devpts_open_tty(struct tty *tty, struct mount *mnt, const struct cred *cred, int flags,
		    struct file **out) MUST_CHECK;
void devpts_register(void);

/* --- pty.c */
int pty_open_master(struct devpts *d, struct inode *inode, const struct path *path,
		    const struct cred *cred, int flags, struct file **out) MUST_CHECK;

#define TTY_AUX_MAJOR 5
#define TTY_PTS_MAJOR 136
#define TTY_PTS_MAX 4096 /* as /proc/sys/kernel/pty/max */

/* --- console.c */
struct tty *console_of(struct container *c); /* the first one; owned, or NULL */

#endif
