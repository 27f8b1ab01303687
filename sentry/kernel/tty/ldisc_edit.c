/* Editing of the line that is being typed: erase, word erase, kill, reprint, and their echo. */
#include <ctype.h>

#include "sentry/kernel/tty/internal.h"

void ldisc_end_erasing(struct tty *tty)
{
	if (!tty->ldisc.erasing)
		return;
	echo_out(tty, '/');
	tty->ldisc.erasing = false;
}

static void rub_out(struct tty *tty)
{
	echo_out(tty, '\b');
	echo_out(tty, ' ');
	echo_out(tty, '\b');
}

/* A tab went: back to where the column was before it. That follows from the characters since
 * the previous tab or the line's start. */
static void rub_out_tab(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;
	unsigned int columns = 0, back;
	bool after_tab = false;

	for (uint32_t i = l->head; i != l->canon_head && !after_tab;) {
		unsigned char c = ldisc_at(l, --i);

		if (c == '\t')
			after_tab = true;
		else if (is_control(c))
			columns += L_FLAG(tty, ECHOCTL) ? 2 : 0;
		else if (!tty_utf8_tail(tty, c))
			columns++;
	}
	if (!after_tab)
		columns += l->canon_column;
	back = 8 - (columns & 7);
	while (back-- > 0)
		echo_out(tty, '\b');
}

/* ECHOPRT: a printing terminal shows what was erased between \ and /. */
static void print_erased(struct tty *tty, uint32_t from, uint32_t to)
{
	struct ldisc *l = &tty->ldisc;

	if (!l->erasing) {
		echo_out(tty, '\\');
		l->erasing = true;
	}
	echo_char(tty, ldisc_at(l, from));
	for (uint32_t i = from + 1; i != to; i++)
		echo_raw(tty, (unsigned char[]){ldisc_at(l, i)}, 1);
}

/* Shows that the character c, which lay from `from` to `to`, is gone. */
static void show_erased(struct tty *tty, unsigned char c, uint32_t from, uint32_t to, bool one)
{
	if (!L_FLAG(tty, ECHO))
		return;
	if (L_FLAG(tty, ECHOPRT)) {
		print_erased(tty, from, to);
	} else if (one && !L_FLAG(tty, ECHOE)) {
		echo_char(tty, CC(tty, VERASE));
	} else if (c == '\t') {
		rub_out_tab(tty);
	} else {
		if (is_control(c) && L_FLAG(tty, ECHOCTL))
			rub_out(tty);
		if (!is_control(c) || L_FLAG(tty, ECHOCTL))
			rub_out(tty);
	}
}

/* VKILL where the terminal cannot show it by rubbing out. True: done. */
static bool kill_line(struct tty *tty)
{
	struct ldisc *l = &tty->ldisc;

	if (L_FLAG(tty, ECHO) && L_FLAG(tty, ECHOK) && L_FLAG(tty, ECHOKE) && L_FLAG(tty, ECHOE))
		return false;
	l->head = l->canon_head;
	if (!L_FLAG(tty, ECHO))
		return true;
	ldisc_end_erasing(tty);
	echo_char(tty, CC(tty, VKILL));
	if (L_FLAG(tty, ECHOK))
		echo_out(tty, '\n');
	return true;
}

/* Where the last character of the line starts; false: its first bytes are not there. */
static bool last_char(struct tty *tty, uint32_t *from)
{
	struct ldisc *l = &tty->ldisc;
	uint32_t i = l->head;

	do {
		i--;
	} while (tty_utf8_tail(tty, ldisc_at(l, i)) && i != l->canon_head);
	*from = i;
	return !tty_utf8_tail(tty, ldisc_at(l, i));
}

void ldisc_erase(struct tty *tty, unsigned char c)
{
	struct ldisc *l = &tty->ldisc;
	bool one = is_cc(tty, c, VERASE), word = !one && is_cc(tty, c, VWERASE), seen = false;
	uint32_t from, to;

	if (l->head == l->canon_head)
		return;
	if (!one && !word && kill_line(tty))
		return;
	while (l->head != l->canon_head && last_char(tty, &from)) {
		unsigned char first = ldisc_at(l, from);
		bool in_word = isalnum(first) || first == '_' || first >= 0xc0;

		if (word && !in_word && seen)
			break;
		seen |= in_word;
		to = l->head;
		l->head = from;
		show_erased(tty, first, from, to, one);
		if (one)
			break;
	}
	if (l->head == l->canon_head && L_FLAG(tty, ECHO))
		ldisc_end_erasing(tty);
}

void ldisc_reprint(struct tty *tty, unsigned char c)
{
	struct ldisc *l = &tty->ldisc;

	ldisc_end_erasing(tty);
	echo_char(tty, c);
	echo_out(tty, '\n');
	for (uint32_t i = l->canon_head; i != l->head; i++)
		echo_char(tty, ldisc_at(l, i));
}
