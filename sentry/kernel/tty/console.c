/*
 * A container's console: a terminal whose far end is a host fd, the slave side
 * of a host pty in raw mode. Input is pumped by the host poll thread until the
 * line discipline is full, and again when a reader has made room; output goes
 * out at once, and what the host does not take waits in the ring for POLLOUT.
 * Both happen under the terminal's lock: the fd is non-blocking.
 */
#include <errno.h>

#include "common/host_stdio.h"
#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/tty/internal.h"

#define PIECE 1024

struct console {
	struct tty tty;
	int fd; /* immutable; owned */
	struct hostpoll poll;
	struct list node; /* consoles_lock */

	/* tty.lock */
	bool pumping, flushing;
	unsigned char piece[PIECE]; /* read from the host, not yet taken by the line discipline */
	size_t piece_at, piece_len;
};

static struct list consoles = LIST_INIT(consoles);
static struct mutex consoles_lock = MUTEX_INIT(RANK_LEAF);

static struct console *console_of_tty(struct tty *tty)
{
	return container_of(tty, struct console, tty);
}

/* False: nothing more to come now. */
static bool next_piece(struct console *c)
{
	ssize_t n = host_read(c->fd, c->piece, sizeof(c->piece));

	if (n == -EAGAIN || n == -EINTR)
		return false;
	if (n <= 0) {
		tty_hangup_locked(&c->tty);
		return false;
	}
	c->piece_at = 0;
	c->piece_len = (size_t)n;
	return true;
}

/* The line discipline calls input_room when a signal character flushes it: not again then. */
static void pump(struct console *c)
{
	if (c->pumping)
		return;
	c->pumping = true;
	while (!c->tty.hung_up && ldisc_has_room(&c->tty)) {
		if (c->piece_at == c->piece_len && !next_piece(c))
			break;
		c->piece_at +=
		    ldisc_input(&c->tty, c->piece + c->piece_at, c->piece_len - c->piece_at);
	}
	c->pumping = false;
}

static void flush(struct console *c)
{
	struct ring *out = &c->tty.out;
	const unsigned char *at;
	bool moved = false;

	if (c->flushing)
		return;
	c->flushing = true;
	while (ring_used(out) > 0) {
		size_t front = ring_front(out, &at);
		ssize_t n = host_write(c->fd, at, front);

		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n <= 0) {
			ring_clear(out); /* nobody is there; reading tells when it is for good */
			break;
		}
		out->tail += (uint32_t)n;
		moved = true;
		echo_pending(&c->tty);
	}
	c->flushing = false;
	if (moved && tty_output_room(&c->tty))
		tty_wake_locked(&c->tty, POLLOUT | POLLWRNORM);
}

static void console_ready(struct hostpoll *p, uint32_t events)
{
	struct console *c = container_of(p, struct console, poll);

	SCOPED_SLEEPER_HOLD;
	SCOPED_LOCK(&c->tty.lock);
	flush(c);
	pump(c);
}

static void console_output(struct tty *tty)
{
	flush(console_of_tty(tty));
}

static void console_input_room(struct tty *tty)
{
	pump(console_of_tty(tty));
}

static void console_release(struct tty *tty)
{
	struct console *c = console_of_tty(tty);

	mutex_lock(&consoles_lock);
	list_del(&c->node);
	mutex_unlock(&consoles_lock);
	hostpoll_del(&c->poll);
	if (c->fd >= 0)
		host_close(c->fd);
	devpts_remove(tty);
	if (tty->inode)
		inode_put(tty->inode);
	tty_teardown(tty);
	free(c);
}

static const struct tty_ops console_ops = {
    .output = console_output,
    .input_room = console_input_room,
    .release = console_release,
};

int tty_new_host(struct container *container, int fd, struct tty **out)
{
	struct console *c = NEW(struct console);
	int err;

	err = host_set_nonblock(fd);
	if (err) {
		free(c);
		return err;
	}
	tty_setup(&c->tty, &console_ops, container);
	c->fd = fd;
	list_init(&c->node);
	host_get_winsize(fd, &c->tty.winsize);
	c->poll = (struct hostpoll){.fd = fd, .notify = console_ready};
	mutex_lock(&consoles_lock);
	list_add_tail(&consoles, &c->node);
	mutex_unlock(&consoles_lock);
	err = hostpoll_add(&c->poll);
	if (err) {
		c->fd = -1; /* stays the caller's */
		tty_put(&c->tty);
		return err;
	}
	*out = &c->tty;
	return 0;
}

/* Gives it a name at its first opening, when the container has its mounts. */
static void name_it(struct tty *tty, const struct cred *cred, struct path *pts)
{
	if (devpts_of_container(tty->container, pts))
		*pts = (struct path){0};
	else if (!tty->inode)
		(void)!devpts_add(devpts_of(path_inode(pts)->sb), tty, cred);
	if (tty->inode)
		return;
	tty->inode = anon_inode_new("console", S_IFCHR);
	tty->inode->rdev = tty_dev(tty);
}

int tty_open_file(struct tty *tty, const struct cred *cred, int flags, struct file **out)
{
	struct path pts;
	int err;

	name_it(tty, cred, &pts);
	err = devpts_open_tty(tty, pts.mnt, cred, flags | O_NOCTTY, out);
	path_put(&pts);
	return err;
}

void tty_resize(struct tty *tty, unsigned short rows, unsigned short cols)
{
	struct winsize ws;

	SCOPED_LOCK(&tty->lock);
	ws = tty->winsize;
	ws.ws_row = rows;
	ws.ws_col = cols;
	tty_set_winsize_locked(tty, &ws);
}

struct tty *console_of(struct container *container)
{
	struct console *c;

	SCOPED_LOCK(&consoles_lock);
	list_for_each (c, &consoles, node) {
		if (c->tty.container == container && ref_get_unless_zero(&c->tty.ref))
			return &c->tty;
	}
	return NULL;
}

/* --- /dev/console, /dev/tty ------------------------------------------------------------------ */

static int open_console(struct inode *inode, const struct path *path, const struct cred *cred,
			int flags, struct file **out)
{
	struct task *t = task_current();
	struct tty *tty = t ? console_of(t->container) : NULL;
	int err;

	if (!tty)
		return -ENODEV;
	err = tty_file_new(tty, inode, path, cred, flags | O_NOCTTY, out);
	tty_put(tty);
	return err;
}

static int open_tty(struct inode *inode, const struct path *path, const struct cred *cred,
		    int flags, struct file **out)
{
	struct task *t = task_current();
	struct tty *tty = t ? task_tty(t, tty_get) : NULL;
	int err;

	if (!tty)
		return -ENXIO;
	err = tty_file_new(tty, inode, path, cred, flags | O_NOCTTY, out);
	tty_put(tty);
	return err;
}

static const struct device_ops console_device = {.open = open_console};
static const struct device_ops tty_device = {.open = open_tty};

void tty_init(void)
{
	device_register(false, TTY_AUX_MAJOR, 0, 1, &tty_device);
	device_register(false, TTY_AUX_MAJOR, 1, 1, &console_device);
	devpts_register();
}
