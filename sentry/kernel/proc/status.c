/* stat, statm and status of a process or thread: proc_pid_stat(5) and neighbours. */
#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/tty/tty.h"

/* --- gathering ------------------------------------------------------------------------------ */

struct memory_numbers {
	uint64_t size, peak, locked, data, stack, code, lib; /* bytes */
	uint64_t rss, rss_peak, shared;			     /* pages */
	uint64_t start_code, end_code, start_stack, start_data, end_data, start_brk;
	uint64_t arg_start, arg_end, env_start, env_end;
};

static void gather_memory(struct task *t, struct memory_numbers *n)
{
	struct mm *mm = task_get_mm(t);

	*n = (struct memory_numbers){.size = 0};
	if (!mm)
		return;
	mm_rss(mm, &n->rss, &n->rss_peak);
	mutex_lock(&mm->lock);
	n->size = mm->total_pages * GUEST_PAGE;
	n->peak = mm->peak_pages * GUEST_PAGE;
	n->locked = mm->locked_pages * GUEST_PAGE;
	n->data = mm->data_pages * GUEST_PAGE;
	n->stack = mm->stack_pages * GUEST_PAGE;
	n->start_code = mm->start_code;
	n->end_code = mm->end_code;
	n->code = ROUND_UP(mm->end_code, GUEST_PAGE) - ROUND_DOWN(mm->start_code, GUEST_PAGE);
	n->lib = mm->exec_pages * GUEST_PAGE;
	n->lib -= min(n->lib, n->code);
	n->start_stack = mm->start_stack;
	n->start_data = mm->start_data;
	n->end_data = mm->end_data;
	n->start_brk = mm->brk_start;
	n->arg_start = mm->arg_start;
	n->arg_end = mm->arg_end;
	n->env_start = mm->env_start;
	n->env_end = mm->env_end;
	mutex_unlock(&mm->lock);
	mm_put(mm);
	n->rss = min(n->rss, n->size / GUEST_PAGE);
	n->rss_peak = max(n->rss_peak, n->rss);
	n->shared = n->rss / 2; /* file pages: not told apart by the platform */
}

struct signal_numbers {
	ksigset pending, shared, blocked, ignored, caught;
	int queued;
};

static void gather_signals(struct task *t, struct signal_numbers *n)
{
	struct cred *cred = task_get_cred(t);
	struct sighand *h;

	*n = (struct signal_numbers){.pending = 0};
	mutex_lock(&tasklist);
	h = t->process->sighand;
	if (h) {
		mutex_lock(&h->lock);
		n->pending = t->pending.set;
		n->shared = t->process->pending.set;
		n->blocked = t->blocked;
		for (int i = 0; i < KNSIG; i++) {
			if (h->action[i].handler == KSIG_IGN)
				n->ignored |= BIT(i);
			else if (h->action[i].handler != KSIG_DFL)
				n->caught |= BIT(i);
		}
		mutex_unlock(&h->lock);
	}
	mutex_unlock(&tasklist);
	n->queued = (int)account_count(cred->account, COUNT_SIGQUEUE);
	cred_put(cred);
}

static char state_of(const struct proc_subject *s)
{
	char c = (char)atomic_load(&s->t->state);

	/* A leader that has exited before its threads is a zombie by itself only. */
	if (s->whole && s->p->zombie)
		return 'Z';
	if (c == 0)
		c = 'R';
	if (c == 'R' && s->t != task_current() && !atomic_load(&s->t->in_guest))
		return 'S'; /* in a syscall on another host thread: as good as asleep */
	return c;
}

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "disk sleep";
	case 'T':
		return "stopped";
	case 't':
		return "tracing stop";
	case 'Z':
		return "zombie";
	default:
		return "dead";
	}
}

static void comm_of(struct task *t, char comm[16])
{
	task_get_comm(t, comm);
	comm[15] = '\0';
}

/* --- stat ----------------------------------------------------------------------------------- */

static int priority_of(const struct task *t)
{
	bool rt = t->sched_policy == SCHED_FIFO || t->sched_policy == SCHED_RR;

	return rt ? -1 - t->sched_priority : 20 + t->nice;
}

static void gather_tty(struct task *t, uint64_t *dev, int *foreground)
{
	struct tty *tty = task_tty(t, tty_get);

	*dev = 0;
	*foreground = -1;
	if (!tty)
		return;
	*dev = tty_dev(tty);
	*foreground = tty_foreground(tty);
	tty_put(tty);
}

struct usage {
	uint64_t user, system, child_user, child_system; /* ns */
	uint64_t min_flt, maj_flt, child_min_flt, child_maj_flt;
};

static uint64_t timeval_ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * NSEC_PER_SEC + (uint64_t)tv->tv_usec * NSEC_PER_USEC;
}

static void gather_usage(const struct proc_subject *s, struct usage *u)
{
	*u = (struct usage){.user = 0};
	if (s->whole)
		process_times(s->p, &u->user, &u->system);
	else
		task_times(s->t, &u->user, &u->system);
	mutex_lock(&tasklist);
	u->min_flt = s->t->min_flt + (s->whole ? (uint64_t)s->p->dead_usage.ru_minflt : 0);
	u->child_user = timeval_ns(&s->p->child_usage.ru_utime);
	u->child_system = timeval_ns(&s->p->child_usage.ru_stime);
	u->child_min_flt = (uint64_t)s->p->child_usage.ru_minflt;
	u->child_maj_flt = (uint64_t)s->p->child_usage.ru_majflt;
	mutex_unlock(&tasklist);
}

static void stat_first_half(const struct proc_subject *s, struct text *out)
{
	struct task *reader = task_current();
	uint64_t ahead = reader ? (uint64_t)reader->ns->time->boottime : 0;
	uint64_t dev;
	int foreground;
	struct usage u;
	char comm[16];

	comm_of(s->t, comm);
	gather_tty(s->t, &dev, &foreground);
	gather_usage(s, &u);
	text_printf(out, "%d (%s) %c %d %d %d %llu %d ", pid_show(s->ns, s->t->tid), comm,
		    state_of(s), pid_show(s->ns, atomic_load(&s->p->ppid)),
		    pid_show(s->ns, task_pgrp(s->t)), pid_show(s->ns, task_sid(s->t)),
		    (unsigned long long)dev,
		    foreground > 0 ? pid_show(s->ns, foreground) : foreground);
	text_printf(out, "%u %llu %llu %llu %llu ", 0x400000u, (unsigned long long)u.min_flt,
		    (unsigned long long)u.child_min_flt, (unsigned long long)u.maj_flt,
		    (unsigned long long)u.child_maj_flt);
	text_printf(
	    out, "%llu %llu %lld %lld %d %d %d 0 %llu ", (unsigned long long)proc_ticks(u.user),
	    (unsigned long long)proc_ticks(u.system), (long long)proc_ticks(u.child_user),
	    (long long)proc_ticks(u.child_system), priority_of(s->t), s->t->nice,
	    process_count_threads(s->p), (unsigned long long)proc_ticks(s->t->start_time + ahead));
}

int proc_show_stat(const struct proc_subject *s, struct text *out)
{
	bool may = proc_may_access(s, ACCESS_READ | ACCESS_FSCREDS) == 0;
	struct memory_numbers m;
	struct signal_numbers g;

	gather_memory(s->t, &m);
	gather_signals(s->t, &g);
	stat_first_half(s, out);
	if (!may)
		m.start_code = m.end_code = 1;
	text_printf(out, "%llu %llu %llu %llu %llu %llu 0 0 %llu %llu %llu %llu 0 0 0 ",
		    (unsigned long long)m.size, (unsigned long long)m.rss,
		    (unsigned long long)task_rlimit(s->t, RLIMIT_RSS),
		    (unsigned long long)m.start_code, (unsigned long long)m.end_code,
		    (unsigned long long)(may ? m.start_stack : 0),
		    (unsigned long long)(g.pending & 0x7fffffff),
		    (unsigned long long)(g.blocked & 0x7fffffff),
		    (unsigned long long)(g.ignored & 0x7fffffff),
		    (unsigned long long)(g.caught & 0x7fffffff));
	text_printf(out, "%d 0 %d %d 0 0 0 ", s->p->exit_signal, s->t->sched_priority,
		    s->t->sched_policy);
	if (!may)
		m = (struct memory_numbers){.size = 0};
	text_printf(out, "%llu %llu %llu %llu %llu %llu %llu %d\n",
		    (unsigned long long)m.start_data, (unsigned long long)m.end_data,
		    (unsigned long long)m.start_brk, (unsigned long long)m.arg_start,
		    (unsigned long long)m.arg_end, (unsigned long long)m.env_start,
		    (unsigned long long)m.env_end, may && s->p->zombie ? s->p->exit_code : 0);
	return 0;
}

int proc_show_statm(const struct proc_subject *s, struct text *out)
{
	struct memory_numbers m;

	gather_memory(s->t, &m);
	text_printf(out, "%llu %llu %llu %llu 0 %llu 0\n",
		    (unsigned long long)(m.size / GUEST_PAGE), (unsigned long long)m.rss,
		    (unsigned long long)m.shared, (unsigned long long)(m.code / GUEST_PAGE),
		    (unsigned long long)((m.data + m.stack) / GUEST_PAGE));
	return 0;
}

/* --- status ----------------------------------------------------------------------------------- */

/* A number on the level of the mount, and on each below it down to the subject's own. */
static void show_levels(struct text *out, struct pid_ns *ns, const struct pid_ns *top, int nr)
{
	if (ns != top && ns->parent)
		show_levels(out, ns->parent, top, nr);
	text_printf(out, "\t%d", pid_show(ns, nr));
}

static void status_levels(const struct proc_subject *s, struct text *out, const char *label, int nr)
{
	text_puts(out, label);
	show_levels(out, s->p->pids, s->ns, nr);
}

static void status_ids(const struct proc_subject *s, struct text *out)
{
	struct task *reader = task_current();
	const struct user_ns *u = reader ? reader->cred->user_ns : &user_ns_first;
	struct cred *c = task_get_cred(s->t);
	struct fs_context *fs = task_get_fs(s->t);
	struct fdtable *files = task_get_files(s->t);
	int nfds = files ? fdtable_count(files) : 0;
	char comm[16], state = state_of(s);

	comm_of(s->t, comm);
	text_puts(out, "Name:\t");
	for (const char *p = comm; *p; p++) {
		if (*p == '\n' || *p == '\\')
			text_puts(out, *p == '\n' ? "\\n" : "\\\\");
		else
			text_add(out, p, 1);
	}
	if (fs)
		text_printf(out, "\nUmask:\t%04o", fs->umask);
	text_printf(out, "\nState:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n", state,
		    state_name(state), pid_show(s->ns, s->p->tgid), pid_show(s->ns, s->t->tid),
		    pid_show(s->ns, atomic_load(&s->p->ppid)));
	text_printf(out, "TracerPid:\t%d\n", pid_show(s->ns, ptrace_tracer_tid(s->t)));
	text_printf(out, "Uid:\t%u\t%u\t%u\t%u\n", user_ns_show(u, ID_UID, c->uid),
		    user_ns_show(u, ID_UID, c->euid), user_ns_show(u, ID_UID, c->suid),
		    user_ns_show(u, ID_UID, c->fsuid));
	text_printf(out, "Gid:\t%u\t%u\t%u\t%u\n", user_ns_show(u, ID_GID, c->gid),
		    user_ns_show(u, ID_GID, c->egid), user_ns_show(u, ID_GID, c->sgid),
		    user_ns_show(u, ID_GID, c->fsgid));
	text_printf(out, "FDSize:\t%d\nGroups:\t", max(64, (nfds + 63) / 64 * 64));
	for (int i = 0; i < c->ngroups; i++)
		text_printf(out, "%u ", user_ns_show(u, ID_GID, c->groups[i]));
	text_puts(out, c->ngroups ? "" : " ");
	status_levels(s, out, "\nNStgid:", s->p->tgid);
	status_levels(s, out, "\nNSpid:", s->t->tid);
	status_levels(s, out, "\nNSpgid:", task_pgrp(s->t));
	status_levels(s, out, "\nNSsid:", task_sid(s->t));
	text_puts(out, "\nKthread:\t0\n");
	cred_put(c);
	if (fs)
		fs_context_put(fs);
	if (files)
		fdtable_put(files);
}

static void kib(struct text *out, const char *name, uint64_t bytes)
{
	text_printf(out, "%s:\t%8llu kB\n", name, (unsigned long long)bytes / 1024);
}

static void status_memory(const struct proc_subject *s, struct text *out)
{
	struct memory_numbers m;

	gather_memory(s->t, &m);
	if (!m.size)
		return;
	kib(out, "VmPeak", m.peak);
	kib(out, "VmSize", m.size);
	kib(out, "VmLck", m.locked);
	kib(out, "VmPin", 0);
	kib(out, "VmHWM", m.rss_peak * GUEST_PAGE);
	kib(out, "VmRSS", m.rss * GUEST_PAGE);
	kib(out, "RssAnon", (m.rss - m.shared) * GUEST_PAGE);
	kib(out, "RssFile", m.shared * GUEST_PAGE);
	kib(out, "RssShmem", 0);
	kib(out, "VmData", m.data);
	kib(out, "VmStk", m.stack);
	kib(out, "VmExe", m.code);
	kib(out, "VmLib", m.lib);
	kib(out, "VmPTE", ROUND_UP(m.rss * 8, GUEST_PAGE) + 8 * GUEST_PAGE);
	kib(out, "VmSwap", 0);
	kib(out, "HugetlbPages", 0);
	text_puts(out, "CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\n");
}

static void status_signals(const struct proc_subject *s, struct text *out)
{
	struct signal_numbers g;

	gather_signals(s->t, &g);
	text_printf(out, "Threads:\t%d\nSigQ:\t%d/%llu\n", process_count_threads(s->p), g.queued,
		    (unsigned long long)task_rlimit(s->t, RLIMIT_SIGPENDING));
	text_printf(out, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n",
		    (unsigned long long)g.pending, (unsigned long long)g.shared,
		    (unsigned long long)g.blocked);
	text_printf(out, "SigIgn:\t%016llx\nSigCgt:\t%016llx\n", (unsigned long long)g.ignored,
		    (unsigned long long)g.caught);
}

static void status_caps(const struct proc_subject *s, struct text *out)
{
	struct cred *c = task_get_cred(s->t);

	text_printf(out, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\n",
		    (unsigned long long)c->inheritable, (unsigned long long)c->permitted,
		    (unsigned long long)c->effective);
	text_printf(out, "CapBnd:\t%016llx\nCapAmb:\t%016llx\nNoNewPrivs:\t%d\n",
		    (unsigned long long)c->bounding, (unsigned long long)c->ambient,
		    c->no_new_privs);
	text_printf(out, "Seccomp:\t%d\nSeccomp_filters:\t%d\n", s->t->seccomp_mode,
		    seccomp_filter_count(s->t));
	text_puts(out, "Speculation_Store_Bypass:\tvulnerable\n"
		       "SpeculationIndirectBranch:\talways enabled\n");
	cred_put(c);
}

/* A mask as Linux prints it: groups of 32 bits, the highest first. */
static void hex_mask(struct text *out, const uint64_t *mask, unsigned int bits)
{
	for (int word = (int)(bits - 1) / 32; word >= 0; word--) {
		uint32_t w = (uint32_t)(mask[word / 2] >> (word % 2 * 32));
		unsigned int width = bits % 32 && word == (int)(bits - 1) / 32 ? bits % 32 : 32;

		text_printf(out, "%0*x%s", (int)(width + 3) / 4, w, word ? "," : "");
	}
}

static bool bit(const uint64_t *mask, unsigned int n)
{
	return mask[n / 64] >> (n % 64) & 1;
}

static void list_mask(struct text *out, const uint64_t *mask, unsigned int bits)
{
	const char *comma = "";

	for (unsigned int i = 0; i < bits; i++) {
		unsigned int end = i;

		if (!bit(mask, i))
			continue;
		while (end + 1 < bits && bit(mask, end + 1))
			end++;
		if (end > i)
			text_printf(out, "%s%u-%u", comma, i, end);
		else
			text_printf(out, "%s%u", comma, i);
		comma = ",";
		i = end;
	}
}

static void status_rest(const struct proc_subject *s, struct text *out)
{
	unsigned int ncpus = max(s->t->container->ncpus, 1u);
	uint64_t mask[ARRAY_SIZE(s->t->affinity)];

	memcpy(mask, s->t->affinity, sizeof(mask));
	text_puts(out, "Cpus_allowed:\t");
	hex_mask(out, mask, min(ncpus, 1024u));
	text_puts(out, "\nCpus_allowed_list:\t");
	list_mask(out, mask, min(ncpus, 1024u));
	text_printf(out,
		    "\nMems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\n"
		    "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
		    (unsigned long long)s->t->nvcsw, (unsigned long long)s->t->nivcsw);
}

int proc_show_status(const struct proc_subject *s, struct text *out)
{
	status_ids(s, out);
	status_memory(s, out);
	status_signals(s, out);
	status_caps(s, out);
	status_rest(s, out);
	return 0;
}
