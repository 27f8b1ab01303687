/*
 * garrison-sentry: the user-space kernel of one sandbox.
 *
 * The runtime starts it as pid 1 of a new pid namespace with inherited fds
 * (named by options) and 0-2 on /dev/null. The order of the steps below is the
 * security design: read what is needed from the host's files; give up the
 * world; start the first stub, which inherits exactly that; then install the
 * seccomp filter and only then read what others wrote.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/confine.h"
#include "common/host.h"
#include "common/host_setup.h"
#include "common/log.h"
#include "sentry/core/account.h"
#include "sentry/control/boot.h"
#include "sentry/control/control.h"
#include "sentry/control/oom.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/lifecycle.h"
#include "sentry/platform/platform.h"
#include "sentry/sys/debug.h"
#include "sentry/sys/rules.h"
#include "sentry/sys/socket_util.h"
#include "sentry/sys/strace.h"
#include "sentry/sys/syscall.h"

struct options {
	int control_fd, listen_fd, log_fd;
	int log_level;
	bool strace, confine;
	int oom_score_adj;
	struct pf_config platform;
};

enum {
	OPT_CONTROL = 256,
	OPT_LISTEN,
	OPT_LOG,
	OPT_LEVEL,
	OPT_PLATFORM,
	OPT_NCPUS,
	OPT_NO_SPIN,
	OPT_STRACE,
	OPT_NO_CONFINE,
	OPT_OOM,
	OPT_TABLE
};

static const struct option long_options[] = {
    {"control-fd", required_argument, NULL, OPT_CONTROL},
    {"listen-fd", required_argument, NULL, OPT_LISTEN},
    {"log-fd", required_argument, NULL, OPT_LOG},
    {"log-level", required_argument, NULL, OPT_LEVEL},
    {"platform", required_argument, NULL, OPT_PLATFORM},
    {"ncpus", required_argument, NULL, OPT_NCPUS},
    {"no-spin", no_argument, NULL, OPT_NO_SPIN},
    {"strace", no_argument, NULL, OPT_STRACE},
    {"unsafe-no-confinement", no_argument, NULL, OPT_NO_CONFINE},
    {"oom-score-adj", required_argument, NULL, OPT_OOM},
    {"print-syscalls", no_argument, NULL, OPT_TABLE},
    {NULL, 0, NULL, 0},
};

static bool set_option(struct options *o, int c, const char *arg)
{
	switch (c) {
	case OPT_CONTROL:
		o->control_fd = atoi(arg);
		return true;
	case OPT_LISTEN:
		o->listen_fd = atoi(arg);
		return true;
	case OPT_LOG:
		o->log_fd = atoi(arg);
		return true;
	case OPT_LEVEL:
		o->log_level = atoi(arg);
		return true;
	case OPT_PLATFORM:
		o->platform.name = arg;
		return true;
	case OPT_NCPUS:
		o->platform.ncpus = (unsigned int)atoi(arg);
		return true;
	case OPT_NO_SPIN:
		o->platform.spin = false;
		return true;
	case OPT_OOM:
		o->oom_score_adj = atoi(arg);
		return true;
	case OPT_STRACE:
		o->strace = true;
		return true;
	case OPT_NO_CONFINE:
		o->confine = false;
		return true;
	}
	return false;
}

static void parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == OPT_TABLE) {
			syscall_table_print(stdout);
			exit(0);
		}
		if (!set_option(o, c, optarg))
			exit(2);
	}
}

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	log_error("start-up: %s: %s", what, strerror(-r));
	exit(1);
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
	/* A second fault, in the report, must end it. */
	signal(sig, SIG_DFL);
	panic("%s at %p",
	      sig == SIGSEGV  ? "SIGSEGV"
	      : sig == SIGBUS ? "SIGBUS"
			      : "crash",
	      info->si_addr);
}

/* Our own faults are bugs: say where. (Pid 1 would die of them without a word.) */
static void catch_crashes(void)
{
	static const int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	struct sigaction sa = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_NODEFER};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		sigaction(all[i], &sa, NULL);
}

/* Writes to a peer that is gone are -EPIPE; terminal signals are the runtime's business. */
static void ignore_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
}

static void count_fds(void)
{
	struct rlimit l;

	if (host_getrlimit(RLIMIT_NOFILE, &l) < 0)
		l.rlim_cur = 1024;
	account_set_fds((unsigned int)min(l.rlim_cur, (rlim_t)1 << 20));
	gofer_set_idle_fds((unsigned int)min(l.rlim_cur / 16, (rlim_t)1024));
}

static void confine_world(const struct options *o, struct oom *oom)
{
	const int keep[] = {o->control_fd, o->listen_fd, o->log_fd};
	const char *what = "close inherited fds";

	must(confine_fds(keep, ARRAY_SIZE(keep)), what);
	boot_host_facts();
	oom_begin(oom, o->oom_score_adj);
	if (!o->confine) {
		log_warn("running WITHOUT confinement");
		count_fds();
		return;
	}
	must(confine_sentry_world(&what), what);
	count_fds();
}

static void confine_calls(const struct options *o)
{
	const char *what = "";

	/* Nobody of our uid may look into us. (Stubs, which we look into, set their own flag.) */
	must(host_prctl(PR_SET_DUMPABLE, 0, 0), "make the process undumpable");
	if (o->confine)
		must(confine_sentry_calls(strcmp(o->platform.name, "ptrace") == 0, &what), what);
}

int main(int argc, char **argv)
{
	struct options o = {
	    .control_fd = -1,
	    .listen_fd = -1,
	    .log_fd = 2,
	    .log_level = LOG_WARN,
	    .confine = true,
	    .oom_score_adj = OOM_AS_IT_IS,
	    .platform = {
		.name = "systrap", .ncpus = 1, .spin = true, .stub_died = container_stub_died}};
	struct oom oom;

	parse(&o, argc, argv);
	log_init("sentry", o.log_fd, (enum log_level)o.log_level);
	ignore_signals();
	catch_crashes();
	panic_set_hook(debug_panic_hook);
	task_set_syscall_handler(syscall_dispatch);
	control_set_debug_report(debug_report);
	log_debug("started");
	syscall_rules_init();
	confine_world(&o, &oom);
	log_debug("confined");
	oom_raise(&oom);
	must(pf_init(&o.platform), "prepare the platform");
	oom_end(&oom);
	log_debug("platform ready");
	if (o.strace) {
		strace_enable();
		pf_write_at_once();
	}
	boot_parts();
	sockets_init();
	must(control_init(), "prepare the control server");
	confine_calls(&o);
	log_debug("serving");
	control_serve(o.listen_fd, o.control_fd);
	pf_shutdown();
	/* Pid 1 goes: the host kills whatever is left in the pid namespace. */
	_exit(0);
}
