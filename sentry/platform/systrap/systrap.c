/*
 * systrap: guest code runs freely in its stub process; its system calls come as
 * SIGSYS from the seccomp filter, its faults as the host's signals. The stub's
 * handler hands over through the slot's mailbox and waits for commands.
 *
 * The turn is a word in shared memory that both sides set for each other. Each
 * side spins for a while, then sleeps on it:
 *
 *	giver				taker
 *	turn = other			sleeps = 1
 *	if (sleeps) futex_wake		if (turn != mine) futex_wait(turn)
 *
 * Both sides exchange atomically (a full barrier) before they look, so one of
 * them sees the other. A hostile stub can set the words to anything: then the
 * sentry thread reads a frame too early or too often, or waits as it would for a
 * guest in an endless loop; death and pf_space_kill end every wait, because the
 * reaper sets the turn when no stub can write it any more.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/host_shared.h"
#include "common/host_stub.h"
#include "sentry/platform/pf.h"

#define ARCH_X86_64 0xc000003eU

/* --- hand-over ------------------------------------------------------------------------ */

static uint32_t turn_of(struct pf_thread *t)
{
	return __atomic_load_n(&t->mbox->turn, __ATOMIC_ACQUIRE);
}

static void give(struct pf_thread *t, enum stub_cmd cmd, uint32_t spin)
{
	struct mbox *m = t->mbox;

	m->cmd = cmd;
	m->spin = spin;
	__atomic_exchange_n(&m->turn, TURN_STUB, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&m->stub_sleeps, __ATOMIC_ACQUIRE))
		host_shared_futex_wake(&m->turn);
}

static void sleep_for_turn(struct pf_thread *t)
{
	struct mbox *m = t->mbox;

	COUNT(sleeps);
	__atomic_exchange_n(&m->sentry_sleeps, 1, __ATOMIC_SEQ_CST);
	while (!atomic_load(&t->space->dead)) {
		uint32_t turn = turn_of(t);

		if (turn == TURN_SENTRY)
			break;
		host_shared_futex_wait(&m->turn, turn);
	}
	__atomic_store_n(&m->sentry_sleeps, 0, __ATOMIC_RELAXED);
}

/* False: the process is dead. */
static bool take(struct pf_thread *t)
{
	if (!place_spin(t, &t->mbox->turn, TURN_SENTRY))
		sleep_for_turn(t);
	return !atomic_load(&t->space->dead);
}

static int systrap_post(struct pf_thread *t, enum stub_cmd cmd)
{
	if (atomic_load(&t->space->dead))
		return -ESRCH;
	give(t, cmd, 0);
	return 0;
}

static bool systrap_finished(struct pf_thread *t)
{
	return turn_of(t) == TURN_SENTRY;
}

static int systrap_finish(struct pf_thread *t)
{
	return take(t) ? 0 : -ESRCH;
}

/* --- events ------------------------------------------------------------------------------- */

static void event_syscall(struct pf_thread *t, const siginfo_t *si, struct pf_event *event)
{
	COUNT(syscalls);
	event->kind = PF_SYSCALL;
	t->step_syscall = t->step;
	if (si->si_arch == ARCH_X86_64)
		t->regs.orig_rax = (unsigned long long)(long long)si->si_syscall;
	else
		t->regs.orig_rax = 0x7fffffff; /* a 32-bit call: no such number */
}

static void event_fault(struct pf_thread *t, const siginfo_t *si, struct pf_event *event)
{
	const struct stub_sigcontext *s = &frame_at(t->mbox, t->frame)->uc.mc;

	COUNT(faults);
	event->kind = PF_FAULT;
	event->code = si->si_code;
	event->addr = (uint64_t)si->si_addr;
	event->trapno = s->trapno;
	event->error_code = s->err;
}

static void read_copies(struct pf_thread *t)
{
	uint32_t n = __atomic_load_n(&t->mbox->ncopies, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < n && i < ARRAY_SIZE(t->copies); i++) {
		struct stub_copy c = t->mbox->copies[i];

		if (c.off < SLOT_WINDOW || c.off > SLOT_STACK || c.len > SLOT_STACK - c.off)
			continue;
		t->copies[t->ncopies++] = c;
		t->window_used = max(t->window_used, c.off + c.len - SLOT_WINDOW);
	}
}

/* Reads what the handler published, each word once. False: nonsense. */
static bool read_event(struct pf_thread *t, struct pf_event *event)
{
	struct mbox *m = t->mbox;
	uint32_t uc = __atomic_load_n(&m->uc, __ATOMIC_RELAXED);
	int sig = (int)__atomic_load_n(&m->sig, __ATOMIC_RELAXED);
	siginfo_t si;

	if (!frame_valid(uc))
		return false;
	t->frame = uc;
	frame_load(frame_at(m, uc), &t->regs);
	t->regs.orig_rax = (unsigned long long)-1;
	t->regs.fs_base = t->loaded_fs = m->fs_base;
	t->regs.gs_base = t->loaded_gs = m->gs_base;
	place_after(t, m->cpu, m->event_tsc - m->run_tsc);
	t->ncopies = 0;
	t->window_used = 0;
	if (m->late_failed) {
		m->late_failed = 0;
		t->late_failed = true;
	}
	event->signo = sig;
	if (sig == STUB_SIG_INTERRUPT) {
		COUNT(interrupts);
		event->kind = PF_INTERRUPT;
		return true;
	}
	__builtin_memcpy(&si, frame_at(m, uc)->info, sizeof(si));
	if (sig == SIGSYS) {
		read_copies(t);
		event_syscall(t, &si, event);
	} else {
		event_fault(t, &si, event);
	}
	return true;
}

static void event_death(struct pf_thread *t, struct pf_event *event)
{
	while (!atomic_load(&t->space->dead))
		sleep_for_turn(t);
	*event = (struct pf_event){.kind = PF_DEATH, .wait_status = t->space->wait_status};
}

/* --- running ---------------------------------------------------------------------------- */

static void store_regs(struct pf_thread *t)
{
	struct mbox *m = t->mbox;

	m->uc = t->frame;
	m->set_rax = 0;
	m->set_base = 0;
	if (t->dirty & DIRTY_REGS) {
		if (t->step)
			t->regs.eflags |= 0x100;
		frame_store(frame_at(m, t->frame), &t->regs);
	} else if (t->dirty & DIRTY_RESULT) {
		m->rax = t->regs.rax;
		m->set_rax = 1;
	}
	if (t->dirty & (DIRTY_REGS | DIRTY_BASE) &&
	    (t->regs.fs_base != t->loaded_fs || t->regs.gs_base != t->loaded_gs)) {
		m->fs_base = t->regs.fs_base;
		m->gs_base = t->regs.gs_base;
		m->set_base = 1;
	}
	m->nlate = t->nlate;
	memcpy(m->late, t->late, t->nlate * sizeof(t->late[0]));
	t->nlate = 0;
	m->nlate_calls = t->nlate_calls;
	t->late_next = false;
	t->nlate_calls = 0;
	t->dirty = 0;
}

/*
 * An interrupt is never lost:
 *
 *	pf_run				pf_interrupt
 *	in_guest = 1			interrupt = 1
 *	if (interrupt) return it	if (in_guest) signal the stub thread
 *
 * The signal is blocked while the stub thread is in its handler, so one that
 * comes early is taken on the first guest instruction.
 */
static void systrap_run(struct pf_thread *t, struct pf_event *event)
{
	atomic_store(&t->in_guest, 1);
	if (atomic_exchange(&t->interrupt, 0)) {
		atomic_store(&t->in_guest, 0);
		event->kind = PF_INTERRUPT;
		return;
	}
	store_regs(t);
	give(t, CMD_RUN, place_before(t));
	if (!take(t)) {
		event_death(t, event);
	} else if (!read_event(t, event)) {
		pf_space_kill(t->space);
		event_death(t, event);
	}
	atomic_store(&t->in_guest, 0);
	if (event->kind == PF_INTERRUPT)
		atomic_store(&t->interrupt, 0);
}

static void systrap_kick(struct pf_thread *t)
{
	if (!space_use(t->space))
		return;
	host_tgkill(t->space->pid, t->tid, STUB_SIG_INTERRUPT);
	space_unuse(t->space);
}

/* The main thread stays, stopped: the process is addressed by its id. Others may be used again. */
static void systrap_exit(struct pf_thread *t)
{
	place_leave(t);
	if (!t->leader && !atomic_load(&t->space->dead) && !space_park(t))
		give(t, CMD_EXIT, 0);
}

static void systrap_attach(struct pf_thread *t)
{
	place_attach(t);
}

static int systrap_sync_frame(struct pf_thread *t)
{
	return 0;
}

static void systrap_fpu_changed(struct pf_thread *t)
{
}

const struct pf_ops systrap_ops = {
    .name = "systrap",
    .late_calls = true,
    .attach = systrap_attach,
    .run = systrap_run,
    .kick = systrap_kick,
    .post = systrap_post,
    .finish = systrap_finish,
    .finished = systrap_finished,
    .sync_frame = systrap_sync_frame,
    .fpu_changed = systrap_fpu_changed,
    .exit = systrap_exit,
};
