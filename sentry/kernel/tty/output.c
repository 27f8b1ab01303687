/*
 * The way out: OPOST processing with the column kept for tabs, echo, and flow
 * control. Everything ends in the ring `out`, from where the driver takes it.
 */
#include <ctype.h>

#include "sentry/kernel/tty/internal.h"

#define TAB_WIDTH 8

/* What one character becomes: at most a tab's width. */
struct expansion {
	unsigned char bytes[TAB_WIDTH];
	size_t n;
};

bool tty_utf8_tail(const struct tty *tty, unsigned char c)
{
	return I_FLAG(tty, IUTF8) && (c & 0xc0) == 0x80;
}

bool tty_output_room(struct tty *tty)
{
	return !tty->stopped && ring_room(&tty->out) > TAB_WIDTH;
}

static void newline(struct tty *tty, struct expansion *e)
{
	struct ldisc *l = &tty->ldisc;

	if (O_FLAG(tty, ONLRET))
		l->column = 0;
	if (O_FLAG(tty, ONLCR)) {
		l->column = 0;
		e->bytes[0] = '\r';
		e->bytes[1] = '\n';
		e->n = 2;
	}
	l->canon_column = l->column;
}

static void carriage_return(struct tty *tty, struct expansion *e)
{
	struct ldisc *l = &tty->ldisc;

	if (O_FLAG(tty, ONOCR) && l->column == 0) {
		e->n = 0;
		return;
	}
	if (O_FLAG(tty, OCRNL)) {
		e->bytes[0] = '\n';
		if (O_FLAG(tty, ONLRET))
			l->canon_column = l->column = 0;
		return;
	}
	l->canon_column = l->column = 0;
}

static void tab(struct tty *tty, struct expansion *e)
{
	struct ldisc *l = &tty->ldisc;
	unsigned int spaces = TAB_WIDTH - l->column % TAB_WIDTH;

	l->column += spaces;
	if ((tty->termios.c_oflag & TABDLY) != XTABS)
		return;
	memset(e->bytes, ' ', spaces);
	e->n = spaces;
}

static void printable(struct tty *tty, unsigned char c, struct expansion *e)
{
	if (is_control(c))
		return;
	if (O_FLAG(tty, OLCUC))
		e->bytes[0] = (unsigned char)toupper(c);
	if (!tty_utf8_tail(tty, c))
		tty->ldisc.column++;
}

static struct expansion post_process(struct tty *tty, unsigned char c)
{
	struct expansion e = {.bytes = {c}, .n = 1};

	switch (c) {
	case '\n':
		newline(tty, &e);
		break;
	case '\r':
		carriage_return(tty, &e);
		break;
	case '\t':
		tab(tty, &e);
		break;
	case '\b':
		if (tty->ldisc.column > 0)
			tty->ldisc.column--;
		break;
	default:
		printable(tty, c, &e);
	}
	return e;
}

size_t tty_output(struct tty *tty, const unsigned char *buf, size_t n)
{
	size_t done = 0;

	echo_pending(tty);
	if (tty->stopped)
		return 0;
	if (!O_FLAG(tty, OPOST)) {
		done = ring_put(&tty->out, buf, n);
	} else {
		for (; done < n && ring_room(&tty->out) >= TAB_WIDTH; done++) {
			struct expansion e = post_process(tty, buf[done]);

			ring_put(&tty->out, e.bytes, e.n);
		}
	}
	if (done > 0)
		tty->ops->output(tty);
	return done;
}

/* --- echo ------------------------------------------------------------------------- */

/*
 * Echo is collected while a piece of input is taken in, and goes out behind it: a
 * signal character drops the echo of what was typed with it, and the columns
 * that this echo would have filled. What does not fit is lost.
 */
static void echo_begin(struct ldisc *l)
{
	if (l->echo_used > 0)
		return;
	l->column_before_echo = l->column;
	l->canon_column_before_echo = l->canon_column;
}

static void echo_put(struct ldisc *l, const void *bytes, size_t n)
{
	n = min(n, (size_t)(ECHO_MAX - l->echo_used));
	memcpy(l->echo + l->echo_used, bytes, n);
	l->echo_used += (uint32_t)n;
}

static void echo_drop(struct ldisc *l)
{
	if (l->echo_used == 0)
		return;
	l->echo_used = 0;
	l->column = l->column_before_echo;
	l->canon_column = l->canon_column_before_echo;
}

void echo_raw(struct tty *tty, const void *bytes, size_t n)
{
	echo_begin(&tty->ldisc);
	echo_put(&tty->ldisc, bytes, n);
}

void echo_pending(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;
	size_t n;

	if (tty->stopped || l->echo_used == 0)
		return;
	n = ring_put(&tty->out, l->echo, l->echo_used);
	memmove(l->echo, l->echo + n, l->echo_used - n);
	l->echo_used -= (uint32_t)n;
	if (n > 0)
		tty->ops->output(tty);
}

void echo_out(struct tty *tty, unsigned char c)
{
	struct expansion e = {.bytes = {c}, .n = 1};

	echo_begin(&tty->ldisc);
	if (O_FLAG(tty, OPOST))
		e = post_process(tty, c);
	echo_put(&tty->ldisc, e.bytes, e.n);
}

void echo_char(struct tty *tty, unsigned char c)
{
	unsigned char visible[2] = {'^', c ^ 0100};

	if (!L_FLAG(tty, ECHOCTL) || !is_control(c) || c == '\t') {
		echo_out(tty, c);
		return;
	}
	echo_raw(tty, visible, sizeof(visible));
	tty->ldisc.column += 2;
}

/* --- flow control ------------------------------------------------------------------- */

void tty_stop(struct tty *tty)
{
	if (tty->stopped)
		return;
	tty->stopped = true;
	packet_note_locked(tty, TIOCPKT_STOP, TIOCPKT_START);
}

void tty_start(struct tty *tty)
{
	if (!tty->stopped || tty->stopped_by_call)
		return;
	tty->stopped = false;
	packet_note_locked(tty, TIOCPKT_START, TIOCPKT_STOP);
	echo_pending(tty);
	tty->ops->output(tty);
	tty_wake_locked(tty, POLLOUT | POLLWRNORM);
}

/* As on Linux, what the far end's own buffer holds already cannot be called back. */
void tty_flush_output(struct tty *tty)
{
	tty->out.head = tty->out.tail + min(ring_used(&tty->out), LINE_MAX_BYTES - 1);
	echo_drop(&tty->ldisc);
	packet_note_locked(tty, TIOCPKT_FLUSHWRITE, 0);
	tty_wake_locked(tty, POLLOUT | POLLWRNORM);
}
