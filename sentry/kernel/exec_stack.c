/*
 * The initial stack: strings on top, then the auxiliary vector, envp, argv and
 * argc, as the x86-64 System V ABI and Linux's binfmt_elf lay them out. It is
 * built in sentry memory and written to the guest by one copy.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include "common/host_random.h"
#include "sentry/core/account.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/nsproxy.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define MAX_ARG_STRLEN (32 * GUEST_PAGE)
#define MIN_ARG_SPACE (128ULL << 10)
#define MAX_ARG_SPACE (6ULL << 20) /* 3/4 of Linux's default stack */
#define HZ_OF_TIMES 100

/* A buffer that is filled from its end downwards; its end is stack_top in the guest. */
struct builder {
	char *buf;
	size_t size, left;
	uint64_t top;
};

static uint64_t guest_address(const struct builder *b)
{
	return b->top - (b->size - b->left);
}

static uint64_t push(struct builder *b, const void *data, size_t n)
{
	assert(n <= b->left);
	b->left -= n;
	memcpy(b->buf + b->left, data, n);
	return guest_address(b);
}

static void skip(struct builder *b, size_t n)
{
	assert(n <= b->left);
	b->left -= n;
}

/* Pushes strings so that the first lies lowest; addr[i] is where each went. */
static void push_strings(struct builder *b, char *const *s, int n, uint64_t *addr)
{
	for (int i = n - 1; i >= 0; i--)
		addr[i] = push(b, s[i], strlen(s[i]) + 1);
}

static int strings_size(char *const *s, int n, uint64_t *sum)
{
	for (int i = 0; i < n; i++) {
		size_t len = strlen(s[i]) + 1;

		if (len > MAX_ARG_STRLEN)
			return -E2BIG;
		*sum += len;
	}
	return 0;
}

static int args_size(const struct exec_args *args, uint64_t *sum)
{
	int r;

	*sum = strlen(args->path) + 1;
	r = strings_size(args->argv, args->argc, sum);
	return r < 0 ? r : strings_size(args->envp, args->envc, sum);
}

int exec_check_args(const struct exec_args *args, uint64_t stack_limit)
{
	uint64_t limit = max(min(stack_limit / 4, MAX_ARG_SPACE), MIN_ARG_SPACE), sum;
	uint64_t pointers = ((uint64_t)max(args->argc, 1) + (uint64_t)args->envc) * 8;
	int r = args_size(args, &sum);

	if (r < 0)
		return r;
	return pointers >= limit || sum > limit - pointers ? -E2BIG : 0;
}

/* The host's vDSO shows the host's clocks: in a time namespace that is ahead of them, the C library
 * must make system calls instead. */
static uint64_t vdso_start(void)
{
	const struct task *t = task_current();
	const struct time_ns *time = t && t->ns ? t->ns->time : NULL;

	return time && (time->monotonic || time->boottime) ? 0 : pf_vdso().start;
}

static void fill_auxv(uint64_t *v, const struct cred *c, const struct exec_entry *e,
		      uint64_t random, uint64_t execfn, uint64_t platform)
{
	struct {
		uint64_t type, value;
	} const pairs[] = {
	    {AT_SYSINFO_EHDR, vdso_start()},
	    {AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ)},
	    {AT_HWCAP, getauxval(AT_HWCAP)},
	    {AT_PAGESZ, GUEST_PAGE},
	    {AT_CLKTCK, HZ_OF_TIMES},
	    {AT_PHDR, e->phdr},
	    {AT_PHENT, sizeof(Elf64_Phdr)},
	    {AT_PHNUM, e->phnum},
	    {AT_BASE, e->interp_base},
	    {AT_FLAGS, 0},
	    {AT_ENTRY, e->program_entry},
	    {AT_UID, user_ns_show(c->user_ns, ID_UID, c->uid)},
	    {AT_EUID, user_ns_show(c->user_ns, ID_UID, c->euid)},
	    {AT_GID, user_ns_show(c->user_ns, ID_GID, c->gid)},
	    {AT_EGID, user_ns_show(c->user_ns, ID_GID, c->egid)},
	    {AT_SECURE, e->secure},
	    {AT_RANDOM, random},
	    {AT_HWCAP2, getauxval(AT_HWCAP2)},
	    {AT_EXECFN, execfn},
	    {AT_PLATFORM, platform},
	    {AT_NULL, 0},
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (pairs[i].type == AT_SYSINFO_EHDR && !pairs[i].value)
			continue;
		v[n++] = pairs[i].type;
		v[n++] = pairs[i].value;
	}
}

#define AUXV_WORDS ARRAY_SIZE(((struct mm *)0)->auxv)
/* What fill_auxv may write, rounded up to keep the stack aligned. */
#define AUXV_ON_STACK 44

/* argc, argv, envp, auxv: below everything else, with argc 16-byte aligned. */
static uint64_t push_vectors(struct builder *b, const struct exec_args *args, const uint64_t *argv,
			     const uint64_t *envp, const uint64_t *auxv)
{
	const uint64_t zero = 0, argc = (uint64_t)args->argc;
	size_t words = AUXV_ON_STACK + (size_t)args->envc + (size_t)args->argc + 3;

	skip(b, (guest_address(b) - words * 8) % 16);
	push(b, auxv, AUXV_ON_STACK * 8);
	push(b, &zero, 8);
	push(b, envp, (size_t)args->envc * 8);
	push(b, &zero, 8);
	push(b, argv, (size_t)args->argc * 8);
	return push(b, &argc, 8);
}

static uint64_t build(struct builder *b, struct mm *mm, const struct exec_args *args,
		      const struct cred *cred, const struct exec_entry *e, bool randomise,
		      uint64_t *pointers)
{
	uint64_t *argv = pointers, *envp = pointers + args->argc, execfn, platform, seed[3];

	host_random(seed, sizeof(seed));
	skip(b, 8);
	execfn = push(b, args->path, strlen(args->path) + 1);
	mm->env_end = guest_address(b);
	push_strings(b, args->envp, args->envc, envp);
	mm->env_start = mm->arg_end = guest_address(b);
	push_strings(b, args->argv, args->argc, argv);
	mm->arg_start = guest_address(b);
	skip(b, guest_address(b) % 16 + (randomise ? seed[2] % 512 * 16 : 0));
	platform = push(b, "x86_64", 7);
	skip(b, 9);
	fill_auxv(mm->auxv, cred, e, push(b, seed, 16), execfn, platform);
	return push_vectors(b, args, argv, envp, mm->auxv);
}

int exec_build_stack(struct mm *mm, const struct exec_args *args, const struct cred *cred,
		     const struct exec_entry *e, bool randomise, uint64_t *sp)
{
	size_t npointers = (size_t)args->argc + (size_t)args->envc;
	SCOPED_CHARGED uint64_t *pointers = charged_calloc(npointers + 1, 8);
	SCOPED_CHARGED char *buf = NULL;
	struct builder b;
	uint64_t strings;
	ssize_t r = args_size(args, &strings);

	if (r < 0)
		return (int)r;
	b.size = b.left = ROUND_UP(strings + npointers * 8 + 8192 + AUXV_WORDS * 8 + 256, 16);
	b.top = e->stack_top;
	b.buf = buf = charged_alloc(b.size);
	if (!buf || !pointers)
		return -ENOMEM;
	*sp = build(&b, mm, args, cred, e, randomise, pointers);
	mm->start_stack = *sp;
	r = pf_space_write(mm->space, UADDR(*sp), b.buf + b.left, b.size - b.left);
	return r < 0 ? (int)r : (size_t)r == b.size - b.left ? 0 : -EFAULT;
}
