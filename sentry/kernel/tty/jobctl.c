/*
 * Controlling terminals and job control (setsid(2), tcsetpgrp(3), termios(3)).
 *
 * A terminal belongs to at most one session and a session has at most one
 * terminal: both are set and cleared together, under the terminal's lock, and
 * each keeps the other. A session lets go when its leader exits. Deviation from Linux: a process
 * that is not the session's leader cannot give up the terminal for itself alone
 * (TIOCNOTTY): the call succeeds and changes nothing.
 */
#include <errno.h>
#include <signal.h>

#include "common/log.h"
#include "sentry/abi/restart.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tty/internal.h"
#include "sentry/kernel/usermem.h"

void tty_signal(struct tty *tty, int sig)
{
	if (tty->session && tty->pgrp)
		signal_pgrp(tty->session->container, tty->pgrp, sig, NULL);
}

bool tty_is_mine(struct tty *tty, struct task *t)
{
	struct session *s;

	if (!tty->session)
		return false;
	s = task_session(t);
	session_put(s);
	return s == tty->session; /* only compared */
}

int tty_check_change(struct tty *tty, int sig)
{
	struct task *t = task_current();
	int pgrp;

	if (!t || !tty->pgrp || !tty_is_mine(tty, t))
		return 0;
	pgrp = task_pgrp(t);
	if (pgrp == tty->pgrp)
		return 0;
	if (signal_blocked_or_ignored(t, sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (task_pgrp_orphaned(t))
		return -EIO;
	signal_pgrp(t->container, pgrp, sig, NULL);
	return -ERESTARTSYS;
}

void tty_forget_session_locked(struct tty *tty)
{
	struct session *s = tty->session;

	if (!s)
		return;
	session_set_tty(s, NULL);
	tty->session = NULL;
	tty->pgrp = 0;
	session_put(s);
	if (ref_put(&tty->ref))
		panic("a terminal's last reference was its session's, although it is in use");
}

static void claim_locked(struct tty *tty, struct session *s, int pgrp)
{
	tty_forget_session_locked(tty);
	tty_get(tty);
	tty->session = session_get(s);
	atomic_store(&s->old_pgrp, 0);
	tty->pgrp = pgrp;
	session_set_tty(s, tty);
}

void tty_set_session(struct tty *tty, struct session *s, int pgrp)
{
	SCOPED_LOCK(&tty->lock);
	claim_locked(tty, s, pgrp);
}

void tty_acquire_on_open(struct tty *tty, struct task *t)
{
	struct session *s = task_session(t);

	mutex_lock(&tty->lock);
	if (!tty->session && !tty->hung_up && task_is_session_leader(t) && !session_tty(s))
		claim_locked(tty, s, task_pgrp(t));
	mutex_unlock(&tty->lock);
	session_put(s);
}

/* The session loses its terminal: the foreground group is told. */
static void leave(struct tty *tty, struct session *s, bool exiting)
{
	int pgrp = 0;

	mutex_lock(&tty->lock);
	if (tty->session == s) {
		pgrp = tty->pgrp;
		tty_forget_session_locked(tty);
	}
	mutex_unlock(&tty->lock);
	if (!pgrp)
		return;
	signal_pgrp(s->container, pgrp, SIGHUP, NULL);
	if (!exiting)
		signal_pgrp(s->container, pgrp, SIGCONT, NULL);
}

/* Called by the leader's own exit, so the calling task's terminal is the session's. */
void tty_session_exit(struct session *s)
{
	struct task *t = task_current();
	struct tty *tty = t ? task_tty(t, tty_get) : NULL;
	int pgrp = atomic_exchange(&s->old_pgrp, 0);

	if (tty) {
		leave(tty, s, true);
		tty_put(tty);
	} else if (pgrp) {
		signal_pgrp(s->container, pgrp, SIGHUP, NULL);
		signal_pgrp(s->container, pgrp, SIGCONT, NULL);
	}
}

/* --- ioctls ------------------------------------------------------------------------------ */

static long set_controlling(struct tty *tty, struct file *f, uint64_t steal, struct task *t)
{
	bool privileged = cred_capable(t->cred, CAP_SYS_ADMIN);
	struct session *s = task_session(t);
	long err = 0;

	mutex_lock(&tty->lock);
	if (tty->session == s && task_is_session_leader(t))
		err = 0;
	else if (tty->hung_up)
		err = -EIO;
	else if (!task_is_session_leader(t) || session_tty(s))
		err = -EPERM;
	else if (tty->session && !(steal == 1 && privileged))
		err = -EPERM;
	else if (!file_readable(f) && !privileged)
		err = -EPERM;
	else
		claim_locked(tty, s, task_pgrp(t));
	mutex_unlock(&tty->lock);
	session_put(s);
	return err;
}

static long give_up_controlling(struct tty *tty, struct task *t)
{
	struct session *s = task_session(t);
	bool mine;

	mutex_lock(&tty->lock);
	mine = tty->session == s;
	mutex_unlock(&tty->lock);
	if (mine && task_is_session_leader(t))
		leave(tty, s, false);
	session_put(s);
	return mine ? 0 : -ENOTTY;
}

/* What the ioctls below return for a terminal that is not the caller's; a pty's master may
 * always ask about its slave. Under the lock. */
static bool denied(struct tty *tty, struct task *t, bool from_master)
{
	return !from_master && !tty_is_mine(tty, t);
}

static long get_pgrp(struct tty *tty, uint64_t arg, struct task *t, bool from_master)
{
	int pgrp;

	mutex_lock(&tty->lock);
	pgrp = denied(tty, t, from_master) ? -ENOTTY : tty->pgrp;
	mutex_unlock(&tty->lock);
	if (pgrp < 0)
		return pgrp;
	pgrp = task_show_pid(t, pgrp);
	return copyout(t, UADDR(arg), &pgrp, sizeof(pgrp));
}

static long set_pgrp(struct tty *tty, uint64_t arg, struct task *t)
{
	struct session *s;
	int pgrp, err;

	err = copyin(t, &pgrp, UADDR(arg), sizeof(pgrp));
	if (err)
		return err;
	if (pgrp > 0)
		pgrp = task_take_pid(t, pgrp);
	SCOPED_LOCK(&tty->lock);
	err = tty_check_change(tty, SIGTTOU);
	if (err)
		return err == -EIO ? -ENOTTY : err;
	if (!tty_is_mine(tty, t))
		return -ENOTTY;
	if (pgrp < 0)
		return -EINVAL;
	if (!pgrp_exists(t->container, pgrp))
		return -ESRCH;
	s = task_session(t);
	err = pgrp_in_session(s, pgrp) ? 0 : -EPERM;
	session_put(s);
	if (!err)
		tty->pgrp = pgrp;
	return err;
}

static long get_sid(struct tty *tty, uint64_t arg, struct task *t, bool from_master)
{
	int sid = -ENOTTY;

	mutex_lock(&tty->lock);
	if (!denied(tty, t, from_master) && tty->session)
		sid = tty->session->id;
	mutex_unlock(&tty->lock);
	return sid < 0 ? sid : copyout(t, UADDR(arg), &sid, sizeof(sid));
}

long tty_ioctl_jobs(struct tty *tty, struct file *f, unsigned int cmd, uint64_t arg, struct task *t,
		    bool from_master)
{
	switch (cmd) {
	case TIOCSCTTY:
		return from_master ? -EINVAL : set_controlling(tty, f, arg, t);
	case TIOCNOTTY:
		return from_master ? -ENOTTY : give_up_controlling(tty, t);
	case TIOCGPGRP:
		return get_pgrp(tty, arg, t, from_master);
	case TIOCSPGRP:
		return from_master ? -ENOTTY : set_pgrp(tty, arg, t);
	case TIOCGSID:
		return get_sid(tty, arg, t, from_master);
	}
	return -ENOTTY;
}
