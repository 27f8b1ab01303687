/*
 * Classic BPF as seccomp filters use it (Linux: net/core/filter.c,
 * kernel/seccomp.c; bpf(4)): checked once, so that the interpreter needs no
 * bounds of its own. Jumps go forward only, so a program ends.
 */
#include "sentry/kernel/seccomp.h"

#define MEMWORDS BPF_MEMWORDS
/* sizeof(struct seccomp_data) */
#define DATA_SIZE 64

static bool alu_valid(const struct sock_filter *f)
{
	switch (BPF_OP(f->code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_OR:
	case BPF_AND:
	case BPF_XOR:
		return true;
	case BPF_LSH:
	case BPF_RSH:
		return BPF_SRC(f->code) == BPF_X || f->k < 32;
	case BPF_DIV:
		return BPF_SRC(f->code) == BPF_X || f->k != 0;
	case BPF_NEG:
		return BPF_SRC(f->code) == 0;
	}
	return false; /* BPF_MOD: not in seccomp */
}

static bool load_valid(const struct sock_filter *f)
{
	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return f->k < DATA_SIZE && f->k % 4 == 0;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
		return true;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
		return f->k < MEMWORDS;
	}
	return false;
}

static bool jump_valid(const struct sock_filter *f, unsigned int left)
{
	switch (BPF_OP(f->code)) {
	case BPF_JA:
		return f->code == (BPF_JMP | BPF_JA) && f->k < left;
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return f->jt < left && f->jf < left;
	}
	return false;
}

/* left: instructions behind this one. */
static bool insn_valid(const struct sock_filter *f, unsigned int left)
{
	if (f->code & ~0xffU)
		return false;
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
	case BPF_LDX:
		return load_valid(f);
	case BPF_ST:
	case BPF_STX:
		return f->code == BPF_CLASS(f->code) && f->k < MEMWORDS;
	case BPF_ALU:
		return alu_valid(f);
	case BPF_JMP:
		return jump_valid(f, left);
	case BPF_RET:
		return f->code == (BPF_RET | BPF_K) || f->code == (BPF_RET | BPF_A);
	case BPF_MISC:
		return f->code == (BPF_MISC | BPF_TAX) || f->code == (BPF_MISC | BPF_TXA);
	}
	return false;
}

bool cbpf_valid(const struct sock_filter *prog, unsigned int len)
{
	if (len == 0 || len > BPF_MAXINSNS || BPF_CLASS(prog[len - 1].code) != BPF_RET)
		return false;
	for (unsigned int i = 0; i < len; i++)
		if (!insn_valid(&prog[i], len - 1 - i))
			return false;
	return true;
}

static uint32_t alu(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << (b & 31);
	case BPF_RSH:
		return a >> (b & 31);
	case BPF_NEG:
		return -a;
	}
	return a / b; /* the caller has excluded 0 */
}

static bool compare(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	}
	return a & b;
}

static uint32_t load(const struct sock_filter *f, const uint32_t *data, const uint32_t *mem)
{
	switch (BPF_MODE(f->code)) {
	case BPF_ABS:
		return data[f->k / 4];
	case BPF_LEN:
		return DATA_SIZE;
	case BPF_MEM:
		return mem[f->k];
	}
	return f->k;
}

uint32_t cbpf_run(const struct sock_filter *f, const uint32_t *data, unsigned int words)
{
	uint32_t a = 0, x = 0, mem[MEMWORDS] = {0};

	assert(words * 4 == DATA_SIZE);
	for (;; f++) {
		uint32_t b = BPF_SRC(f->code) == BPF_X ? x : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			a = load(f, data, mem);
			break;
		case BPF_LDX:
			x = load(f, data, mem);
			break;
		case BPF_ST:
			mem[f->k] = a;
			break;
		case BPF_STX:
			mem[f->k] = x;
			break;
		case BPF_ALU:
			if (BPF_OP(f->code) == BPF_DIV && b == 0)
				return 0;
			a = alu(f->code, a, b);
			break;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA)
				f += f->k;
			else
				f += compare(f->code, a, b) ? f->jt : f->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? a : f->k;
		default:
			if (BPF_MISCOP(f->code) == BPF_TAX)
				x = a;
			else
				a = x;
		}
	}
}
