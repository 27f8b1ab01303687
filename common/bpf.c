#include "common/bpf.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

struct out {
	struct sock_filter *prog;
	size_t len, max;
	bool overflow;
};

static void emit(struct out *o, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (o->len == o->max) {
		o->overflow = true;
		return;
	}
	o->prog[o->len++] = (struct sock_filter){code, jt, jf, k};
}

static void load(struct out *o, size_t offset)
{
	emit(o, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void load_nr(struct out *o)
{
	load(o, offsetof(struct seccomp_data, nr));
}

/* The accumulator holds the number before and after. */
static void emit_rule(struct out *o, const struct bpf_rule *r)
{
	if (r->arg < 0) {
		emit(o, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->nr, 0, 1);
		emit(o, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		return;
	}
	emit(o, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->nr, 0, 5);
	/* x86-64 is little endian: the low half comes first. */
	load(o, offsetof(struct seccomp_data, args) + 8 * (size_t)r->arg);
	emit(o, BPF_ALU | BPF_AND | BPF_K, r->mask, 0, 0);
	emit(o, BPF_JMP | BPF_JEQ | BPF_K, r->value, 0, 1);
	emit(o, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	load_nr(o);
}

/* What libraries try and can do without, if no rule allows it. */
static const struct {
	int nr;
	uint32_t err;
} refused[] = {
    {__NR_clone3, ENOSYS}, /* arguments that a filter cannot see; libc falls back to clone */
    {__NR_openat, EACCES}, /* a backtrace's /proc/self/maps, a locale, ...: not there anyway */
    {__NR_readlink, EACCES},
    {__NR_getcwd, EACCES},
};

int bpf_allow_list(const struct bpf_rule *rules, size_t n, uint32_t otherwise,
		   struct sock_filter *out, size_t max)
{
	struct out o = {.prog = out, .max = max};

	load(&o, offsetof(struct seccomp_data, arch));
	emit(&o, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	emit(&o, BPF_RET | BPF_K, otherwise, 0, 0);
	load_nr(&o);
	for (size_t i = 0; i < n; i++)
		emit_rule(&o, &rules[i]);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		emit(&o, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused[i].nr, 0, 1);
		emit(&o, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | refused[i].err, 0, 0);
	}
	emit(&o, BPF_RET | BPF_K, otherwise, 0, 0);
	return o.overflow ? -E2BIG : (int)o.len;
}
