/*
 * ptrace: guest code runs under PTRACE_SYSEMU, traced by the sentry thread that
 * drives it. The stub, its filter, its slots and its commands are those of
 * systrap; only entering and leaving guest code differ.
 *
 * A thread is untraced until its first run: it waits in the stub for commands
 * like any other, so that one sentry thread can prepare it for another. At the
 * first run it is seized and told to go on with an int3 in the stub's text;
 * its rt_sigreturn on the way there sets the alternate stack and the FPU. From then
 * on its registers are written by the tracer. A command lets the stub carry it
 * out, up to another int3.
 *
 * A fault is let through to the stub's handler, up to its first instruction: the
 * frame that the kernel builds tells the trap number and the error code, which
 * ptrace does not.
 *
 * An interrupt is the reserved signal; the tracer sees it as a stop and drops it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/host_ptrace.h"
#include "common/host_stub.h"
#include "sentry/platform/pf.h"

#define ARCH_X86_64 0xc000003eU
#define NO_SYSCALL ((unsigned long long)-1)

static bool dead(struct pf_thread *t)
{
	return atomic_load(&t->space->dead);
}

/* --- stops ------------------------------------------------------------------------------ */

/* The next stop: its signal (bit 7: a system call), or -ESRCH. */
static int next_stop(struct pf_thread *t)
{
	for (;;) {
		int status;

		if (host_ptrace_wait(t->tid, &status) < 0 || !WIFSTOPPED(status))
			return -ESRCH;
		/* A group stop (somebody sent SIGSTOP from outside) ends by itself. */
		if (status >> 16 == 0)
			return WSTOPSIG(status);
		if (host_ptrace_cont(t->tid, 0) < 0)
			return -ESRCH;
	}
}

/* Runs the stub's own code up to an int3. Its faults are its own business. */
static int run_to_trap(struct pf_thread *t)
{
	for (;;) {
		int sig = next_stop(t);

		if (sig < 0 || sig == SIGTRAP)
			return min(sig, 0);
		if (sig == STUB_SIG_INTERRUPT)
			sig = 0;
		if (host_ptrace_cont(t->tid, sig & 0x7f) < 0)
			return -ESRCH;
	}
}

/* --- commands --------------------------------------------------------------------------------- */

static int set_stub_regs(struct pf_thread *t, uint32_t entry)
{
	struct user_regs_struct r = t->regs;

	r.rip = pf.text + entry;
	r.rdi = t->stub_mbox;
	r.rsp = t->stub_mbox + SLOT_SIZE / 2;
	r.eflags = 0x202;
	r.orig_rax = NO_SYSCALL;
	t->dirty |= DIRTY_REGS;
	return host_ptrace_setregs(t->tid, &r) < 0 ? -ESRCH : 0;
}

static int ptrace_post(struct pf_thread *t, enum stub_cmd cmd)
{
	if (dead(t))
		return -ESRCH;
	if (!t->traced)
		return systrap_ops.post(t, cmd);
	t->mbox->cmd = cmd;
	if (set_stub_regs(t, pf.image->serve) < 0 || host_ptrace_cont(t->tid, 0) < 0)
		return -ESRCH;
	return 0;
}

static int ptrace_finish(struct pf_thread *t)
{
	return t->traced ? run_to_trap(t) : systrap_ops.finish(t);
}

static bool ptrace_finished(struct pf_thread *t)
{
	return t->traced ? host_ptrace_stopped(t->tid) : systrap_ops.finished(t);
}

/* --- registers ---------------------------------------------------------------------------------- */

/* Brings the frame in the slot up to date from the stopped tracee. */
static int ptrace_sync_frame(struct pf_thread *t)
{
	char image[SLOT_STACK_SIZE / 2] __attribute__((aligned(64)));
	ssize_t n;

	if (!t->traced)
		return 0;
	if (!t->frame_fresh) {
		t->frame = frame_build(t->mbox, t->stub_mbox);
		fpu_initial(image);
		n = host_ptrace_getxstate(t->tid, image, fpu_size() - sizeof(uint32_t));
		if (n < 0)
			return -ESRCH;
		fpu_seal(image);
		n = frame_fpu_set(t, image, fpu_size());
		if (n < 0)
			return (int)n;
		t->frame_fresh = true;
	}
	frame_store(frame_at(t->mbox, t->frame), &t->regs);
	return 0;
}

static void load_fpu(struct pf_thread *t)
{
	char image[SLOT_STACK_SIZE / 2] __attribute__((aligned(64)));

	if (frame_fpu_get(t, image, sizeof(image)) < 0)
		fpu_initial(image);
	/* Contents that the host refuses leave the state as it is. */
	(void)!host_ptrace_setxstate(t->tid, image, fpu_size() - sizeof(uint32_t));
}

static int put_regs(struct pf_thread *t)
{
	struct user_regs_struct r = t->regs;

	if (t->fpu_dirty)
		load_fpu(t);
	t->fpu_dirty = false;
	t->frame_fresh = false;
	r.orig_rax = NO_SYSCALL;
	r.eflags = (r.eflags & 0x40dd5) | 0x202;
	if (t->dirty && host_ptrace_setregs(t->tid, &r) < 0)
		return -ESRCH;
	t->dirty = 0;
	return 0;
}

/* --- entering --------------------------------------------------------------------------------------- */

/* The first run. The frame sends the stub to its int3. */
static int start_tracing(struct pf_thread *t)
{
	struct user_regs_struct r = t->regs;
	int status;

	r.rip = pf.text + pf.image->trap;
	r.eflags = 0x202;
	frame_store(frame_at(t->mbox, t->frame), &r);
	t->mbox->uc = t->frame;
	t->mbox->set_rax = t->mbox->set_base = t->mbox->nlate = 0;
	if (host_ptrace_seize(t->tid) < 0 || systrap_ops.post(t, CMD_RUN) < 0)
		return -ESRCH;
	if (host_ptrace_wait(t->tid, &status) < 0 || !WIFSTOPPED(status))
		return -ESRCH;
	t->traced = true;
	t->dirty |= DIRTY_REGS;
	/* Anything but the int3 is an interrupt that came early; go on to it. */
	while (WSTOPSIG(status) != SIGTRAP)
		if (host_ptrace_cont(t->tid, 0) < 0 || host_ptrace_wait(t->tid, &status) < 0 ||
		    !WIFSTOPPED(status))
			return -ESRCH;
	return 0;
}

/* --- events ----------------------------------------------------------------------------------------- */

static int event_syscall(struct pf_thread *t, struct pf_event *event)
{
	COUNT(syscalls);
	event->kind = PF_SYSCALL;
	t->step_syscall = t->step;
	if (host_ptrace_syscall_arch(t->tid) != ARCH_X86_64)
		t->regs.orig_rax = 0x7fffffff;
	else
		t->regs.orig_rax = (unsigned long long)(long long)(int)t->regs.orig_rax;
	t->regs.rax = t->regs.orig_rax;
	return 0;
}

/* From the vsyscall page: the filter sees it, the tracer does not. */
static void event_sigsys(struct pf_thread *t, const siginfo_t *si, struct pf_event *event)
{
	COUNT(syscalls);
	event->kind = PF_SYSCALL;
	t->regs.orig_rax = (unsigned long long)(long long)si->si_syscall;
}

static int event_fault(struct pf_thread *t, int sig, struct pf_event *event)
{
	struct user_regs_struct handler;
	const struct stub_frame *f;
	uint64_t off;

	COUNT(faults);
	/* Into the handler, where the kernel stops it before its first instruction. */
	if (host_ptrace_step(t->tid, sig) < 0 || next_stop(t) != SIGTRAP ||
	    host_ptrace_getregs(t->tid, &handler) < 0)
		return -ESRCH;
	host_ptrace_setsigmask(t->tid, 0);
	off = handler.rdx - t->stub_mbox;
	if (handler.rip != pf.text + pf.image->signal || off > SLOT_SIZE ||
	    !frame_valid((uint32_t)off))
		return -EPROTO;
	t->frame = (uint32_t)off;
	t->frame_fresh = true;
	t->fpu_dirty = true; /* the handler starts with a clean one */
	t->dirty |= DIRTY_REGS;
	f = frame_at(t->mbox, t->frame);
	event->trapno = f->uc.mc.trapno;
	event->error_code = f->uc.mc.err;
	return 0;
}

static int event_signal(struct pf_thread *t, int sig, struct pf_event *event)
{
	siginfo_t si;

	event->signo = sig;
	if (sig == STUB_SIG_INTERRUPT) {
		COUNT(interrupts);
		event->kind = PF_INTERRUPT;
		return 0;
	}
	if (host_ptrace_getsiginfo(t->tid, &si) < 0)
		return -ESRCH;
	if (sig == SIGSYS) {
		event_sigsys(t, &si, event);
		return 0;
	}
	event->kind = PF_FAULT;
	event->code = si.si_code;
	event->addr = (uint64_t)si.si_addr;
	if (sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL)
		return event_fault(t, sig, event);
	COUNT(faults);
	event->trapno = si.si_code == SI_KERNEL ? 3 : 1;
	return 0;
}

static int read_event(struct pf_thread *t, struct pf_event *event)
{
	int sig = next_stop(t);

	if (sig < 0 || host_ptrace_getregs(t->tid, &t->regs) < 0)
		return -ESRCH;
	t->loaded_fs = t->regs.fs_base;
	t->loaded_gs = t->regs.gs_base;
	if (sig == (SIGTRAP | 0x80))
		return event_syscall(t, event);
	t->regs.orig_rax = NO_SYSCALL;
	return event_signal(t, sig, event);
}

/* Not every death comes through the reaper first. */
static void event_death(struct pf_thread *t, struct pf_event *event)
{
	int status;

	pf_space_kill(t->space);
	while (t->traced && host_ptrace_wait(t->tid, &status) == 0 && WIFSTOPPED(status))
		;
	t->traced = false;
	space_wait_dead(t->space);
	*event = (struct pf_event){.kind = PF_DEATH, .wait_status = t->space->wait_status};
}

static int enter(struct pf_thread *t)
{
	if (dead(t))
		return -ESRCH;
	if (t->nlate && flush_late(t) < 0) {
		t->regs.rax = (unsigned long long)-EFAULT;
		t->dirty |= DIRTY_RESULT;
	}
	if (!t->traced && start_tracing(t) < 0)
		return -ESRCH;
	if (put_regs(t) < 0 || host_ptrace_sysemu(t->tid, t->step) < 0)
		return -ESRCH;
	return 0;
}

static void ptrace_run(struct pf_thread *t, struct pf_event *event)
{
	uint64_t since;
	uint32_t cpu;

	atomic_store(&t->in_guest, 1);
	if (atomic_exchange(&t->interrupt, 0)) {
		atomic_store(&t->in_guest, 0);
		event->kind = PF_INTERRUPT;
		return;
	}
	t->ncopies = 0;
	t->window_used = 0;
	(void)place_before(t);
	since = __builtin_ia32_rdtscp(&cpu);
	if (enter(t) < 0 || read_event(t, event) < 0)
		event_death(t, event);
	place_after(t, cpu, __builtin_ia32_rdtsc() - since);
	atomic_store(&t->in_guest, 0);
	if (event->kind == PF_INTERRUPT)
		atomic_store(&t->interrupt, 0);
}

/* Leaves the thread as an untraced one that waits in the stub. */
static void ptrace_exit(struct pf_thread *t)
{
	if (t->traced && !dead(t)) {
		__atomic_store_n(&t->mbox->turn, TURN_SENTRY, __ATOMIC_SEQ_CST);
		if (set_stub_regs(t, pf.image->park) == 0)
			host_ptrace_detach(t->tid);
	}
	t->traced = false;
	systrap_ops.exit(t);
}

static void ptrace_attach(struct pf_thread *t)
{
	place_attach(t);
}

static void ptrace_fpu_changed(struct pf_thread *t)
{
	t->fpu_dirty = true;
}

static void ptrace_kick(struct pf_thread *t)
{
	systrap_ops.kick(t);
}

const struct pf_ops ptrace_ops = {
    .name = "ptrace",
    .traces = true,
    .attach = ptrace_attach,
    .run = ptrace_run,
    .kick = ptrace_kick,
    .post = ptrace_post,
    .finish = ptrace_finish,
    .finished = ptrace_finished,
    .sync_frame = ptrace_sync_frame,
    .fpu_changed = ptrace_fpu_changed,
    .exit = ptrace_exit,
};
