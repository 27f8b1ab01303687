/*
 * The stub: the only code of ours that runs in a guest process. It takes the
 * host's signals, tells the sentry through the thread's slot, and does what the
 * sentry then asks for, until it is told to go back to guest code.
 *
 * It has no variables: all state is in the slot, found by masking the stack
 * pointer. Guest code can read and write all of this and can jump to any
 * instruction here with any registers; nothing in the stub protects the
 * sentry, the seccomp filter does. So the stub checks only what a
 * well-behaved guest needs.
 */
#include "sentry/platform/stub/stub.h"

#define HIDDEN __attribute__((visibility("hidden")))

enum { NR_mmap = 9, NR_munmap = 11, NR_close = 3, NR_exit = 60, NR_futex = 202 };
enum { NR_arch_prctl = 158, NR_seccomp = 317, NR_mseal = 462, NR_clone = 56 };
enum { SIG_BUS = 7, SIG_SEGV = 11, SIG_SYS = 31 };
enum { E_FAULT = 14, E_AGAIN = 11 };

extern const struct stub_config stub_config HIDDEN;
extern const uint32_t stub_fixups[][2] HIDDEN;
extern const uint32_t stub_fixups_end[][2] HIDDEN;
extern const char stub_header[] HIDDEN;

HIDDEN long stub_syscall(long nr, long a, long b, long c, long d, long e, long f);
HIDDEN void stub_sigreturn(struct stub_ucontext *uc) __attribute__((noreturn));
HIDDEN long stub_clone_thread(unsigned long flags, struct mbox *child);
HIDDEN long stub_clone_process(unsigned long flags, uint64_t arena, uint64_t nonce);
HIDDEN unsigned long stub_copy(void *to, const void *from, unsigned long n);
HIDDEN long stub_copy_string(char *to, const char *from, unsigned long max);
HIDDEN long stub_cmpxchg(uint64_t addr, uint32_t expect, uint32_t new_value, uint32_t *old);

HIDDEN void stub_signal(int sig, void *info, struct stub_ucontext *uc);
HIDDEN void stub_child(struct mbox *m);
HIDDEN void stub_main(struct mbox *m, void *prog);
HIDDEN void stub_serve_once(struct mbox *m);

#define LOAD(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define SWAP(p, v) __atomic_exchange_n(&(p), (v), __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELAXED)

static struct mbox *mbox_of(const void *in_slot)
{
	return (struct mbox *)((uint64_t)in_slot & ~(SLOT_SIZE - 1));
}

static char *window(struct mbox *m)
{
	return (char *)m + SLOT_WINDOW;
}

/* --- hand-over ----------------------------------------------------------------------- */

static void futex_wait(uint32_t *word, uint32_t value)
{
	stub_syscall(NR_futex, (long)word, 0, value, 0, 0, 0);
}

static void futex_wake(uint32_t *word)
{
	stub_syscall(NR_futex, (long)word, 1, 1, 0, 0, 0);
}

static void wait_for_turn(struct mbox *m)
{
	for (uint32_t i = LOAD(m->spin); i > 0; i--) {
		if (LOAD(m->turn) == TURN_STUB)
			return;
		__builtin_ia32_pause();
	}
	SWAP(m->stub_sleeps, 1);
	for (;;) {
		uint32_t turn = LOAD(m->turn);

		if (turn == TURN_STUB)
			break;
		futex_wait(&m->turn, turn);
	}
	STORE(m->stub_sleeps, 0);
}

static void hand_over(struct mbox *m)
{
	SWAP(m->turn, TURN_SENTRY);
	if (LOAD(m->sentry_sleeps))
		futex_wake(&m->turn);
}

/* --- commands --------------------------------------------------------------------------- */

/* The asks behind a failed call will not come. */
static void calls_failed(struct mbox *m, uint32_t i, uint32_t n)
{
	int64_t error = m->calls[i].result;

	for (i++; i < n && i < STUB_CALLS; i++) {
		if (m->calls[i].nr == STUB_ASK) {
			stub_syscall(STUB_ASK, ASK_FAILED, error, 0, 0, 0, 0);
			break;
		}
	}
}

static void do_calls(struct mbox *m)
{
	uint32_t n = m->ncalls;

	for (uint32_t i = 0; i < n && i < STUB_CALLS; i++) {
		struct stub_call *c = &m->calls[i];

		c->result =
		    stub_syscall((long)c->nr, (long)c->arg[0], (long)c->arg[1], (long)c->arg[2],
				 (long)c->arg[3], (long)c->arg[4], (long)c->arg[5]);
		if (c->result < 0 && c->result >= -4095) {
			calls_failed(m, i, n);
			break;
		}
	}
}

static void do_fork(struct mbox *m)
{
	struct stub_call *c = &m->calls[0];
	long r = stub_clone_process(STUB_FORK_FLAGS, c->arg[0], c->arg[1]);

	/* The sentry waits for a notification either way. */
	if (r < 0)
		stub_syscall(STUB_ASK, ASK_FAILED, r, 0, 0, 0, 0);
	c->result = r;
}

static void do_command(struct mbox *m)
{
	struct stub_call *c = &m->calls[0];

	switch (m->cmd) {
	case CMD_CALLS:
		do_calls(m);
		break;
	case CMD_CMPXCHG: {
		uint32_t old = 0;

		c->result = stub_cmpxchg(c->arg[0], (uint32_t)c->arg[1], (uint32_t)c->arg[2], &old);
		c->arg[3] = old;
		break;
	}
	case CMD_THREAD:
		c->result = stub_clone_thread(STUB_THREAD_FLAGS, (struct mbox *)c->arg[0]);
		break;
	case CMD_FORK:
		do_fork(m);
		break;
	}
}

/* Ends the thread. After the hand-over the slot may belong to another one: registers only. */
static void do_exit(struct mbox *m)
{
	hand_over(m);
	for (;;)
		__asm__ volatile("syscall" : : "a"(NR_exit), "D"(0) : "rcx", "r11", "memory");
}

/* --- back to the guest ------------------------------------------------------------------- */

static void set_bases(struct mbox *m)
{
	if (stub_config.fsgsbase) {
		__asm__ volatile("wrfsbase %0" : : "r"(m->fs_base));
		__asm__ volatile("wrgsbase %0" : : "r"(m->gs_base));
	} else {
		stub_syscall(NR_arch_prctl, 0x1002, (long)m->fs_base, 0, 0, 0, 0);
		stub_syscall(NR_arch_prctl, 0x1001, (long)m->gs_base, 0, 0, 0, 0);
	}
}

static void get_bases(struct mbox *m)
{
	if (stub_config.fsgsbase) {
		__asm__ volatile("rdfsbase %0" : "=r"(m->fs_base));
		__asm__ volatile("rdgsbase %0" : "=r"(m->gs_base));
	} else {
		stub_syscall(NR_arch_prctl, 0x1003, (long)&m->fs_base, 0, 0, 0, 0);
		stub_syscall(NR_arch_prctl, 0x1004, (long)&m->gs_base, 0, 0, 0, 0);
	}
}

static void late_copies(struct mbox *m, struct stub_ucontext *uc)
{
	uint32_t n = m->nlate;

	m->nlate = 0;
	for (uint32_t i = 0; i < n && i < STUB_LATE; i++) {
		struct stub_copy *l = &m->late[i];

		if (stub_copy((void *)l->addr, (char *)m + l->off, l->len) != 0) {
			uc->mc.ax = (uint64_t)-E_FAULT;
			return;
		}
	}
}

/* Layout calls that the sentry did not wait for; a failure is the system call's result. */
static void late_calls(struct mbox *m, struct stub_ucontext *uc)
{
	uint32_t n = m->nlate_calls;

	m->nlate_calls = 0;
	for (uint32_t i = 0; i < n && i < STUB_CALLS; i++) {
		struct stub_call *c = &m->calls[i];
		long r =
		    stub_syscall((long)c->nr, (long)c->arg[0], (long)c->arg[1], (long)c->arg[2],
				 (long)c->arg[3], (long)c->arg[4], (long)c->arg[5]);

		if (r < 0 && r >= -4095) {
			uc->mc.ax = (uint64_t)r;
			m->late_failed = 1;
			return;
		}
	}
}

/* Serves commands until it is time to run guest code again. */
static void serve(struct mbox *m)
{
	struct stub_ucontext *uc;

	for (;;) {
		wait_for_turn(m);
		if (m->cmd == CMD_RUN)
			break;
		if (m->cmd == CMD_EXIT)
			do_exit(m);
		do_command(m);
		hand_over(m);
	}
	uc = (struct stub_ucontext *)((char *)m + m->uc);
	if (m->set_rax)
		uc->mc.ax = m->rax;
	if (m->nlate_calls)
		late_calls(m, uc);
	if (m->nlate)
		late_copies(m, uc);
	if (m->set_base)
		set_bases(m);
	m->run_tsc = __builtin_ia32_rdtsc();
	stub_sigreturn(uc);
}

/* ptrace: the tracer posted a command and runs this; the int3 behind it is the answer. */
void stub_serve_once(struct mbox *m)
{
	do_command(m);
}

/* --- arguments ------------------------------------------------------------------------- */

static uint32_t copy_arg(struct mbox *m, const struct stub_arg_rule *r, uint64_t addr, uint64_t len,
			 uint32_t used)
{
	uint32_t room = SLOT_WINDOW_SIZE - used;
	struct stub_copy *c = &m->copies[m->ncopies];
	uint64_t want = r->fixed;
	long got;

	if (r->kind == STUB_ARG_STRING) {
		got = stub_copy_string(window(m) + used, (const char *)addr,
				       room < 4096 ? room : 4096);
		if (got < 0)
			return 0;
		want = (uint64_t)got;
	} else {
		if (r->kind == STUB_ARG_IN_LEN)
			want = len;
		if (want == 0 || want > room)
			return 0;
		if (stub_copy(window(m) + used, (const void *)addr, want) != 0)
			return 0;
	}
	c->addr = addr;
	c->off = SLOT_WINDOW + used;
	c->len = (uint32_t)want;
	m->ncopies++;
	return (uint32_t)((want + 63) & ~63ULL);
}

static void copy_args(struct mbox *m, const struct stub_ucontext *uc)
{
	const struct stub_sigcontext *s = &uc->mc;
	uint64_t nr = s->ax;
	uint32_t used = 0;

	if (nr >= STUB_NSYSCALLS || !stub_config.has_rule[nr])
		return;
	uint64_t arg[6] = {s->di, s->si, s->dx, s->r10, s->r8, s->r9};

	for (int i = 0; i < 6; i++) {
		const struct stub_arg_rule *r = &stub_config.rule[nr][i];

		if (r->kind != STUB_ARG_NONE && arg[i] != 0 && used < SLOT_WINDOW_SIZE)
			used += copy_arg(m, r, arg[i], arg[r->len_arg < 6 ? r->len_arg : 0], used);
	}
}

/* --- entries ------------------------------------------------------------------------------- */

/* A fault of the stub itself while it touched guest memory: go on behind it. */
static int fix_up(struct stub_ucontext *uc)
{
	uint64_t off = uc->mc.ip - (uint64_t)stub_header;

	for (const uint32_t(*f)[2] = stub_fixups; f < stub_fixups_end; f++) {
		if ((*f)[0] == off) {
			uc->mc.ip = (uint64_t)stub_header + (*f)[1];
			return 1;
		}
	}
	return 0;
}

void stub_signal(int sig, void *info, struct stub_ucontext *uc)
{
	struct mbox *m = mbox_of(uc);

	if ((sig == SIG_SEGV || sig == SIG_BUS) && fix_up(uc))
		stub_sigreturn(uc);
	m->sig = (uint32_t)sig;
	m->uc = (uint32_t)((uint64_t)uc - (uint64_t)m);
	m->ncopies = 0;
	m->event_tsc = __builtin_ia32_rdtscp(&m->cpu);
	get_bases(m);
	if (sig == SIG_SYS)
		copy_args(m, uc);
	hand_over(m);
	serve(m);
}

/* A new thread or process: stopped until the sentry wants it to run. */
void stub_child(struct mbox *m)
{
	serve(m);
}

/* --- the template's start ----------------------------------------------------------------- */

/* Unmaps [lo, hi) but for the ranges that the stub keeps, which are sorted. */
static void unmap_rest(struct mbox *m)
{
	const struct stub_config *c = &stub_config;
	uint64_t text_end = ((uint64_t)(c + 1) + 4095) & ~4095ULL;
	uint64_t at = (uint64_t)m;

	stub_syscall(NR_munmap, 0, (long)at, 0, 0, 0, 0);
	at += ARENA_SIZE;
	stub_syscall(NR_munmap, (long)at, (long)(c->text - at), 0, 0, 0, 0);
	at = text_end;
	if (c->vdso_hi) {
		stub_syscall(NR_munmap, (long)at, (long)(c->vdso_lo - at), 0, 0, 0, 0);
		at = c->vdso_hi;
	}
	stub_syscall(NR_munmap, (long)at, (long)(PF_HI - at), 0, 0, 0, 0);
	if (c->mseal)
		stub_syscall(NR_mseal, (long)c->text, (long)(text_end - c->text), 0, 0, 0, 0);
}

/*
 * From here on the process is a stub. `prog` (a sock_fprog in the window) becomes its filter;
 * the listener is the first free fd, which is STUB_FD, since all are closed. The sentry fetches
 * it, then hands over the turn.
 */
void stub_main(struct mbox *m, void *prog)
{
	long r;

	unmap_rest(m);
	r = stub_syscall(NR_seccomp, 1, 8 /* NEW_LISTENER */, (long)prog, 0, 0, 0);
	m->calls[0].result = r;
	hand_over(m);
	if (r != STUB_FD)
		stub_syscall(NR_exit, 1, 0, 0, 0, 0, 0);
	wait_for_turn(m);
	stub_syscall(NR_close, STUB_FD, 0, 0, 0, 0, 0);
	hand_over(m);
	stub_child(m);
	__builtin_unreachable();
}
