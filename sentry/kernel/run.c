/*
 * The life of a task on its host thread, which begins when its creator has put it into
 * the tree: it alternates between the guest (pf_run) and the work that events make.
 * How it is woken: see task.c.
 *
 * The way of one syscall: pf_run returns PF_SYSCALL; syscall_dispatch runs it
 * and sets rax; if the work flags are clear and rax is no restart code, the
 * loop goes straight back into the guest. No lock is taken on this way.
 */
#include <errno.h>
#include <sys/mman.h>

#include "common/log.h"
#include "common/mem.h"
#include "sentry/abi/restart.h"
#include "sentry/core/account.h"
#include "sentry/core/worker.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/usermem.h"

static void (*dispatch)(struct task *t);

void task_set_syscall_handler(void (*handler)(struct task *t))
{
	dispatch = handler;
}

/* Seccomp and ptrace look at the call first. */
static void traced_syscall(struct task *t)
{
	unsigned int trap = atomic_load(&t->trap);
	bool make = true;

	/* As Linux: the tracer first, then the filters see what it left. */
	if (trap & (TRAP_SYSCALL | TRAP_EMU))
		make = ptrace_syscall_enter(t);
	if (make && (trap & TRAP_SECCOMP))
		make = seccomp_check(t);
	if (make)
		dispatch(t);
	else
		t->syscall_nr = -1;
	if (!t->dying && (atomic_load(&t->trap) & (TRAP_SYSCALL | TRAP_STEP)))
		ptrace_syscall_exit(t);
}

static void handle_syscall(struct task *t)
{
	if (atomic_load_explicit(&t->trap, memory_order_relaxed))
		traced_syscall(t);
	else
		dispatch(t);
}

/* The stack is mapped at the limit of execve's time; the limit may have been raised since. */
static bool grows_stack(struct task *t, const struct pf_event *event)
{
	struct mm_limits lim;

	if (event->signo != SIGSEGV || event->code != SEGV_MAPERR)
		return false;
	task_mm_limits(t, &lim);
	return mm_grow_stack(t->mm, t->pt, &lim, event->addr);
}

static void handle_event(struct task *t, const struct pf_event *event)
{
	switch (event->kind) {
	case PF_SYSCALL:
		handle_syscall(t);
		return;
	case PF_FAULT:
		if (!grows_stack(t, event))
			signal_fault(t, event);
		return;
	case PF_INTERRUPT:
		t->syscall_nr = -1;
		return;
	case PF_DEATH:
		/* The host killed the stub (out of memory, most likely). */
		log_debug("task %d: stub died, status %#x", t->tid, event->wait_status);
		/* If it was told to go, that is why (process_insist); then the rest may live. */
		if (!task_killed(t))
			task_die(t, SIGKILL);
		return;
	}
}

/* Must the task look around before it goes back? */
static bool has_work(struct task *t)
{
	int64_t rax;

	if (atomic_load(&t->work) || t->dying || t->restore_blocked)
		return true;
	rax = (int64_t)pf_regs(t->pt)->rax;
	return t->syscall_nr >= 0 && rax <= -ERESTARTSYS && rax >= -ERESTART_RESTARTBLOCK;
}

static void run_guest(struct task *t, struct pf_event *event)
{
	uint64_t start = host_monotonic_ns(), spent;

	atomic_store_explicit(&t->guest_since, start, memory_order_relaxed);
	pf_run(t->pt, event);
	atomic_store(&t->in_guest, false);
	spent = host_monotonic_ns() - start;
	atomic_store_explicit(&t->guest_since, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->guest_ns, spent, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->guest_exits, 1, memory_order_relaxed);
}

void task_run(struct task *t)
{
	struct pf_event event;

	for (;;) {
		if (has_work(t))
			signal_on_return(t);
		if (t->dying)
			return;
		atomic_store(&t->in_guest, true);
		if (atomic_load(&t->work)) {
			atomic_store(&t->in_guest, false);
			continue;
		}
		run_guest(t, &event);
		handle_event(t, &event);
	}
}

/* --- birth --------------------------------------------------------------------------------------- */

/* The child of a fork may as well write its id itself, unless that would fail: clone does not. */
static void set_child_tid(struct task *t, uaddr addr)
{
	struct vma v;
	bool late = false;

	if (ref_read(&t->mm->ref) == 1 && mm_find_vma(t->mm, addr.va, &v) == 0) {
		late = (v.prot & PROT_WRITE) && !v.file && v.start <= addr.va &&
		       addr.va + sizeof(t->tid) <= v.end;
		if (v.file)
			file_put(v.file);
	}
	if (late)
		(void)!copyout_late(t, addr, &t->own_tid, sizeof(t->own_tid));
	else
		(void)!copyout(t, addr, &t->own_tid, sizeof(t->own_tid));
}

/* The registers of a clone's child, which is so far a copy of its parent. */
static void init_registers(struct task *t, const struct task_birth *b)
{
	struct user_regs_struct *r = pf_regs_mut(t->pt);

	r->rax = 0;
	r->orig_rax = ~0ULL;
	if (!uaddr_null(b->stack))
		r->rsp = b->stack.va;
	if (b->set_tls)
		r->fs_base = b->tls;
	if (b->set_child_tid)
		set_child_tid(t, b->child_tid);
}

/* The task's whole life. The thread may serve another one after it, if the platform lets it. */
static bool live(void *arg)
{
	struct task *t = arg;
	struct task_birth *b = t->birth;
	bool go = b->gate == GATE_GO;

	task_set_current(t);
	cred_pay(t->cred);
	if (t->pt)
		pf_thread_attach(t->pt);
	task_enter_thread(t);
	if (go && b->from_clone)
		init_registers(t, b);
	if (go && b->load && b->load(t, b->load_arg) < 0) {
		t->exit_code = 127 << 8;
		t->dying = true;
	}
	t->birth = NULL;
	free(b);
	if (go) {
		task_run(t);
		task_finish(t);
	} else {
		task_abort(t);
	}
	task_set_current(NULL);
	account_set_payer(NULL, false);
	task_put(t);
	return pf_driver_may_stay();
}

int task_thread_reserve(struct task *t)
{
	return worker_new(&t->birth->worker);
}

void task_open_gate(struct task *t, enum birth_gate gate)
{
	struct task_birth *b = t->birth;

	b->gate = gate;
	worker_run(b->worker, live, t);
}
