/* System calls about signals: arguments in, kernel/signal*.c does the rest. */
#include <errno.h>
#include <string.h>

#include "sentry/abi/restart.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

/* The kernel's own flags; others are cleared, so that a program can ask which ones count. */
#define SA_KNOWN                                                                                   \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |         \
	 SA_RESETHAND | KSA_RESTORER | 0x800 /* SA_EXPOSE_TAGBITS */)

long sys_rt_sigaction(struct task *t, const struct sysargs *a)
{
	struct ksigaction new, old;
	bool set = a->v[1];
	int r;

	if (a->v[3] != sizeof(ksigset))
		return -EINVAL;
	if (set && copyin(t, &new, UADDR(a->v[1]), sizeof(new)) < 0)
		return -EFAULT;
	if (set)
		new.flags &= (uint32_t)SA_KNOWN;
	r = signal_action(t, (int)a->v[0], set ? &new : NULL, &old);
	if (r < 0 || !a->v[2])
		return r;
	return copyout_late(t, UADDR(a->v[2]), &old, sizeof(old));
}

long sys_rt_sigprocmask(struct task *t, const struct sysargs *a)
{
	ksigset set, old = t->blocked;

	if (a->v[3] != sizeof(set))
		return -EINVAL;
	if (a->v[1]) {
		if (copyin(t, &set, UADDR(a->v[1]), sizeof(set)) < 0)
			return -EFAULT;
		switch ((int)a->v[0]) {
		case SIG_BLOCK:
			set = old | set;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		if ((set & ~KSIGSET_UNBLOCKABLE) != old)
			signal_set_blocked(t, set);
	}
	return a->v[2] ? copyout_late(t, UADDR(a->v[2]), &old, sizeof(old)) : 0;
}

long sys_rt_sigpending(struct task *t, const struct sysargs *a)
{
	ksigset set = signal_pending_set(t) & t->blocked;

	if (a->v[1] > sizeof(set))
		return -EINVAL;
	return copyout_late(t, UADDR(a->v[0]), &set, a->v[1]);
}

long sys_rt_sigsuspend(struct task *t, const struct sysargs *a)
{
	ksigset set;

	if (a->v[1] != sizeof(set))
		return -EINVAL;
	if (copyin(t, &set, UADDR(a->v[0]), sizeof(set)) < 0)
		return -EFAULT;
	signal_set_temporary(t, set);
	while (task_sleep(t, SLEEP_FOREVER) != -ERESTARTSYS)
		;
	return -ERESTARTNOHAND;
}

long sys_pause(struct task *t, const struct sysargs *a)
{
	while (task_sleep(t, SLEEP_FOREVER) != -ERESTARTSYS)
		;
	return -ERESTARTNOHAND;
}

long sys_rt_sigtimedwait(struct task *t, const struct sysargs *a)
{
	siginfo_t info;
	int64_t timeout;
	ksigset set;
	long sig;
	int r;

	if (a->v[3] != sizeof(set))
		return -EINVAL;
	if (copyin(t, &set, UADDR(a->v[0]), sizeof(set)) < 0)
		return -EFAULT;
	r = copyin_timeout(t, UADDR(a->v[2]), &timeout);
	if (r < 0)
		return r;
	sig = signal_timedwait(t, set, deadline_after(timeout), &info);
	if (sig <= 0 || !a->v[1])
		return sig;
	r = copyout(t, UADDR(a->v[1]), &info, sizeof(info));
	return r < 0 ? r : sig;
}

/* A siginfo that the guest made up: only for itself may it look like kill's or the kernel's. */
static int copyin_info(struct task *t, siginfo_t *info, uaddr from, int sig, bool to_self)
{
	if (copyin(t, info, from, sizeof(*info)) < 0)
		return -EFAULT;
	info->si_signo = sig;
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && !to_self)
		return -EPERM;
	return 0;
}

long sys_rt_sigqueueinfo(struct task *t, const struct sysargs *a)
{
	int pid = (int)a->v[0], sig = (int)a->v[1], r;
	siginfo_t info;

	r = copyin_info(t, &info, UADDR(a->v[2]), sig, pid == t->process->own_tgid);
	if (r < 0)
		return r;
	return pid <= 0 ? -ESRCH : signal_kill(t, pid, sig, &info);
}

long sys_rt_tgsigqueueinfo(struct task *t, const struct sysargs *a)
{
	int tgid = (int)a->v[0], tid = (int)a->v[1], sig = (int)a->v[2], r;
	siginfo_t info;

	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	r = copyin_info(t, &info, UADDR(a->v[3]), sig, tid == t->own_tid);
	return r < 0 ? r : signal_tgkill(t, tgid, tid, sig, &info);
}

long sys_kill(struct task *t, const struct sysargs *a)
{
	int sig = (int)a->v[1];
	siginfo_t info = signal_info_user(t, sig);

	return signal_kill(t, (int)a->v[0], sig, &info);
}

static long thread_kill(struct task *t, int tgid, int tid, int sig)
{
	siginfo_t info = signal_info_user(t, sig);

	info.si_code = SI_TKILL;
	return signal_tgkill(t, tgid, tid, sig, &info);
}

long sys_tgkill(struct task *t, const struct sysargs *a)
{
	int tgid = (int)a->v[0];

	return tgid <= 0 ? -EINVAL : thread_kill(t, tgid, (int)a->v[1], (int)a->v[2]);
}

long sys_tkill(struct task *t, const struct sysargs *a)
{
	return thread_kill(t, -1, (int)a->v[0], (int)a->v[1]);
}

long sys_sigaltstack(struct task *t, const struct sysargs *a)
{
	uint64_t sp = pf_regs(t->pt)->rsp;
	struct kstack new, old = signal_get_altstack(t, sp);
	long r = 0;

	if (a->v[0]) {
		if (copyin(t, &new, UADDR(a->v[0]), sizeof(new)) < 0)
			return -EFAULT;
		r = signal_do_sigaltstack(t, &new, sp);
	}
	if (r == 0 && a->v[1])
		r = copyout_late(t, UADDR(a->v[1]), &old, sizeof(old));
	return r;
}

long sys_rt_sigreturn(struct task *t, const struct sysargs *a)
{
	return signal_sigreturn(t);
}

long sys_restart_syscall(struct task *t, const struct sysargs *a)
{
	long (*fn)(struct task *) = t->restart_fn;

	t->restart_fn = NULL;
	return fn ? fn(t) : -EINTR;
}
