/*
 * The reader's side of the line discipline: lines in canonical mode, VMIN and
 * VTIME else. A read that must wait gets -EAGAIN; where VTIME bounds the wait, the
 * terminal's timer wakes the reader, who then finds the deadline passed.
 */
#include <errno.h>

#include "common/host.h"
#include "sentry/kernel/tty/internal.h"

#define VTIME_UNIT (NSEC_PER_SEC / 10)
#define STALE (NSEC_PER_SEC / 5) /* a deadline that an interrupted read left behind */
#define ALMOST_EMPTY 128U

static uint32_t used(const struct ldisc *l)
{
	return l->head - l->tail;
}

static bool is_end(const struct ldisc *l, uint32_t i)
{
	return l->ends[i % LINE_MAX_BYTES / 8] >> (i % 8) & 1;
}

static bool by_lines(struct tty *tty)
{
	return L_FLAG(tty, ICANON) && !L_FLAG(tty, EXTPROC);
}

bool ldisc_readable(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;
	uint32_t least = !CC(tty, VTIME) && CC(tty, VMIN) ? CC(tty, VMIN) : 1;

	if (by_lines(tty))
		return l->canon_head != l->tail;
	return used(l) >= least;
}

size_t ldisc_available(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;
	size_t n = 0;

	if (!by_lines(tty))
		return used(l);
	for (uint32_t i = l->tail; i != l->canon_head; i++)
		n += !(is_end(l, i) && ldisc_at(l, i) == NO_CHAR);
	return n;
}

/* One line, or the first n bytes of it. The mark of VEOF goes with what it follows. */
static size_t take_line(struct ldisc *l, unsigned char *buf, size_t n)
{
	size_t done = 0;

	while (l->tail != l->canon_head) {
		unsigned char c = ldisc_at(l, l->tail);
		bool end = is_end(l, l->tail);

		if (end && c == NO_CHAR) {
			l->tail++;
			break;
		}
		if (done == n)
			break;
		buf[done++] = c;
		l->tail++;
		if (end)
			break;
	}
	return done;
}

static size_t take_bytes(struct ldisc *l, unsigned char *buf, size_t n)
{
	n = min(n, (size_t)used(l));
	for (size_t i = 0; i < n; i++)
		buf[i] = ldisc_at(l, l->tail++);
	l->canon_head = l->tail;
	return n;
}

/* True when the wait that ends at *deadline is over; else the timer will wake the reader. */
static bool expired(struct tty *tty, uint64_t deadline)
{
	if (host_monotonic_ns() >= deadline)
		return true;
	ktimer_arm(&tty->timer, deadline);
	return false;
}

/* VMIN is not reached. 0: what is there is to be returned, -EAGAIN: wait. */
static int wait_more(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;
	uint64_t time = CC(tty, VTIME) * VTIME_UNIT, now = host_monotonic_ns();

	if (CC(tty, VMIN) > 0) {
		if (!time || used(l) == 0)
			return -EAGAIN;
		return expired(tty, l->last_input + time) ? 0 : -EAGAIN;
	}
	if (!time)
		return 0;
	if (l->read_deadline == 0 || now > l->read_deadline + STALE)
		l->read_deadline = now + time;
	return expired(tty, l->read_deadline) ? 0 : -EAGAIN;
}

static ssize_t read_bytes(struct tty *tty, void *buf, size_t n, bool nonblock)
{
	struct ldisc *l = &tty->ldisc;
	size_t least = min((size_t)max(CC(tty, VMIN), 1), n);
	int err;

	if (used(l) < least && !(nonblock && used(l) > 0)) {
		err = nonblock && (CC(tty, VMIN) || CC(tty, VTIME)) ? -EAGAIN : wait_more(tty);
		if (err)
			return err;
	}
	l->read_deadline = 0;
	return (ssize_t)take_bytes(l, buf, n);
}

static void made_room(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;

	if (l->told_to_stop && used(l) <= ALMOST_EMPTY) {
		l->told_to_stop = false;
		if (I_FLAG(tty, IXOFF))
			echo_raw(tty, &CC(tty, VSTART), 1);
		echo_pending(tty);
	}
	tty->ops->input_room(tty);
}

ssize_t ldisc_read(struct tty *tty, void *buf, size_t n, bool nonblock)
{
	struct ldisc *l = &tty->ldisc;
	ssize_t done;

	if (by_lines(tty))
		done = l->tail == l->canon_head ? -EAGAIN : (ssize_t)take_line(l, buf, n);
	else
		done = read_bytes(tty, buf, n, nonblock);
	if (done >= 0)
		made_room(tty);
	return done;
}
