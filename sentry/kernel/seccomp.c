/*
 * seccomp(2) for guests. Filters form a chain, newest first, that is only ever
 * prolonged: what another thread still looks at while TSYNC gives it a longer
 * chain stays alive as a part of that chain, so no lock is needed to run them.
 * The chains change under tasklist.
 *
 * Not here: user notification (SECCOMP_RET_USER_NOTIF), which is reported as
 * unavailable.
 */
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/tasklist.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/usermem.h"

#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH BIT(4)
#endif

/* Linux: MAX_INSNS_PER_PATH, with 4 for each filter. */
#define MAX_PATH_INSNS 32768

struct guest_seccomp {
	struct refcount ref;
	struct guest_seccomp *prev; /* owned */
	unsigned int path_len;	    /* instructions from here to the end of the chain */
	unsigned int len;
	struct sock_filter insns[];
};

static struct guest_seccomp *chain(struct task *t)
{
	return __atomic_load_n(&t->seccomp, __ATOMIC_ACQUIRE);
}

static void chain_put(struct guest_seccomp *f)
{
	while (f && ref_put(&f->ref)) {
		struct guest_seccomp *prev = f->prev;

		charged_free(f);
		f = prev;
	}
}

/* --- running --------------------------------------------------------------------------------- */

static uint32_t run_filters(struct task *t, const struct seccomp_data *data)
{
	uint32_t words[16], result = SECCOMP_RET_ALLOW;

	memcpy(words, data, sizeof(words));
	for (struct guest_seccomp *f = chain(t); f; f = f->prev) {
		uint32_t r = cbpf_run(f->insns, words, 16);

		/* The strictest wins; as signed numbers, from KILL_PROCESS up to ALLOW. */
		if ((int32_t)(r & SECCOMP_RET_ACTION_FULL) <
		    (int32_t)(result & SECCOMP_RET_ACTION_FULL))
			result = r;
	}
	return result;
}

static void read_call(struct task *t, struct seccomp_data *d)
{
	const struct user_regs_struct *r = pf_regs(t->pt);

	*d = (struct seccomp_data){
	    .nr = (int)r->orig_rax,
	    .arch = AUDIT_ARCH_X86_64,
	    .instruction_pointer = r->rip,
	    .args = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9},
	};
}

static siginfo_t sigsys_info(const struct seccomp_data *d, uint32_t data)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSYS;
	info.si_code = 1; /* SYS_SECCOMP */
	info.si_errno = (int)data;
	info.si_call_addr = (void *)d->instruction_pointer;
	info.si_syscall = d->nr;
	info.si_arch = d->arch;
	return info;
}

static bool skip_with(struct task *t, int64_t result)
{
	pf_set_result(t->pt, (uint64_t)result);
	return false;
}

static bool trap(struct task *t, const struct seccomp_data *d, uint32_t data)
{
	siginfo_t info = sigsys_info(d, data);

	signal_force(t, SIGSYS, &info);
	return skip_with(t, d->nr);
}

/* As if by SIGSYS: the thread alone if it has company and only its end was asked for. */
static bool kill_caller(struct task *t, bool process, int sig)
{
	log_debug("task %d (%s): killed by its own seccomp filter", t->tid, t->comm);
	if (process || process_count_threads(t->process) == 1) {
		bool core = sig == SIGSYS && task_rlimit(t, RLIMIT_CORE) > 0;

		task_die(t, sig | (core ? 0x80 : 0));
	} else {
		task_exit(t, sig);
	}
	return false;
}

static bool tracer_decides(struct task *t, uint32_t data)
{
	if (!ptrace_seccomp_event(t, data))
		return skip_with(t, -ENOSYS);
	if (task_killed(t))
		return false;
	/* The tracer may have changed the call, or skipped it with -1. */
	if ((int)pf_regs(t->pt)->orig_rax < 0)
		return false;
	return true;
}

static bool act(struct task *t, const struct seccomp_data *d, uint32_t result, bool again)
{
	uint32_t data = result & SECCOMP_RET_DATA;

	switch (result & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return true;
	case SECCOMP_RET_TRACE:
		if (again)
			return true;
		if (!tracer_decides(t, data))
			return false;
		{
			struct seccomp_data changed;

			read_call(t, &changed);
			return act(t, &changed, run_filters(t, &changed), true);
		}
	case SECCOMP_RET_ERRNO:
		return skip_with(t, -(int64_t)min(data, 4095u));
	case SECCOMP_RET_TRAP:
		return trap(t, d, data);
	case SECCOMP_RET_USER_NOTIF:
		return skip_with(t, -ENOSYS);
	case SECCOMP_RET_KILL_THREAD:
		return kill_caller(t, false, SIGSYS);
	default:
		return kill_caller(t, true, SIGSYS);
	}
}

static bool strict_allows(int nr)
{
	return nr == SYS_read || nr == SYS_write || nr == SYS_exit || nr == SYS_rt_sigreturn;
}

bool seccomp_check(struct task *t)
{
	struct seccomp_data d;

	read_call(t, &d);
	if (t->seccomp_mode == SECCOMP_MODE_STRICT)
		return strict_allows(d.nr) || kill_caller(t, false, SIGKILL);
	return act(t, &d, run_filters(t, &d), false);
}

/* --- setting ----------------------------------------------------------------------------------- */

void seccomp_inherit(struct task *child, struct task *parent)
{
	mutex_assert_held(&tasklist);
	if (!parent->seccomp_mode)
		return;
	child->seccomp_mode = parent->seccomp_mode;
	child->seccomp = parent->seccomp;
	if (child->seccomp)
		ref_get(&child->seccomp->ref);
	atomic_fetch_or(&child->trap, TRAP_SECCOMP);
}

void seccomp_free(struct task *t)
{
	chain_put(t->seccomp);
	t->seccomp = NULL;
}

int seccomp_filter_count(struct task *t)
{
	int n = 0;

	SCOPED_LOCK(&tasklist);
	for (struct guest_seccomp *f = t->seccomp; f; f = f->prev)
		n++;
	return n;
}

long seccomp_set_strict(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	if (t->seccomp_mode == SECCOMP_MODE_FILTER)
		return -EINVAL;
	t->seccomp_mode = SECCOMP_MODE_STRICT;
	atomic_fetch_or(&t->trap, TRAP_SECCOMP);
	return 0;
}

struct kfprog {
	uint16_t len;
	uint64_t filter;
};

static int read_filter(struct task *t, uaddr from, struct guest_seccomp **out)
{
	struct guest_seccomp *f;
	struct kfprog prog;

	if (copyin(t, &prog, from, sizeof(prog)) < 0)
		return -EFAULT;
	if (prog.len == 0 || prog.len > BPF_MAXINSNS)
		return -EINVAL;
	f = charged_alloc(sizeof(*f) + prog.len * sizeof(f->insns[0]));
	if (!f)
		return -ENOMEM;
	ref_init(&f->ref);
	f->len = prog.len;
	if (copyin(t, f->insns, UADDR(prog.filter), prog.len * sizeof(f->insns[0])) < 0) {
		charged_free(f);
		return -EFAULT;
	}
	if (!cbpf_valid(f->insns, f->len)) {
		charged_free(f);
		return -EINVAL;
	}
	*out = f;
	return 0;
}

static bool is_ancestor(const struct guest_seccomp *old, const struct guest_seccomp *of)
{
	if (!old)
		return true;
	for (; of; of = of->prev)
		if (of == old)
			return true;
	return false;
}

/* The thread whose filters are not a part of t's, or 0. */
static int find_odd_thread(struct task *t)
{
	struct task *other;

	list_for_each (other, &t->process->threads, thread_node)
		if (other != t && !other->exited &&
		    (other->seccomp_mode == SECCOMP_MODE_STRICT ||
		     !is_ancestor(other->seccomp, t->seccomp)))
			return task_show_pid(t, other->tid);
	return 0;
}

static void set_chain(struct task *t, struct guest_seccomp *f)
{
	t->seccomp_mode = SECCOMP_MODE_FILTER;
	__atomic_store_n(&t->seccomp, f, __ATOMIC_RELEASE);
	atomic_fetch_or(&t->trap, TRAP_SECCOMP);
}

/* Another thread's no_new_privs. It may be reading its credentials without a lock, so the old
 * ones are kept while it lives: this happens once in a thread's life. */
static void set_no_new_privs(struct task *other)
{
	struct cred *new;

	if (other->cred->no_new_privs)
		return;
	SCOPED_LOCK(&other->alloc_lock);
	new = cred_dup(other->cred);
	new->no_new_privs = true;
	cred_put(other->former_cred);
	other->former_cred = other->cred;
	other->cred = new;
}

static void sync_threads(struct task *t)
{
	struct task *other;

	list_for_each (other, &t->process->threads, thread_node) {
		if (other == t || other->exited)
			continue;
		ref_get(&t->seccomp->ref);
		/* Its old chain is a part of ours: our reference keeps it. */
		if (other->seccomp)
			(void)!ref_put(&other->seccomp->ref);
		set_chain(other, t->seccomp);
		if (t->cred->no_new_privs)
			set_no_new_privs(other);
	}
}

static long attach(struct task *t, unsigned int flags, struct guest_seccomp *f)
{
	int odd;

	SCOPED_LOCK(&tasklist);
	if (t->seccomp_mode == SECCOMP_MODE_STRICT)
		return -EINVAL;
	f->path_len = f->len + 4 + (t->seccomp ? t->seccomp->path_len : 0);
	if (f->path_len > MAX_PATH_INSNS)
		return -ENOMEM;
	odd = flags & SECCOMP_FILTER_FLAG_TSYNC ? find_odd_thread(t) : 0;
	if (odd)
		return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : odd;
	f->prev = t->seccomp;
	set_chain(t, f);
	if (flags & SECCOMP_FILTER_FLAG_TSYNC)
		sync_threads(t);
	return 0;
}

int seccomp_preset(struct task *t, const struct sock_filter *insns, unsigned int len)
{
	struct guest_seccomp *f;
	long r;

	if (!cbpf_valid(insns, len))
		return -EINVAL;
	f = charged_alloc(sizeof(*f) + len * sizeof(f->insns[0]));
	if (!f)
		return -ENOMEM;
	ref_init(&f->ref);
	f->len = len;
	memcpy(f->insns, insns, len * sizeof(f->insns[0]));
	r = attach(t, 0, f);
	if (r != 0)
		charged_free(f);
	return (int)r;
}

long seccomp_set_filter(struct task *t, unsigned int flags, uaddr fprog)
{
	const unsigned int known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
				   SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	struct guest_seccomp *f;
	long r;

	if (flags & ~known)
		return -EINVAL;
	r = read_filter(t, fprog, &f);
	if (r < 0)
		return r;
	r = t->cred->no_new_privs || task_ns_capable(t, t->cred->user_ns, CAP_SYS_ADMIN)
		? attach(t, flags, f)
		: -EACCES;
	if (r != 0)
		charged_free(f);
	return r;
}
