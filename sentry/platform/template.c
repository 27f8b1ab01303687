/*
 * The template: the first stub, ancestor of all zygotes. It is a fork of the
 * sentry that maps the stub, installs the handlers, and then leaves for the
 * stub's text, which unmaps everything else and takes on the seccomp filter.
 *
 * All this happens before the sentry confines itself, so the host calls here
 * have no wrappers and no tags. The child inherits the sentry's namespaces, uid
 * and empty capability sets.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_shared.h"
#include "common/host_stub.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/platform/filter.h"
#include "sentry/platform/pf.h"

extern const char stub_image[];

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE (1 << 1)
#endif

#define VDSO_MAX (32 * GUEST_PAGE)

struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

static uint64_t random_offset(uint64_t span, uint64_t align)
{
	uint64_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		panic("no random numbers");
	return ROUND_DOWN(n % span, align);
}

/* A random place for n bytes where the sentry, of which the stub is a fork, has nothing. */
static int choose_place(uint64_t lo, uint64_t n, uint64_t align, uint64_t *place)
{
	for (int i = 0; i < 100; i++) {
		uint64_t at = lo + random_offset(STUB_RANDOM_SPAN - n, align);
		void *p =
		    mmap((void *)at, n, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

		if (p == MAP_FAILED)
			continue;
		munmap(p, n);
		if (p == (void *)at) {
			*place = at;
			return 0;
		}
	}
	return -EEXIST;
}

static int choose_addresses(void)
{
	int r;

	pf.image = (const void *)stub_image;
	pf.text_size = pf.image->text_size;
	pf.image_size = pf.text_size + ROUND_UP(sizeof(struct stub_config), GUEST_PAGE);
	pf.fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
	r = choose_place(STUB_BANK_LO, ARENA_SIZE, ARENA_SIZE, &pf.bank[0]);
	if (r == 0)
		r = choose_place(STUB_TEXT_LO, pf.image_size, GUEST_PAGE, &pf.text);
	if (r == 0)
		r = choose_place(STUB_VDSO_LO, VDSO_MAX, GUEST_PAGE, &pf.vdso_place);
	pf.bank[1] = pf.bank[0] + STUB_BANK_SIZE;
	return r;
}

/* --- the vDSO ----------------------------------------------------------------------------- */

/* The kernel refuses this advice for its special mappings, and for nothing else there. */
static bool is_special(uint64_t page)
{
	return madvise((void *)page, GUEST_PAGE, MADV_DOFORK) < 0 && errno == EINVAL;
}

/* Moves the mapping that begins at `from`, whose size is not known but that it cannot be split:
 * its size, or 0. */
static uint64_t move_mapping(uint64_t from, uint64_t to, uint64_t limit)
{
	for (uint64_t n = GUEST_PAGE; n <= limit; n += GUEST_PAGE)
		if (mremap((void *)from, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to) !=
		    MAP_FAILED)
			return n;
	return 0;
}

/* In the child: moves vvar and vdso, keeping their distances, into the stub's region. */
static struct pf_vdso move_vdso(uint64_t to)
{
	uint64_t start = getauxval(AT_SYSINFO_EHDR), lo = start, hi = start;
	struct pf_vdso v = {0};

	if (start == 0)
		return v;
	while (start - lo < VDSO_MAX / 2 && is_special(lo - GUEST_PAGE))
		lo -= GUEST_PAGE;
	for (uint64_t at = lo; at <= start;) {
		uint64_t n = move_mapping(at, to + (at - lo), VDSO_MAX / 2);

		if (n == 0)
			return v;
		at += n;
		hi = at;
	}
	v.vvar_start = to;
	v.vvar_size = start - lo;
	v.start = to + v.vvar_size;
	v.size = hi - start;
	return v;
}

/* --- in the child ----------------------------------------------------------------------------- */

static int map_image(const struct stub_config *config)
{
	char *p = mmap((void *)pf.text, pf.image_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (char *)pf.text)
		return -errno;
	memcpy(p, stub_image, pf.text_size);
	memcpy(p + pf.text_size, config, sizeof(*config));
	if (mprotect(p, pf.text_size, PROT_READ | PROT_EXEC) < 0 ||
	    mprotect(p + pf.text_size, pf.image_size - pf.text_size, PROT_READ) < 0)
		return -errno;
	return 0;
}

static void fill_config(struct stub_config *c, const struct pf_vdso *vdso)
{
	memset(c, 0, sizeof(*c));
	c->text = pf.text;
	c->text_size = pf.text_size;
	c->bank[0] = pf.bank[0];
	c->bank[1] = pf.bank[1];
	if (vdso->start) {
		c->vdso_lo = vdso->vvar_size ? vdso->vvar_start : vdso->start;
		c->vdso_hi = vdso->start + vdso->size;
	}
	c->fsgsbase = pf.fsgsbase;
	c->mseal = 1;
	for (size_t nr = 0; pf.rules && nr < STUB_NSYSCALLS; nr++) {
		for (int i = 0; i < 6; i++) {
			const struct pf_arg_rule *r = &pf.rules[nr].arg[i];

			c->rule[nr][i] = (struct stub_arg_rule){r->kind, r->len_arg, r->fixed};
			c->has_rule[nr] |= r->kind != PF_ARG_NONE;
		}
	}
}

static int set_handlers(void)
{
	static const int signals[] = {SIGSYS,  SIGSEGV,		  SIGBUS, SIGFPE, SIGILL,
				      SIGTRAP, STUB_SIG_INTERRUPT};
	uint64_t interrupt = 1ULL << (STUB_SIG_INTERRUPT - 1);
	struct kernel_sigaction sa = {
	    .handler = pf.text + pf.image->signal,
	    .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | 0x04000000 /* SA_RESTORER */,
	    .restorer = pf.text + pf.image->restorer,
	    .mask = interrupt,
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (syscall(SYS_rt_sigaction, signals[i], &sa, NULL, 8) < 0)
			return -errno;
	return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &interrupt, NULL, 8) < 0 ? -errno : 0;
}

/* The filter lies in the window, where the stub hands it to the kernel. */
static uint64_t place_filter(struct mbox *m)
{
	char *window = MBOX_AT(m, SLOT_WINDOW);
	struct sock_fprog *prog = (void *)window;
	struct sock_filter *insns = (void *)(window + 64);

	prog->len =
	    (unsigned short)stub_filter(insns, pf.text, pf.text + pf.text_size, pf.fsgsbase);
	prog->filter = insns;
	return (uint64_t)prog;
}

/* What libc told the kernel about memory that is about to go. */
static void forget_libc(void)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	sigaltstack(&none, NULL);
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1,
			RSEQ_SIG);
	syscall(SYS_set_robust_list, NULL, 24);
	syscall(SYS_set_tid_address, NULL);
}

static int become_stub(pid_t parent, int arena_fd)
{
	static struct stub_config config;
	struct mbox *m = (struct mbox *)pf.bank[0];
	struct pf_vdso vdso;
	uint64_t prog;
	int r;

	if (mmap(m, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, arena_fd,
		 0) != (void *)m ||
	    madvise(m, ARENA_SIZE, MADV_DONTFORK) < 0)
		return -errno;
	vdso = move_vdso(pf.vdso_place);
	memcpy((void *)m->calls, &vdso, sizeof(vdso));
	fill_config(&config, &vdso);
	r = map_image(&config);
	if (r == 0)
		r = set_handlers();
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NAME, "guest", 0, 0, 0) < 0)
		return -errno;
	if (getppid() != parent)
		return -ESRCH;
	if (syscall(SYS_close_range, 0, ~0U, 0) < 0)
		return -errno;
	prog = place_filter(m);
	forget_libc();
	((void (*)(struct mbox *, uint64_t))(pf.text + pf.image->start))(m, prog);
	return -EINVAL;
}

/* --- in the sentry ------------------------------------------------------------------------------
 */

static int fetch_listener(pid_t pid)
{
	SCOPED_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int fd;

	if (pidfd < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, STUB_FD, 0);
	return fd < 0 ? -errno : fd;
}

/* Waits for the child's turn, or notices its early death: there is no reaper yet. */
static int wait_for_child(struct pf_space *s, struct mbox *m)
{
	for (int ms = 0; ms < 10000; ms++) {
		int status;

		if (__atomic_load_n(&m->turn, __ATOMIC_ACQUIRE) == TURN_SENTRY)
			return 0;
		if (host_wait_peek(s->pid, false, &status) != 0) {
			log_error("the first stub ended early (status %#x)", (unsigned int)status);
			return -EIO;
		}
		usleep(200);
	}
	return -ETIMEDOUT;
}

static int start(struct pf_space *s, struct pf_thread *t, int fd)
{
	struct mbox *m = t->mbox;
	pid_t parent = getpid();
	pid_t pid;
	int64_t r;

	__atomic_store_n(&m->turn, TURN_STUB, __ATOMIC_SEQ_CST);
	m->uc = frame_build(m, t->stub_mbox);
	t->frame = m->uc;
	/* Not fork(): nobody (a sanitizer) is to start threads in the child. */
	pid = (pid_t)syscall(SYS_fork);
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int error = become_stub(parent, fd);

		_exit(-error & 0xff);
	}
	t->tid = pid;
	r = space_born(s, pid);
	if (r == 0)
		r = wait_for_child(s, m);
	if (r < 0)
		return (int)r;
	r = m->calls[0].result;
	if (r != STUB_FD)
		return r < 0 ? (int)r : -EIO;
	memcpy(&pf.vdso, m->calls, sizeof(pf.vdso));
	pf.listener = fetch_listener(pid);
	if (pf.listener < 0)
		return pf.listener;
	__atomic_store_n(&m->turn, TURN_STUB, __ATOMIC_SEQ_CST);
	host_shared_futex_wake(&m->turn);
	return wait_for_child(s, m);
}

int template_start(void)
{
	SCOPED_FD int fd = -1;
	int r;

	if (getauxval(AT_MINSIGSTKSZ) > SLOT_STACK_SIZE / 3 || fpu_size() > SLOT_STACK_SIZE / 3)
		return -E2BIG;
	r = choose_addresses();
	if (r < 0)
		return r;
	r = space_alloc(0, &pf.template_space, &pf.template_thread, &fd);
	if (r == 0)
		r = start(pf.template_space, pf.template_thread, fd);
	return r;
}

void pf_shutdown(void)
{
	if (!pf.template_space)
		return;
	pf_thread_exit(pf.template_thread);
	pf_space_put(pf.template_space);
	pf.template_space = NULL;
	/* The listener stays: a helper thread may still be using it. */
	space_kill_all();
}
