/* prctl(2): one small function an option, in a table by number. arch_prctl(2). */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#include "common/mem.h"
#include "sentry/fs/path.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/mm/mm.h"
#include "sentry/sys/decl.h"

typedef long prctl_fn(struct task *t, const uint64_t *v);

static long put_int(struct task *t, uint64_t to, int value)
{
	return copyout_late(t, UADDR(to), &value, sizeof(value));
}

static long set_name(struct task *t, const uint64_t *v)
{
	char comm[16];
	ssize_t n = copyin_string(t, comm, sizeof(comm), UADDR(v[0]));

	if (n < 0 && n != -ENAMETOOLONG)
		return n;
	comm[15] = 0;
	task_set_comm(t, comm);
	return 0;
}

static long get_name(struct task *t, const uint64_t *v)
{
	return copyout_late(t, UADDR(v[0]), t->comm, sizeof(t->comm));
}

static long set_pdeathsig(struct task *t, const uint64_t *v)
{
	if (v[0] > KNSIG)
		return -EINVAL;
	t->pdeath_signal = (int)v[0];
	return 0;
}

static long get_pdeathsig(struct task *t, const uint64_t *v)
{
	return put_int(t, v[0], t->pdeath_signal);
}

static long get_dumpable(struct task *t, const uint64_t *v)
{
	SCOPED_LOCK(&t->mm->lock);
	return t->mm->dumpable;
}

static long set_dumpable(struct task *t, const uint64_t *v)
{
	if (v[0] > 1)
		return -EINVAL;
	SCOPED_LOCK(&t->mm->lock);
	t->mm->dumpable = (int)v[0];
	return 0;
}

/* --- securebits and capabilities -------------------------------------------------------------- */

static long change_securebits(struct task *t, uint32_t bits)
{
	struct cred *new = cred_dup(t->cred);

	new->securebits = bits;
	task_set_cred(t, new);
	return 0;
}

static long get_keepcaps(struct task *t, const uint64_t *v)
{
	return !!(t->cred->securebits & SECBIT_KEEP_CAPS);
}

static long set_keepcaps(struct task *t, const uint64_t *v)
{
	uint32_t bits = t->cred->securebits & ~(uint32_t)SECBIT_KEEP_CAPS;

	if (v[0] > 1)
		return -EINVAL;
	if (t->cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	return change_securebits(t, bits | (v[0] ? SECBIT_KEEP_CAPS : 0));
}

static long get_securebits(struct task *t, const uint64_t *v)
{
	return t->cred->securebits;
}

static long set_securebits(struct task *t, const uint64_t *v)
{
	uint32_t old = t->cred->securebits, new = (uint32_t)v[0];
	uint32_t locked = (old & SECURE_ALL_LOCKS) >> 1;

	if ((locked & (old ^ new)) || (old & SECURE_ALL_LOCKS & ~new) ||
	    (v[0] & ~(uint64_t)(SECURE_ALL_BITS | SECURE_ALL_LOCKS)) ||
	    !task_ns_capable(t, t->cred->user_ns, CAP_SETPCAP))
		return -EPERM;
	return change_securebits(t, new);
}

static long capbset_read(struct task *t, const uint64_t *v)
{
	return v[0] > CAP_LAST_CAP ? -EINVAL : !!(t->cred->bounding & BIT(v[0]));
}

static long capbset_drop(struct task *t, const uint64_t *v)
{
	struct cred *new;

	if (!task_ns_capable(t, t->cred->user_ns, CAP_SETPCAP))
		return -EPERM;
	if (v[0] > CAP_LAST_CAP)
		return -EINVAL;
	new = cred_dup(t->cred);
	new->bounding &= ~BIT(v[0]);
	task_set_cred(t, new);
	return 0;
}

static long cap_ambient(struct task *t, const uint64_t *v)
{
	const struct cred *c = t->cred;
	struct cred *new;
	bool raise = v[0] == PR_CAP_AMBIENT_RAISE;

	if (v[2] | v[3])
		return -EINVAL;
	if (v[0] == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (v[1])
			return -EINVAL;
		new = cred_dup(c);
		new->ambient = 0;
		task_set_cred(t, new);
		return 0;
	}
	if (v[1] > CAP_LAST_CAP)
		return -EINVAL;
	if (v[0] == PR_CAP_AMBIENT_IS_SET)
		return !!(c->ambient & BIT(v[1]));
	if (!raise && v[0] != PR_CAP_AMBIENT_LOWER)
		return -EINVAL;
	if (raise && (!(c->permitted & c->inheritable & BIT(v[1])) ||
		      (c->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	new = cred_dup(c);
	new->ambient = raise ? c->ambient | BIT(v[1]) : c->ambient & ~BIT(v[1]);
	task_set_cred(t, new);
	return 0;
}

static long set_no_new_privs(struct task *t, const uint64_t *v)
{
	struct cred *new;

	if (v[0] != 1 || v[1] || v[2] || v[3])
		return -EINVAL;
	if (t->cred->no_new_privs)
		return 0;
	new = cred_dup(t->cred);
	new->no_new_privs = true;
	task_set_cred(t, new);
	return 0;
}

static long get_no_new_privs(struct task *t, const uint64_t *v)
{
	return v[0] || v[1] || v[2] || v[3] ? -EINVAL : t->cred->no_new_privs;
}

/* --- the process --------------------------------------------------------------------------------- */

static long set_subreaper(struct task *t, const uint64_t *v)
{
	SCOPED_LOCK(&tasklist);
	t->process->is_subreaper = v[0];
	return 0;
}

static long get_subreaper(struct task *t, const uint64_t *v)
{
	return put_int(t, v[0], t->process->is_subreaper);
}

static long set_timerslack(struct task *t, const uint64_t *v)
{
	t->timer_slack = v[0] ? v[0] : 50000;
	return 0;
}

static long get_timerslack(struct task *t, const uint64_t *v)
{
	return (long)min(t->timer_slack, (uint64_t)INT64_MAX);
}

static long get_tid_address(struct task *t, const uint64_t *v)
{
	return copyout_late(t, UADDR(v[0]), &t->clear_child_tid.va, sizeof(uint64_t));
}

static long get_seccomp(struct task *t, const uint64_t *v)
{
	return t->seccomp_mode;
}

static long set_seccomp(struct task *t, const uint64_t *v)
{
	if (v[0] == 1)
		return seccomp_set_strict(t);
	return v[0] == 2 ? seccomp_set_filter(t, 0, UADDR(v[1])) : -EINVAL;
}

static long get_timing(struct task *t, const uint64_t *v)
{
	return PR_TIMING_STATISTICAL;
}

static long set_timing(struct task *t, const uint64_t *v)
{
	return v[0] == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
}

static long get_tsc(struct task *t, const uint64_t *v)
{
	return put_int(t, v[0], PR_TSC_ENABLE);
}

static long set_tsc(struct task *t, const uint64_t *v)
{
	return v[0] == PR_TSC_ENABLE ? 0 : -EINVAL;
}

static long set_thp(struct task *t, const uint64_t *v)
{
	return v[1] || v[2] || v[3] ? -EINVAL : 0;
}

static long get_zero(struct task *t, const uint64_t *v)
{
	return v[0] || v[1] || v[2] || v[3] ? -EINVAL : 0;
}

static long accept_option(struct task *t, const uint64_t *v)
{
	return 0;
}

static long mce_kill_get(struct task *t, const uint64_t *v)
{
	return v[0] || v[1] || v[2] || v[3] ? -EINVAL : 2 /* PR_MCE_KILL_DEFAULT */;
}

/* The mitigations are the host's affair. */
static long speculation(struct task *t, const uint64_t *v)
{
	return v[0] <= 2 ? 0 /* PR_SPEC_NOT_AFFECTED */ : -ENODEV;
}

/* --- PR_SET_MM ------------------------------------------------------------------------------------- */

static long set_mm_field(struct task *t, uint64_t option, uint64_t value)
{
	struct mm *mm = t->mm;
	uint64_t *const fields[] = {
	    [PR_SET_MM_START_CODE] = &mm->start_code,
	    [PR_SET_MM_END_CODE] = &mm->end_code,
	    [PR_SET_MM_START_DATA] = &mm->start_data,
	    [PR_SET_MM_END_DATA] = &mm->end_data,
	    [PR_SET_MM_START_STACK] = &mm->start_stack,
	    [PR_SET_MM_START_BRK] = &mm->brk_start,
	    [PR_SET_MM_BRK] = &mm->brk,
	    [PR_SET_MM_ARG_START] = &mm->arg_start,
	    [PR_SET_MM_ARG_END] = &mm->arg_end,
	    [PR_SET_MM_ENV_START] = &mm->env_start,
	    [PR_SET_MM_ENV_END] = &mm->env_end,
	};

	if (option >= ARRAY_SIZE(fields) || !fields[option])
		return -EINVAL;
	if (value < pf_min_addr() || value >= pf_max_addr())
		return -EINVAL;
	SCOPED_LOCK(&mm->lock);
	*fields[option] = value;
	return 0;
}

/* struct prctl_mm_map. */
struct kprctl_mm_map {
	uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
	uint64_t arg_start, arg_end, env_start, env_end, auxv;
	uint32_t auxv_size, exe_fd;
};

static long set_mm_map(struct task *t, uaddr from, uint64_t size)
{
	struct kprctl_mm_map m;
	struct mm *mm = t->mm;

	if (size != sizeof(m))
		return -EINVAL;
	if (copyin(t, &m, from, sizeof(m)) < 0)
		return -EFAULT;
	if (m.arg_start > m.arg_end || m.env_start > m.env_end || m.exe_fd != (uint32_t)-1)
		return -EINVAL;
	SCOPED_LOCK(&mm->lock);
	mm->start_code = m.start_code;
	mm->end_code = m.end_code;
	mm->start_data = m.start_data;
	mm->end_data = m.end_data;
	mm->start_stack = m.start_stack;
	mm->arg_start = m.arg_start;
	mm->arg_end = m.arg_end;
	mm->env_start = m.env_start;
	mm->env_end = m.env_end;
	return 0;
}

static long set_mm(struct task *t, const uint64_t *v)
{
	if (v[0] == PR_SET_MM_MAP_SIZE)
		return put_int(t, v[1], sizeof(struct kprctl_mm_map));
	if (!task_capable(t, CAP_SYS_RESOURCE) && v[0] != PR_SET_MM_MAP)
		return -EPERM;
	if (v[0] == PR_SET_MM_MAP)
		return set_mm_map(t, UADDR(v[1]), v[2]);
	return set_mm_field(t, v[0], v[1]);
}

/* PR_SET_VMA_ANON_NAME: names are kept by no one; the pointer is checked all the same. */
static long set_vma(struct task *t, const uint64_t *v)
{
	char name[80];
	ssize_t n;

	if (v[0] != 0)
		return -EINVAL;
	if (!v[3])
		return 0;
	n = copyin_string(t, name, sizeof(name), UADDR(v[3]));
	return n == -ENAMETOOLONG ? -EINVAL : min(n, (ssize_t)0);
}

#define PR_GET_AUXV_ 0x41555856
static long get_auxv(struct task *t, const uint64_t *v)
{
	struct mm *mm = t->mm;
	uint64_t copy[ARRAY_SIZE(mm->auxv)];

	if (v[2] | v[3])
		return -EINVAL;
	mutex_lock(&mm->lock);
	memcpy(copy, mm->auxv, sizeof(copy));
	mutex_unlock(&mm->lock);
	if (copyout(t, UADDR(v[0]), copy, min((size_t)v[1], sizeof(copy))) < 0)
		return -EFAULT;
	return sizeof(copy);
}

static const struct {
	int option;
	prctl_fn *fn;
} options[] = {
    {PR_SET_PDEATHSIG, set_pdeathsig},
    {PR_GET_PDEATHSIG, get_pdeathsig},
    {PR_GET_DUMPABLE, get_dumpable},
    {PR_SET_DUMPABLE, set_dumpable},
    {PR_GET_KEEPCAPS, get_keepcaps},
    {PR_SET_KEEPCAPS, set_keepcaps},
    {PR_GET_TIMING, get_timing},
    {PR_SET_TIMING, set_timing},
    {PR_SET_NAME, set_name},
    {PR_GET_NAME, get_name},
    {PR_GET_SECCOMP, get_seccomp},
    {PR_SET_SECCOMP, set_seccomp},
    {PR_CAPBSET_READ, capbset_read},
    {PR_CAPBSET_DROP, capbset_drop},
    {PR_GET_TSC, get_tsc},
    {PR_SET_TSC, set_tsc},
    {PR_GET_SECUREBITS, get_securebits},
    {PR_SET_SECUREBITS, set_securebits},
    {PR_SET_TIMERSLACK, set_timerslack},
    {PR_GET_TIMERSLACK, get_timerslack},
    {PR_MCE_KILL, accept_option},
    {PR_MCE_KILL_GET, mce_kill_get},
    {PR_SET_MM, set_mm},
    {PR_SET_CHILD_SUBREAPER, set_subreaper},
    {PR_GET_CHILD_SUBREAPER, get_subreaper},
    {PR_SET_NO_NEW_PRIVS, set_no_new_privs},
    {PR_GET_NO_NEW_PRIVS, get_no_new_privs},
    {PR_GET_TID_ADDRESS, get_tid_address},
    {PR_SET_THP_DISABLE, set_thp},
    {PR_GET_THP_DISABLE, get_zero},
    {PR_CAP_AMBIENT, cap_ambient},
    {PR_GET_SPECULATION_CTRL, speculation},
    {PR_SET_PTRACER, accept_option},
    {PR_SET_VMA, set_vma},
    {PR_GET_AUXV_, get_auxv},
};

long sys_prctl(struct task *t, const struct sysargs *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].option == (int)a->v[0])
			return options[i].fn(t, &a->v[1]);
	return -EINVAL;
}

/* --- arch_prctl ------------------------------------------------------------------------------------ */

static long set_base(struct task *t, uint64_t addr, bool fs)
{
	struct user_regs_struct *r;

	if (addr >= pf_max_addr())
		return -EPERM;
	r = pf_regs_mut(t->pt);
	if (fs)
		r->fs_base = addr;
	else
		r->gs_base = addr;
	return 0;
}

long sys_arch_prctl(struct task *t, const struct sysargs *a)
{
	const struct user_regs_struct *r = pf_regs(t->pt);
	uint64_t value;

	switch ((int)a->v[0]) {
	case ARCH_SET_FS:
		return set_base(t, a->v[1], true);
	case ARCH_SET_GS:
		return set_base(t, a->v[1], false);
	case ARCH_GET_FS:
		value = r->fs_base;
		break;
	case ARCH_GET_GS:
		value = r->gs_base;
		break;
	case 0x1011: /* ARCH_GET_CPUID: the instruction is enabled */
		return 1;
	case 0x1012: /* ARCH_SET_CPUID */
		return a->v[1] ? 0 : -ENODEV;
	default:
		return -EINVAL;
	}
	return copyout_late(t, UADDR(a->v[1]), &value, sizeof(value));
}
