/*
 * Terminals and the files on them. A hang-up is a state of the terminal, not of
 * its files: reads give 0, writes -EIO, for ever. (A pty whose master is gone
 * cannot come back; a console's host side neither.)
 */
#include <asm/termbits.h>
#include <errno.h>
#include <signal.h>
#include <sys/sysmacros.h>

#include "common/mem.h"
#include "sentry/abi/restart.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/tty/internal.h"

struct tty_file {
	struct file file;
	struct tty *tty; /* owned */
};

static const struct file_ops tty_file_ops;

static const struct termios2 default_termios = {
    .c_iflag = ICRNL | IXON,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_cc =
	{
	    [VINTR] = 003,
	    [VQUIT] = 034,
	    [VERASE] = 0177,
	    [VKILL] = 025,
	    [VEOF] = 004,
	    [VMIN] = 1,
	    [VSTART] = 021,
	    [VSTOP] = 023,
	    [VSUSP] = 032,
	    [VREPRINT] = 022,
	    [VDISCARD] = 017,
	    [VWERASE] = 027,
	    [VLNEXT] = 026,
	},
    .c_ispeed = 38400,
    .c_ospeed = 38400,
};

static void reader_timeout(struct ktimer *timer)
{
	waitq_wake(&container_of(timer, struct tty, timer)->wq, POLLIN);
}

void tty_setup(struct tty *tty, const struct tty_ops *ops, struct container *c)
{
	ref_init(&tty->ref);
	tty->ops = ops;
	tty->container = c;
	mutex_init(&tty->lock, RANK_OBJECT);
	waitq_init(&tty->wq);
	ktimer_init(&tty->timer, reader_timeout);
	tty->termios = default_termios;
	ldisc_init(&tty->ldisc);
	tty->index = -1;
}

void tty_teardown(struct tty *tty)
{
	ktimer_cancel(&tty->timer);
	waitq_destroy(&tty->wq);
	mutex_destroy(&tty->lock);
}

void tty_get(struct tty *tty)
{
	ref_get(&tty->ref);
}

void tty_put(struct tty *tty)
{
	if (tty && ref_put(&tty->ref))
		tty->ops->release(tty);
}

uint64_t tty_dev(struct tty *tty)
{
	return tty->index >= 0 ? makedev(TTY_PTS_MAJOR, tty->index) : makedev(TTY_AUX_MAJOR, 1);
}

int tty_foreground(struct tty *tty)
{
	SCOPED_LOCK(&tty->lock);
	return tty->pgrp ? tty->pgrp : -1;
}

void tty_wake_locked(struct tty *tty, uint32_t events)
{
	waitq_wake(&tty->wq, events);
}

/* Packet mode: what the master learns besides data. */
void packet_note_locked(struct tty *tty, unsigned char set, unsigned char clear)
{
	if (!tty->packet || !tty->master_wq)
		return;
	tty->packet_status = (unsigned char)((tty->packet_status & ~clear) | set);
	waitq_wake(tty->master_wq, POLLPRI | POLLIN | POLLRDNORM);
}

void tty_hangup_locked(struct tty *tty)
{
	struct session *s = tty->session;

	if (tty->hung_up)
		return;
	tty->hung_up = true;
	tty->stopped = false;
	ring_clear(&tty->out);
	ldisc_flush(tty);
	if (s) {
		session_get(s);
		atomic_store(&s->old_pgrp, tty->pgrp);
		tty_forget_session_locked(tty);
		session_hangup(s);
		session_put(s);
	}
	waitq_wake_all(&tty->wq, POLLIN | POLLOUT | POLLERR | POLLHUP);
}

/* --- files ------------------------------------------------------------------------------ */

static struct tty *tty_of(struct file *f)
{
	return container_of(f, struct tty_file, file)->tty;
}

static bool nonblock(const struct file *f)
{
	return atomic_load(&((struct file *)f)->flags) & O_NONBLOCK;
}

static ssize_t tty_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct tty *tty = tty_of(f);
	int err;

	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tty->lock);
	if (tty->hung_up)
		return 0;
	err = tty_check_change(tty, SIGTTIN);
	return err ? err : ldisc_read(tty, buf, n, nonblock(f));
}

static ssize_t tty_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct tty *tty = tty_of(f);
	size_t done;
	int err = 0;

	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tty->lock);
	if (tty->hung_up)
		return -EIO;
	if (L_FLAG(tty, TOSTOP))
		err = tty_check_change(tty, SIGTTOU);
	if (err)
		return err;
	done = tty_output(tty, buf, n);
	return done > 0 ? (ssize_t)done : -EAGAIN;
}

static uint32_t tty_poll(struct file *f)
{
	struct tty *tty = tty_of(f);
	uint32_t events = 0;

	SCOPED_LOCK(&tty->lock);
	if (tty->hung_up)
		return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
	if (ldisc_readable(tty))
		events |= POLLIN | POLLRDNORM;
	if (tty_output_room(tty))
		events |= POLLOUT | POLLWRNORM;
	return events;
}

static long tty_file_ioctl(struct file *f, unsigned int cmd, uint64_t arg,
			   struct guest_access *caller)
{
	return tty_ioctl(tty_of(f), f, cmd, arg, task_from_access(caller), false);
}

static int tty_fsync(struct file *f, bool datasync)
{
	return -EINVAL;
}

static void tty_file_release(struct file *f)
{
	struct tty *tty = tty_of(f);

	mutex_lock(&tty->lock);
	if (--tty->opens == 0 && tty->master_wq) {
		tty->slave_closed = true;
		waitq_wake_all(tty->master_wq, POLLIN | POLLHUP);
	}
	if (tty->opens == 0)
		tty->exclusive = false;
	mutex_unlock(&tty->lock);
	file_fini(f);
	free(container_of(f, struct tty_file, file));
	tty_put(tty);
}

static const struct file_ops tty_file_ops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_file_ioctl,
    .fsync = tty_fsync,
    .release = tty_file_release,
};

/* May it be opened? Under the lock. */
static int check_open(struct tty *tty, const struct cred *cred)
{
	if (tty->hung_up || tty->locked)
		return -EIO;
	if (tty->exclusive && !cred_capable(cred, CAP_SYS_ADMIN))
		return -EBUSY;
	tty->opens++;
	tty->slave_closed = false;
	return 0;
}

int tty_file_new(struct tty *tty, struct inode *inode, const struct path *path,
		 const struct cred *cred, int flags, struct file **out)
{
	struct tty_file *tf;
	int err;

	mutex_lock(&tty->lock);
	err = check_open(tty, cred);
	mutex_unlock(&tty->lock);
	if (err)
		return err;
	tf = NEW(struct tty_file);
	file_init(&tf->file, &tty_file_ops, inode, path, cred, flags & ~O_NOCTTY);
	tf->file.wq = &tty->wq;
	tf->file.caps = FILE_STREAM_CHUNKS;
	tf->tty = tty;
	tty_get(tty);
	if (!(flags & O_NOCTTY) && (flags & O_ACCMODE) != O_WRONLY && task_current())
		tty_acquire_on_open(tty, task_current());
	*out = &tf->file;
	return 0;
}
