/* ioctl_tty(2), but for job control (jobctl.c) and what only a pty's master knows (pty.c). */
#include <asm/termbits.h>
#include <errno.h>
#include <linux/tty.h>
#include <signal.h>

#include "sentry/abi/restart.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tty/internal.h"
#include "sentry/kernel/usermem.h"

/* struct termios of the kernel: termios2 without the speeds. */
#define TERMIOS_SIZE 36
static_assert(sizeof(struct termios) == TERMIOS_SIZE, "struct termios");
static_assert(sizeof(struct termios2) == 44, "struct termios2");

/* struct termio, of System V */
struct ktermio {
	uint16_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[8];
};
static_assert(sizeof(struct ktermio) == 18, "struct termio");

/* --- attributes ------------------------------------------------------------------------- */

static const unsigned int speeds[] = {
    [B0] = 0,	    [B50] = 50,	    [B75] = 75,	      [B110] = 110,
    [B134] = 134,   [B150] = 150,   [B200] = 200,     [B300] = 300,
    [B600] = 600,   [B1200] = 1200, [B1800] = 1800,   [B2400] = 2400,
    [B4800] = 4800, [B9600] = 9600, [B19200] = 19200, [B38400] = 38400,
};
static const unsigned int high_speeds[] = {
    57600,   115200,  230400,  460800,	500000,	 576000,  921600,  1000000,
    1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000,
};

static unsigned int speed_of(unsigned int cflag, unsigned int other)
{
	unsigned int code = cflag & CBAUD;

	if (code == BOTHER)
		return other;
	if (code & CBAUDEX) {
		unsigned int i = (code & ~(unsigned int)CBAUDEX) - 1;

		return i < ARRAY_SIZE(high_speeds) ? high_speeds[i] : 0;
	}
	return code < ARRAY_SIZE(speeds) ? speeds[code] : 0;
}

static long get_termios(struct tty *tty, uint64_t arg, struct task *t, size_t size)
{
	struct termios2 copy;

	mutex_lock(&tty->lock);
	copy = tty->termios;
	mutex_unlock(&tty->lock);
	return copyout_late(t, UADDR(arg), &copy, size);
}

static void keep_pinned(struct termios2 *new, const struct termios2 *old,
			const struct termios2 *pinned)
{
	new->c_iflag ^= (new->c_iflag ^ old->c_iflag) & pinned->c_iflag;
	new->c_oflag ^= (new->c_oflag ^ old->c_oflag) & pinned->c_oflag;
	new->c_cflag ^= (new->c_cflag ^ old->c_cflag) & pinned->c_cflag;
	new->c_lflag ^= (new->c_lflag ^ old->c_lflag) & pinned->c_lflag;
	for (size_t i = 0; i < ARRAY_SIZE(new->c_cc); i++)
		if (pinned->c_cc[i])
			new->c_cc[i] = old->c_cc[i];
}

/* Under the lock. */
static void apply_termios(struct tty *tty, struct termios2 *new)
{
	struct termios2 old = tty->termios;

	keep_pinned(new, &old, &tty->pinned);
	if (tty->master_wq) {
		new->c_cflag &= ~(unsigned int)(CSIZE | PARENB);
		new->c_cflag |= CS8 | CREAD;
	}
	new->c_ospeed = speed_of(new->c_cflag, new->c_ospeed);
	new->c_ispeed = speed_of(new->c_cflag >> IBSHIFT, new->c_ispeed);
	if (((new->c_cflag >> IBSHIFT) & CBAUD) == B0)
		new->c_ispeed = new->c_ospeed;
	new->c_line = old.c_line;
	tty->termios = *new;
	ldisc_termios_changed(tty, &old);
	if (tty->packet && ((old.c_lflag ^ new->c_lflag) & EXTPROC))
		packet_note_locked(tty, TIOCPKT_IOCTL, 0);
	if (tty->packet) {
		bool was =
		    (old.c_iflag & IXON) && old.c_cc[VSTOP] == 023 && old.c_cc[VSTART] == 021;
		bool is =
		    (new->c_iflag &IXON) && new->c_cc[VSTOP] == 023 && new->c_cc[VSTART] == 021;

		if (was != is)
			packet_note_locked(tty, is ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP,
					   is ? TIOCPKT_NOSTOP : TIOCPKT_DOSTOP);
	}
}

/* When the change takes effect. Output of ours is never "under way", so draining it is what the
 * reader of the far end does in his own time. */
enum when { NOW, DRAINED, FLUSHED };

static long set_termios(struct tty *tty, uint64_t arg, struct task *t, size_t size, enum when when,
			bool from_master)
{
	struct termios2 new;
	int err;

	mutex_lock(&tty->lock);
	new = tty->termios;
	mutex_unlock(&tty->lock);
	err = copyin(t, &new, UADDR(arg), size);
	if (err)
		return err;
	SCOPED_LOCK(&tty->lock);
	if (!from_master)
		err = tty_check_change(tty, SIGTTOU);
	if (err)
		return err;
	if (when == FLUSHED)
		ldisc_flush(tty);
	apply_termios(tty, &new);
	return 0;
}

static long get_pinned(struct tty *tty, uint64_t arg, struct task *t)
{
	struct termios2 copy;

	mutex_lock(&tty->lock);
	copy = tty->pinned;
	mutex_unlock(&tty->lock);
	return copyout(t, UADDR(arg), &copy, TERMIOS_SIZE);
}

static long set_pinned(struct tty *tty, uint64_t arg, struct task *t)
{
	struct termios2 new = {0};
	int err;

	if (!cred_capable(t->cred, CAP_SYS_ADMIN) && !cred_capable(t->cred, CAP_CHECKPOINT_RESTORE))
		return -EPERM;
	err = copyin(t, &new, UADDR(arg), TERMIOS_SIZE);
	if (err)
		return err;
	SCOPED_LOCK(&tty->lock);
	tty->pinned = new;
	return 0;
}

static long get_termio(struct tty *tty, uint64_t arg, struct task *t)
{
	struct ktermio old = {0};

	mutex_lock(&tty->lock);
	old.iflag = (uint16_t)tty->termios.c_iflag;
	old.oflag = (uint16_t)tty->termios.c_oflag;
	old.cflag = (uint16_t)tty->termios.c_cflag;
	old.lflag = (uint16_t)tty->termios.c_lflag;
	old.line = tty->termios.c_line;
	memcpy(old.cc, tty->termios.c_cc, sizeof(old.cc));
	mutex_unlock(&tty->lock);
	return copyout(t, UADDR(arg), &old, sizeof(old));
}

static void merge_low(unsigned int *flags, uint16_t low)
{
	*flags = (*flags & 0xffff0000U) | low;
}

static long set_termio(struct tty *tty, uint64_t arg, struct task *t, enum when when)
{
	struct termios2 new;
	struct ktermio old;
	int err = copyin(t, &old, UADDR(arg), sizeof(old));

	if (err)
		return err;
	SCOPED_LOCK(&tty->lock);
	err = tty_check_change(tty, SIGTTOU);
	if (err)
		return err;
	new = tty->termios;
	merge_low(&new.c_iflag, old.iflag);
	merge_low(&new.c_oflag, old.oflag);
	merge_low(&new.c_cflag, old.cflag);
	merge_low(&new.c_lflag, old.lflag);
	memcpy(new.c_cc, old.cc, sizeof(old.cc));
	if (when == FLUSHED)
		ldisc_flush(tty);
	apply_termios(tty, &new);
	return 0;
}

static long ioctl_termios(struct tty *tty, unsigned int cmd, uint64_t arg, struct task *t,
			  bool from_master)
{
	size_t both = sizeof(struct termios2);

	switch (cmd) {
	case TCGETS:
		return get_termios(tty, arg, t, TERMIOS_SIZE);
	case TCGETS2:
		return get_termios(tty, arg, t, both);
	case TCSETS:
		return set_termios(tty, arg, t, TERMIOS_SIZE, NOW, from_master);
	case TCSETSW:
		return set_termios(tty, arg, t, TERMIOS_SIZE, DRAINED, from_master);
	case TCSETSF:
		return set_termios(tty, arg, t, TERMIOS_SIZE, FLUSHED, from_master);
	case TCSETS2:
		return set_termios(tty, arg, t, both, NOW, from_master);
	case TCSETSW2:
		return set_termios(tty, arg, t, both, DRAINED, from_master);
	case TCSETSF2:
		return set_termios(tty, arg, t, both, FLUSHED, from_master);
	case TIOCGLCKTRMIOS:
		return get_pinned(tty, arg, t);
	case TIOCSLCKTRMIOS:
		return set_pinned(tty, arg, t);
	case TCGETA:
		return get_termio(tty, arg, t);
	case TCSETA:
		return set_termio(tty, arg, t, NOW);
	case TCSETAW:
		return set_termio(tty, arg, t, DRAINED);
	case TCSETAF:
		return set_termio(tty, arg, t, FLUSHED);
	}
	return -ENOIOCTLCMD;
}

/* --- window, queues, flow ------------------------------------------------------------------ */

void tty_set_winsize_locked(struct tty *tty, const struct winsize *ws)
{
	if (memcmp(&tty->winsize, ws, sizeof(*ws)) == 0)
		return;
	tty->winsize = *ws;
	tty_signal(tty, SIGWINCH);
}

static long get_winsize(struct tty *tty, uint64_t arg, struct task *t)
{
	struct winsize ws;

	mutex_lock(&tty->lock);
	ws = tty->winsize;
	mutex_unlock(&tty->lock);
	return copyout_late(t, UADDR(arg), &ws, sizeof(ws));
}

static long set_winsize(struct tty *tty, uint64_t arg, struct task *t)
{
	struct winsize ws;
	int err = copyin(t, &ws, UADDR(arg), sizeof(ws));

	if (err)
		return err;
	SCOPED_LOCK(&tty->lock);
	tty_set_winsize_locked(tty, &ws);
	return 0;
}

static long put_int(struct task *t, uint64_t arg, int value)
{
	return copyout(t, UADDR(arg), &value, sizeof(value));
}

static int input_bytes(struct tty *tty)
{
	SCOPED_LOCK(&tty->lock);
	return (int)ldisc_available(tty);
}

/* What a pty's slave wrote counts as sent. */
static int output_bytes(struct tty *tty)
{
	SCOPED_LOCK(&tty->lock);
	return tty->master_wq ? 0 : (int)ring_used(&tty->out);
}

static long flush(struct tty *tty, uint64_t queue)
{
	int err;

	SCOPED_LOCK(&tty->lock);
	err = tty_check_change(tty, SIGTTOU);
	if (err)
		return err;
	if (queue != TCIFLUSH && queue != TCOFLUSH && queue != TCIOFLUSH)
		return -EINVAL;
	if (queue != TCOFLUSH)
		ldisc_flush(tty);
	if (queue != TCIFLUSH)
		tty_flush_output(tty);
	return 0;
}

static long flow(struct tty *tty, uint64_t action)
{
	int err;

	SCOPED_LOCK(&tty->lock);
	err = tty_check_change(tty, SIGTTOU);
	if (err)
		return err;
	switch (action) {
	case TCOOFF:
		tty_stop(tty);
		tty->stopped_by_call = true;
		return 0;
	case TCOON:
		tty->stopped_by_call = false;
		tty_start(tty);
		return 0;
	case TCIOFF:
		echo_raw(tty, &CC(tty, VSTOP), CC(tty, VSTOP) != NO_CHAR);
		echo_pending(tty);
		return 0;
	case TCION:
		echo_raw(tty, &CC(tty, VSTART), CC(tty, VSTART) != NO_CHAR);
		echo_pending(tty);
		return 0;
	}
	return -EINVAL;
}

static long check_change(struct tty *tty)
{
	SCOPED_LOCK(&tty->lock);
	return tty_check_change(tty, SIGTTOU);
}

static long set_exclusive(struct tty *tty, bool on)
{
	SCOPED_LOCK(&tty->lock);
	tty->exclusive = on;
	return 0;
}

/* Typing for others is only for those who own the machine (sysctl dev.tty.legacy_tiocsti=0). */
static long simulate_input(struct tty *tty, uint64_t arg, struct task *t)
{
	unsigned char c;
	int err;

	if (!cred_capable(t->cred, CAP_SYS_ADMIN))
		return -EIO;
	err = copyin(t, &c, UADDR(arg), sizeof(c));
	if (err)
		return err;
	SCOPED_LOCK(&tty->lock);
	ldisc_input(tty, &c, 1);
	return 0;
}

static long set_line_discipline(struct task *t, uint64_t arg)
{
	int which, err = copyin(t, &which, UADDR(arg), sizeof(which));

	if (err)
		return err;
	return which == N_TTY ? 0 : -EINVAL;
}

/* CLOCAL */
static long set_software_carrier(struct tty *tty, uint64_t arg, struct task *t)
{
	int on, err = copyin(t, &on, UADDR(arg), sizeof(on));

	if (err)
		return err;
	SCOPED_LOCK(&tty->lock);
	if (on)
		tty->termios.c_cflag |= CLOCAL;
	else
		tty->termios.c_cflag &= ~(unsigned int)CLOCAL;
	return 0;
}

static long ioctl_state(struct tty *tty, unsigned int cmd, uint64_t arg, struct task *t)
{
	switch (cmd) {
	case TIOCEXCL:
		return set_exclusive(tty, true);
	case TIOCNXCL:
		return set_exclusive(tty, false);
	case TIOCGEXCL:
		return put_int(t, arg, tty->exclusive);
	case TIOCGETD:
		return put_int(t, arg, N_TTY);
	case TIOCSETD:
		return set_line_discipline(t, arg);
	case TIOCGSOFTCAR:
		return put_int(t, arg, (tty->termios.c_cflag & CLOCAL) != 0);
	case TIOCSSOFTCAR:
		return set_software_carrier(tty, arg, t);
	case TIOCGDEV:
		return put_int(t, arg, (int)tty_dev(tty));
	case TIOCSTI:
		return simulate_input(tty, arg, t);
	case TIOCVHANGUP:
	case TIOCCONS:
		return -EPERM;
	}
	return -ENOTTY;
}

static long ioctl_queues(struct tty *tty, unsigned int cmd, uint64_t arg, struct task *t)
{
	switch (cmd) {
	case TIOCGWINSZ:
		return get_winsize(tty, arg, t);
	case TIOCSWINSZ:
		return set_winsize(tty, arg, t);
	case FIONREAD:
		return put_int(t, arg, input_bytes(tty));
	case TIOCOUTQ:
		return put_int(t, arg, output_bytes(tty));
	case TCFLSH:
		return flush(tty, arg);
	case TCXONC:
		return flow(tty, arg);
	case TCSBRK: /* no line to send a break on; nothing to drain */
	case TCSBRKP:
		return check_change(tty);
	case TIOCSBRK:
	case TIOCCBRK:
		return 0;
	}
	return -ENOIOCTLCMD;
}

static bool hung_up(struct tty *tty)
{
	SCOPED_LOCK(&tty->lock);
	return tty->hung_up;
}

long tty_ioctl(struct tty *tty, struct file *f, unsigned int cmd, uint64_t arg, struct task *t,
	       bool from_master)
{
	long r;

	if (hung_up(tty))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	r = ioctl_termios(tty, cmd, arg, t, from_master);
	if (r == -ENOIOCTLCMD)
		r = ioctl_queues(tty, cmd, arg, t);
	if (r != -ENOIOCTLCMD)
		return r;
	switch (cmd) {
	case TIOCSCTTY:
	case TIOCNOTTY:
	case TIOCGPGRP:
	case TIOCSPGRP:
	case TIOCGSID:
		return tty_ioctl_jobs(tty, f, cmd, arg, t, from_master);
	}
	return ioctl_state(tty, cmd, arg, t);
}
