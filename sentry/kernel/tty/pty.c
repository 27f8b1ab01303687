/*
 * The master side of a pty (pty(7), ioctl_tty(2)). The terminal is the slave;
 * the master is a file that reads the terminal's output and writes its input. It
 * keeps the terminal's name alive; when it closes, the terminal hangs up.
 */
#include <errno.h>
#include <signal.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/tty/internal.h"
#include "sentry/kernel/usermem.h"

struct pty {
	struct tty tty;
	struct waitq master_wq;
};

struct master {
	struct file file;
	struct tty *tty; /* owned */
};

/* --- the terminal's driver ------------------------------------------------------------------ */

static void pty_output(struct tty *tty)
{
	waitq_wake(tty->master_wq, POLLIN | POLLRDNORM);
}

static void pty_input_room(struct tty *tty)
{
	waitq_wake(tty->master_wq, POLLOUT | POLLWRNORM);
}

static void pty_release(struct tty *tty)
{
	struct pty *p = container_of(tty, struct pty, tty);

	devpts_remove(tty);
	if (tty->inode)
		inode_put(tty->inode);
	tty_teardown(tty);
	waitq_destroy(&p->master_wq);
	charged_free(p);
}

static const struct tty_ops pty_ops = {
    .output = pty_output,
    .input_room = pty_input_room,
    .release = pty_release,
};

/* --- the master's file ------------------------------------------------------------------------ */

static struct tty *tty_of(struct file *f)
{
	return container_of(f, struct master, file)->tty;
}

static ssize_t take_packet_status(struct tty *tty, unsigned char *buf)
{
	buf[0] = tty->packet_status;
	tty->packet_status = 0;
	return 1;
}

static ssize_t master_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct tty *tty = tty_of(f);
	size_t done, head = 0;

	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tty->lock);
	if (tty->packet && tty->packet_status)
		return take_packet_status(tty, buf);
	if (ring_used(&tty->out) == 0)
		return tty->slave_closed ? -EIO : -EAGAIN;
	if (tty->packet)
		((unsigned char *)buf)[head++] = TIOCPKT_DATA;
	done = ring_take(&tty->out, (unsigned char *)buf + head, n - head);
	echo_pending(tty);
	if (tty_output_room(tty))
		tty_wake_locked(tty, POLLOUT | POLLWRNORM);
	return (ssize_t)(head + done);
}

static ssize_t master_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct tty *tty = tty_of(f);
	size_t done;

	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&tty->lock);
	done = ldisc_input(tty, buf, n);
	return done > 0 ? (ssize_t)done : -EAGAIN;
}

static uint32_t master_poll(struct file *f)
{
	struct tty *tty = tty_of(f);
	uint32_t events = 0;

	SCOPED_LOCK(&tty->lock);
	if (ring_used(&tty->out) > 0)
		events |= POLLIN | POLLRDNORM;
	if (tty->packet && tty->packet_status)
		events |= POLLPRI | POLLIN | POLLRDNORM;
	if (ldisc_has_room(tty))
		events |= POLLOUT | POLLWRNORM;
	if (tty->slave_closed)
		events |= POLLHUP;
	return events;
}

/* --- ioctls ------------------------------------------------------------------------------------ */

static long put_int(struct task *t, uint64_t arg, int value)
{
	return copyout(t, UADDR(arg), &value, sizeof(value));
}

static long set_lock(struct tty *tty, uint64_t arg, struct task *t)
{
	int value, err = copyin(t, &value, UADDR(arg), sizeof(value));

	if (err)
		return err;
	SCOPED_LOCK(&tty->lock);
	tty->locked = value;
	return 0;
}

static long set_packet(struct tty *tty, uint64_t arg, struct task *t)
{
	int value, err = copyin(t, &value, UADDR(arg), sizeof(value));

	if (err)
		return err;
	SCOPED_LOCK(&tty->lock);
	if (value && !tty->packet)
		tty->packet_status = 0;
	tty->packet = value;
	return 0;
}

static long send_signal(struct tty *tty, uint64_t sig)
{
	if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
		return -EINVAL;
	SCOPED_LOCK(&tty->lock);
	tty_signal(tty, (int)sig);
	return 0;
}

static long open_peer(struct file *f, uint64_t flags, struct task *t)
{
	struct tty *tty = tty_of(f);
	struct file *slave;
	int fd, err;

	err = devpts_open_tty(tty, f->path.mnt, t->cred, (int)flags, &slave);
	if (err)
		return err;
	fd = fd_install(t->files, slave, 0, task_rlimit(t, RLIMIT_NOFILE), flags & O_CLOEXEC);
	if (fd < 0)
		file_put(slave);
	return fd;
}

/* The master's input is the slave's output, and the other way round. */
static long flush_swapped(struct tty *tty, uint64_t queue)
{
	SCOPED_LOCK(&tty->lock);
	if (queue != TCIFLUSH && queue != TCOFLUSH && queue != TCIOFLUSH)
		return -EINVAL;
	if (queue != TCOFLUSH)
		tty_flush_output(tty);
	if (queue != TCIFLUSH)
		ldisc_flush(tty);
	return 0;
}

static int bytes_to_read(struct tty *tty)
{
	SCOPED_LOCK(&tty->lock);
	return (int)ring_used(&tty->out);
}

static long master_ioctl(struct file *f, unsigned int cmd, uint64_t arg,
			 struct guest_access *caller)
{
	struct task *t = task_from_access(caller);
	struct tty *tty = tty_of(f);

	switch (cmd) {
	case TIOCGPTN:
		return put_int(t, arg, tty->index);
	case TIOCSPTLCK:
		return set_lock(tty, arg, t);
	case TIOCGPTLCK:
		return put_int(t, arg, tty->locked);
	case TIOCPKT:
		return set_packet(tty, arg, t);
	case TIOCGPKT:
		return put_int(t, arg, tty->packet);
	case TIOCSIG:
		return send_signal(tty, arg);
	case TIOCGPTPEER:
		return open_peer(f, arg, t);
	case FIONREAD:
		return put_int(t, arg, bytes_to_read(tty));
	case TIOCOUTQ:
		return put_int(t, arg, 0);
	case TCFLSH:
		return flush_swapped(tty, arg);
	}
	return tty_ioctl(tty, f, cmd, arg, t, true);
}

static int master_fsync(struct file *f, bool datasync)
{
	return -EINVAL;
}

static void master_release(struct file *f)
{
	struct tty *tty = tty_of(f);

	devpts_remove(tty);
	mutex_lock(&tty->lock);
	tty_hangup_locked(tty);
	mutex_unlock(&tty->lock);
	file_fini(f);
	free(container_of(f, struct master, file));
	tty_put(tty);
}

static const struct file_ops master_ops = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .fsync = master_fsync,
    .release = master_release,
};

int pty_open_master(struct devpts *d, struct inode *inode, const struct path *path,
		    const struct cred *cred, int flags, struct file **out)
{
	struct pty *p = charged_alloc(sizeof(*p));
	struct master *m;
	int err;

	if (!p)
		return -ENOMEM;
	tty_setup(&p->tty, &pty_ops, NULL);
	waitq_init(&p->master_wq);
	p->tty.master_wq = &p->master_wq;
	p->tty.locked = true;
	err = devpts_add(d, &p->tty, cred);
	if (err) {
		tty_put(&p->tty);
		return err;
	}
	m = NEW(struct master);
	file_init(&m->file, &master_ops, inode, path, cred, flags);
	m->file.wq = &p->master_wq;
	m->file.caps = FILE_STREAM_CHUNKS;
	m->tty = &p->tty;
	*out = &m->file;
	return 0;
}
