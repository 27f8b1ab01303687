/* Builds and installs seccomp filters: an allow-list with optional argument conditions. */
#ifndef GARRISON_COMMON_BPF_H
#define GARRISON_COMMON_BPF_H

#include "common/base.h"

struct bpf_rule {
	int nr;
	int arg;	/* 0..5, or -1: no condition */
	uint32_t mask;	/* the low 32 bits of the argument, masked, ... */
	uint32_t value; /* ... must equal this */
};

struct sock_filter;

/*
 * Writes a filter program into `out` (room for `max` instructions): calls that match a rule
 * are allowed, a few that libraries try in vain are answered with an errno, everything else,
 * and every other architecture, gets `otherwise` (SECCOMP_RET_*). The number of instructions, or -E2BIG.
 */
MUST_CHECK int bpf_allow_list(const struct bpf_rule *rules, size_t n, uint32_t otherwise,
			      struct sock_filter *out, size_t max);

#endif
