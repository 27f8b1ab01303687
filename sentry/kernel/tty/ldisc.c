/*
 * The line discipline's way in: what N_TTY does with each character (termios(3)).
 * ldisc_edit.c has the editing of lines, ldisc_read.c the reader's side.
 *
 * A canonical line that is longer than the buffer loses its end, but never its
 * newline: one place is always left for it. While a complete line waits to be
 * read, a full buffer pushes back instead.
 */
#include <ctype.h>
#include <signal.h>

#include "common/host.h"
#include "sentry/kernel/tty/internal.h"

#define ALMOST_FULL (LINE_MAX_BYTES - 128)

void ldisc_init(struct ldisc *l)
{
	*l = (struct ldisc){0};
}

unsigned char ldisc_at(const struct ldisc *l, uint32_t i)
{
	return l->buf[i % LINE_MAX_BYTES];
}

static uint32_t used(const struct ldisc *l)
{
	return l->head - l->tail;
}

static void set_end(struct ldisc *l, uint32_t i, bool end)
{
	uint8_t bit = (uint8_t)(1U << (i % 8));
	uint8_t *byte = &l->ends[i % LINE_MAX_BYTES / 8];

	*byte = end ? *byte | bit : *byte & (uint8_t)~bit;
}

/* A line without end fills the buffer: its further characters are dropped. */
static bool overlong(struct tty *tty)
{
	return L_FLAG(tty, ICANON) && tty->ldisc.canon_head == tty->ldisc.tail;
}

bool ldisc_has_room(struct tty *tty)
{
	return used(&tty->ldisc) < LINE_MAX_BYTES - 1 || overlong(tty);
}

static void wake_reader(struct tty *tty)
{
	tty_wake_locked(tty, POLLIN | POLLRDNORM);
}

static void put(struct tty *tty, unsigned char c, bool end)
{
	struct ldisc *l = &tty->ldisc;

	if (used(l) >= LINE_MAX_BYTES - (end ? 0 : 1))
		return;
	l->buf[l->head % LINE_MAX_BYTES] = c;
	set_end(l, l->head, end);
	l->head++;
}

static void end_line(struct tty *tty, unsigned char c)
{
	put(tty, c, true);
	tty->ldisc.canon_head = tty->ldisc.head;
	wake_reader(tty);
}

/* --- signals, flow control ------------------------------------------------------------ */

static void signal_char(struct tty *tty, unsigned char c, int sig)
{
	tty_signal(tty, sig);
	if (!L_FLAG(tty, NOFLSH)) {
		tty_flush_output(tty);
		ldisc_flush(tty);
	}
	if (I_FLAG(tty, IXON))
		tty_start(tty);
	if (L_FLAG(tty, ECHO))
		echo_char(tty, c);
}

static bool is_signal_char(struct tty *tty, unsigned char c, int *sig)
{
	if (!L_FLAG(tty, ISIG))
		return false;
	if (is_cc(tty, c, VINTR))
		*sig = SIGINT;
	else if (is_cc(tty, c, VQUIT))
		*sig = SIGQUIT;
	else if (is_cc(tty, c, VSUSP))
		*sig = SIGTSTP;
	else
		return false;
	return true;
}

static bool flow_char(struct tty *tty, unsigned char c)
{
	if (!I_FLAG(tty, IXON))
		return false;
	if (is_cc(tty, c, VSTART))
		tty_start(tty);
	else if (is_cc(tty, c, VSTOP))
		tty_stop(tty);
	else
		return false;
	return true;
}

/* --- canonical mode ------------------------------------------------------------------- */

static void note_line_start(struct tty *tty)
{
	if (tty->ldisc.head == tty->ldisc.canon_head)
		tty->ldisc.canon_column = tty->ldisc.column;
}

static void literal_next(struct tty *tty)
{
	tty->ldisc.lnext = true;
	if (!L_FLAG(tty, ECHO))
		return;
	ldisc_end_erasing(tty);
	if (L_FLAG(tty, ECHOCTL))
		echo_raw(tty, "^\b", 2);
}

static bool is_eol(struct tty *tty, unsigned char c)
{
	return is_cc(tty, c, VEOL) || (is_cc(tty, c, VEOL2) && L_FLAG(tty, IEXTEN));
}

/* True if c was an editing or line-ending character. */
static bool canonical_char(struct tty *tty, unsigned char c)
{
	bool extended = L_FLAG(tty, IEXTEN);

	if (is_cc(tty, c, VERASE) || is_cc(tty, c, VKILL) || (is_cc(tty, c, VWERASE) && extended)) {
		ldisc_erase(tty, c);
	} else if (is_cc(tty, c, VLNEXT) && extended) {
		literal_next(tty);
	} else if (is_cc(tty, c, VREPRINT) && extended && L_FLAG(tty, ECHO)) {
		ldisc_reprint(tty, c);
	} else if (c == '\n') {
		if (L_FLAG(tty, ECHO) || L_FLAG(tty, ECHONL))
			echo_out(tty, '\n');
		end_line(tty, c);
	} else if (is_cc(tty, c, VEOF)) {
		end_line(tty, NO_CHAR);
	} else if (is_eol(tty, c)) {
		if (L_FLAG(tty, ECHO)) {
			note_line_start(tty);
			echo_char(tty, c);
		}
		end_line(tty, c);
	} else {
		return false;
	}
	return true;
}

/* --- one character ---------------------------------------------------------------------- */

static void ordinary(struct tty *tty, unsigned char c)
{
	struct ldisc *l = &tty->ldisc;
	bool full = used(l) >= LINE_MAX_BYTES - 1;

	if (full) {
		if (I_FLAG(tty, IMAXBEL))
			echo_out(tty, '\a');
		return;
	}
	if (L_FLAG(tty, ECHO)) {
		ldisc_end_erasing(tty);
		note_line_start(tty);
		echo_char(tty, c);
	}
	if (I_FLAG(tty, PARMRK) && c == 0xff)
		put(tty, c, false);
	put(tty, c, false);
	if (!L_FLAG(tty, ICANON))
		wake_reader(tty);
}

/* ISTRIP, IUCLC, IGNCR, ICRNL, INLCR: false: the character is dropped. */
static bool translate(struct tty *tty, unsigned char *c)
{
	if (*c == '\r') {
		if (I_FLAG(tty, IGNCR))
			return false;
		if (I_FLAG(tty, ICRNL))
			*c = '\n';
	} else if (*c == '\n' && I_FLAG(tty, INLCR)) {
		*c = '\r';
	}
	return true;
}

static void receive(struct tty *tty, unsigned char c)
{
	int sig;

	if (I_FLAG(tty, ISTRIP))
		c &= 0x7f;
	if (I_FLAG(tty, IUCLC) && L_FLAG(tty, IEXTEN))
		c = (unsigned char)tolower(c);
	if (tty->ldisc.lnext) {
		tty->ldisc.lnext = false;
		ordinary(tty, c);
		return;
	}
	if (L_FLAG(tty, EXTPROC)) { /* somebody else edits and echoes */
		put(tty, c, false);
		wake_reader(tty);
		return;
	}
	if (flow_char(tty, c))
		return;
	if (is_signal_char(tty, c, &sig)) {
		signal_char(tty, c, sig);
		return;
	}
	if (I_FLAG(tty, IXON) && I_FLAG(tty, IXANY))
		tty_start(tty);
	if (!translate(tty, &c))
		return;
	if (!L_FLAG(tty, ICANON) || !canonical_char(tty, c))
		ordinary(tty, c);
}

/* IXOFF: asks the far end to pause. */
static void ask_to_pause(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;

	if (!I_FLAG(tty, IXOFF) || l->told_to_stop || used(l) < ALMOST_FULL)
		return;
	l->told_to_stop = true;
	echo_raw(tty, &CC(tty, VSTOP), 1);
}

size_t ldisc_input(struct tty *tty, const unsigned char *buf, size_t n)
{
	size_t done = 0;

	tty->ldisc.last_input = host_monotonic_ns();
	for (; done < n && ldisc_has_room(tty); done++)
		receive(tty, buf[done]);
	ask_to_pause(tty);
	echo_pending(tty);
	return done;
}

void ldisc_flush(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;

	l->tail = l->canon_head = l->head;
	l->lnext = l->erasing = false;
	packet_note_locked(tty, TIOCPKT_FLUSHREAD, 0);
	tty->ops->input_room(tty);
}

/* Into canonical mode: what is there counts as one line. Out of it: all of it is readable. */
void ldisc_termios_changed(struct tty *tty, const struct termios2 *old)
{
	struct ldisc *l = &tty->ldisc;
	bool toggled = (old->c_lflag ^ tty->termios.c_lflag) & (ICANON | EXTPROC);

	if (toggled) {
		memset(l->ends, 0, sizeof(l->ends));
		l->canon_head = l->tail;
		if (L_FLAG(tty, ICANON) && used(l) > 0) {
			set_end(l, l->head - 1, true);
			l->canon_head = l->head;
		}
		l->lnext = l->erasing = false;
	}
	if ((old->c_iflag & IXON) && !I_FLAG(tty, IXON))
		tty_start(tty);
	if (toggled)
		wake_reader(tty);
}
