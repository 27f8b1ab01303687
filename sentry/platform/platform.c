/* The platform's entry points that do not depend on how guest code runs. */
#include "sentry/platform/platform.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "sentry/platform/pf.h"

struct pf_global pf = {.listener = -1};
struct pf_counters pf_count;

void pf_set_syscall_rules(const struct pf_syscall_rule *rules)
{
	pf.rules = rules;
}

static const struct pf_ops *ops_by_name(const char *name)
{
	static const struct pf_ops *const all[] = {&systrap_ops, &ptrace_ops};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}

int pf_init(const struct pf_config *config)
{
	pf.config = *config;
	pf.ops = ops_by_name(config->name);
	if (!pf.ops)
		return -EINVAL;
	frame_init();
	place_init();
	reaper_init();
	return template_start();
}

uint64_t pf_min_addr(void)
{
	return 0x10000;
}

uint64_t pf_max_addr(void)
{
	return PF_LO;
}

struct pf_vdso pf_vdso(void)
{
	return pf.vdso;
}

/* --- threads --------------------------------------------------------------------------------- */

pid_t pf_space_pid(const struct pf_space *s)
{
	return s->pid;
}

void pf_thread_attach(struct pf_thread *t)
{
	pf.ops->attach(t);
}

/* The host keeps a tracer's dead tracees until the tracer ends. */
bool pf_driver_may_stay(void)
{
	return !pf.ops->traces;
}

void pf_thread_exit(struct pf_thread *t)
{
	pf.ops->exit(t);
	space_thread_free(t);
}

void pf_run(struct pf_thread *t, struct pf_event *event)
{
	memset(event, 0, sizeof(*event));
	if (t->step && t->step_syscall) {
		/* The step over a system call ends behind it, but the trap comes one later. */
		t->step_syscall = false;
		event->kind = PF_FAULT;
		event->signo = SIGTRAP;
		event->code = TRAP_TRACE;
		event->addr = t->regs.rip;
		event->trapno = 1;
		return;
	}
	t->step_syscall = false;
	pf.ops->run(t, event);
}

void pf_interrupt(struct pf_thread *t)
{
	if (atomic_exchange(&t->interrupt, 1))
		return;
	if (atomic_load(&t->in_guest))
		pf.ops->kick(t);
}

/* --- registers ---------------------------------------------------------------------------------
 */

const struct user_regs_struct *pf_regs(struct pf_thread *t)
{
	return &t->regs;
}

struct user_regs_struct *pf_regs_mut(struct pf_thread *t)
{
	t->dirty |= DIRTY_REGS;
	return &t->regs;
}

void pf_set_result(struct pf_thread *t, uint64_t rax)
{
	t->regs.rax = rax;
	t->dirty |= DIRTY_RESULT;
}

void pf_set_single_step(struct pf_thread *t, bool on)
{
	t->step = on;
	t->dirty |= DIRTY_REGS;
	if (!on)
		t->regs.eflags &= ~0x100ULL;
}

size_t pf_fpu_size(void)
{
	return fpu_size();
}

ssize_t pf_fpu_get(struct pf_thread *t, void *buf, size_t size)
{
	int r = pf.ops->sync_frame(t);

	return r < 0 ? r : frame_fpu_get(t, buf, size);
}

int pf_fpu_set(struct pf_thread *t, const void *buf, size_t size)
{
	int r = pf.ops->sync_frame(t);

	if (r == 0)
		r = frame_fpu_set(t, buf, size);
	pf.ops->fpu_changed(t);
	return r;
}

void pf_fpu_reset(struct pf_thread *t)
{
	if (pf.ops->sync_frame(t) == 0)
		frame_fpu_reset(t);
	pf.ops->fpu_changed(t);
}

void pf_stats(struct pf_stats *out)
{
	*out = (struct pf_stats){
	    .syscalls = atomic_load(&pf_count.syscalls),
	    .faults = atomic_load(&pf_count.faults),
	    .interrupts = atomic_load(&pf_count.interrupts),
	    .spins_won = atomic_load(&pf_count.spins_won),
	    .sleeps = atomic_load(&pf_count.sleeps),
	    .asks = atomic_load(&pf_count.asks),
	};
}
