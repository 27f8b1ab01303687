/* The seccomp half of the confinement: lists made by tools/seccomp-list. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/bpf.h"
#include "common/confine.h"
#include "common/host_setup.h"
#include "common/log.h"

static const struct bpf_rule sentry_rules[] = {
#include "seccomp_sentry.h"
};

/* The same and what the ptrace platform needs. */
static const struct bpf_rule sentry_ptrace_rules[] = {
#include "seccomp_sentry.h"
#include "seccomp_sentry_ptrace.h"
};

static const struct bpf_rule gofer_rules[] = {
#include "seccomp_gofer.h"
};

/* For all threads of the process; no_new_privs must be set. */
static int bpf_install(struct sock_filter *prog, int len)
{
	struct sock_fprog fprog = {.len = (unsigned short)len, .filter = prog};

	return host_seccomp_filter(SECCOMP_FILTER_FLAG_TSYNC, &fprog);
}

/* SECCOMP_RET_TRAP: the call was not made. Say which, and die. */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	panic("forbidden host system call %d from %p", info->si_syscall, info->si_call_addr);
}

static int install(const struct bpf_rule *rules, size_t n, const char **what)
{
	struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	struct sock_filter prog[1024];
	int len = bpf_allow_list(rules, n, SECCOMP_RET_TRAP, prog, ARRAY_SIZE(prog));

	*what = "build the seccomp filter";
	if (len < 0)
		return len;
	*what = "install the seccomp filter";
	if (sigaction(SIGSYS, &sa, NULL) < 0)
		return -EINVAL;
	return bpf_install(prog, len);
}

int confine_sentry_calls(bool ptrace_platform, const char **what)
{
	if (ptrace_platform)
		return install(sentry_ptrace_rules, ARRAY_SIZE(sentry_ptrace_rules), what);
	return install(sentry_rules, ARRAY_SIZE(sentry_rules), what);
}

int confine_gofer_calls(const char **what)
{
	return install(gofer_rules, ARRAY_SIZE(gofer_rules), what);
}

#ifdef __SANITIZE_ADDRESS__
/* The leak check at exit makes calls that no filter of ours lets pass; unit tests, which are
 * not confined, turn it on again by ASAN_OPTIONS. A report cannot open files for symbols. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:symbolize=0";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "symbolize=0";
}
#endif
