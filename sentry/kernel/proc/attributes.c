/* Small files about a process; some can be written. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/host_facts.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/tasklist.h"

/* A decimal (or 0x, 0 prefixed) number with blanks around it, and nothing else. */
static int parse_long(const char *text, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 0);
	if (end == text || errno)
		return -EINVAL;
	end += strspn(end, " \t\n");
	return *end ? -EINVAL : 0;
}

/* --- limits ------------------------------------------------------------------------------------- */

static void limit_value(struct text *out, uint64_t v)
{
	size_t from = out->len;

	if (v == RLIM64_INFINITY)
		text_puts(out, "unlimited");
	else
		text_printf(out, "%llu", (unsigned long long)v);
	text_pad(out, from, 20);
	text_puts(out, " ");
}

int proc_show_limits(const struct proc_subject *s, struct text *out)
{
	static const struct {
		int resource;
		const char *name, *unit;
	} rows[] = {
	    {RLIMIT_CPU, "Max cpu time", "seconds"},
	    {RLIMIT_FSIZE, "Max file size", "bytes"},
	    {RLIMIT_DATA, "Max data size", "bytes"},
	    {RLIMIT_STACK, "Max stack size", "bytes"},
	    {RLIMIT_CORE, "Max core file size", "bytes"},
	    {RLIMIT_RSS, "Max resident set", "bytes"},
	    {RLIMIT_NPROC, "Max processes", "processes"},
	    {RLIMIT_NOFILE, "Max open files", "files"},
	    {RLIMIT_MEMLOCK, "Max locked memory", "bytes"},
	    {RLIMIT_AS, "Max address space", "bytes"},
	    {RLIMIT_LOCKS, "Max file locks", "locks"},
	    {RLIMIT_SIGPENDING, "Max pending signals", "signals"},
	    {RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes"},
	    {RLIMIT_NICE, "Max nice priority", ""},
	    {RLIMIT_RTPRIO, "Max realtime priority", ""},
	    {RLIMIT_RTTIME, "Max realtime timeout", "us"},
	};
	struct rlimit64 limits[16];

	mutex_lock(&s->p->limit_lock);
	memcpy(limits, s->p->limits, sizeof(limits));
	mutex_unlock(&s->p->limit_lock);
	text_puts(out, "Limit                     Soft Limit           Hard Limit           "
		       "Units     \n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		text_printf(out, "%-25s ", rows[i].name);
		limit_value(out, limits[rows[i].resource].rlim_cur);
		limit_value(out, limits[rows[i].resource].rlim_max);
		text_printf(out, "%-10s\n", rows[i].unit);
	}
	return 0;
}

/* --- mounts and cgroup ---------------------------------------------------------------------------- */

static int show_mounts(const struct proc_subject *s, struct text *out, int which)
{
	struct fs_context *fs = task_get_fs(s->t);
	struct path root;
	char *text;

	if (!fs)
		return -EINVAL;
	fs_context_paths(fs, &root, NULL);
	text = mount_ns_format(fs->mounts, &root, which);
	if (text)
		text_puts(out, text);
	free(text);
	path_put(&root);
	fs_context_put(fs);
	return 0;
}

int proc_show_mounts(const struct proc_subject *s, struct text *out)
{
	return show_mounts(s, out, MOUNT_FORMAT_MOUNTS);
}

int proc_show_mountinfo(const struct proc_subject *s, struct text *out)
{
	return show_mounts(s, out, MOUNT_FORMAT_INFO);
}

int proc_show_mountstats(const struct proc_subject *s, struct text *out)
{
	return show_mounts(s, out, MOUNT_FORMAT_STATS);
}

int proc_show_cgroup(const struct proc_subject *s, struct text *out)
{
	/* As from inside a cgroup namespace: the container's own group is the root of the view. */
	text_puts(out, "0::/\n");
	return 0;
}

int proc_show_cpuset(const struct proc_subject *s, struct text *out)
{
	text_puts(out, "/\n");
	return 0;
}

/* --- OOM ------------------------------------------------------------------------------------------ */

int proc_show_oom_score_adj(const struct proc_subject *s, struct text *out)
{
	text_printf(out, "%d\n", s->p->oom_score_adj);
	return 0;
}

ssize_t proc_write_oom_score_adj(const struct proc_subject *s, const char *text, size_t n)
{
	struct task *caller = task_current();
	long v;
	int r = parse_long(text, &v);

	if (r < 0 || v < -1000 || v > 1000)
		return -EINVAL;
	if (v < s->p->oom_score_adj && caller && !task_capable(caller, CAP_SYS_RESOURCE))
		return -EACCES;
	s->p->oom_score_adj = (int)v;
	return (ssize_t)n;
}

int proc_show_oom_adj(const struct proc_subject *s, struct text *out)
{
	int adj = s->p->oom_score_adj;

	text_printf(out, "%d\n", adj == 1000 ? 15 : adj * 17 / 1000);
	return 0;
}

int proc_show_oom_score(const struct proc_subject *s, struct text *out)
{
	struct mm *mm = task_get_mm(s->t);
	uint64_t rss = 0, peak, total;
	struct host_memory m;
	int64_t points;

	if (mm) {
		mm_rss(mm, &rss, &peak);
		mm_put(mm);
	}
	host_memory(&m);
	total = s->p->container->memory_limit ? s->p->container->memory_limit : m.total;
	points = (int64_t)(rss * 1000 / max(total / GUEST_PAGE, (uint64_t)1));
	points = (1000 + points + s->p->oom_score_adj) * 2 / 3;
	text_printf(out, "%lld\n", (long long)max(points, (int64_t)0));
	return 0;
}

/* --- names, times, state ---------------------------------------------------------------------------- */

int proc_show_comm(const struct proc_subject *s, struct text *out)
{
	char comm[16];

	task_get_comm(s->t, comm);
	text_printf(out, "%.15s\n", comm);
	return 0;
}

ssize_t proc_write_comm(const struct proc_subject *s, const char *text, size_t n)
{
	struct task *caller = task_current();
	char comm[16] = "";

	if (!caller || caller->process != s->p)
		return -EINVAL;
	memcpy(comm, text, min(n, sizeof(comm) - 1));
	comm[strcspn(comm, "\n")] = '\0';
	task_set_comm(s->t, comm);
	return (ssize_t)n;
}

int proc_show_wchan(const struct proc_subject *s, struct text *out)
{
	text_puts(out, "0");
	return 0;
}

int proc_show_nothing(const struct proc_subject *s, struct text *out)
{
	return 0;
}

int proc_show_syscall(const struct proc_subject *s, struct text *out)
{
	const struct user_regs_struct *regs;

	if (atomic_load(&s->t->in_guest)) {
		text_puts(out, "running\n");
		return 0;
	}
	text_printf(out, "%lld", (long long)s->t->syscall_nr);
	for (int i = 0; i < 6 && s->t->syscall_nr >= 0; i++)
		text_printf(out, " 0x%llx", (unsigned long long)s->t->syscall_args[i]);
	/* Another thread's registers are its own business: stack and program counter are 0. */
	regs = s->t == task_current() ? pf_regs(s->t->pt) : NULL;
	text_printf(out, " 0x%llx 0x%llx\n", regs ? (unsigned long long)regs->rsp : 0,
		    regs ? (unsigned long long)regs->rip : 0);
	return 0;
}

int proc_show_schedstat(const struct proc_subject *s, struct text *out)
{
	uint64_t user, system;

	task_times(s->t, &user, &system);
	text_printf(out, "%llu 0 %llu\n", (unsigned long long)(user + system),
		    (unsigned long long)(s->t->nvcsw + s->t->nivcsw));
	return 0;
}

int proc_show_sched(const struct proc_subject *s, struct text *out)
{
	uint64_t user, system;
	char comm[16];

	task_get_comm(s->t, comm);
	task_times(s->t, &user, &system);
	text_printf(out, "%.15s (%d, #threads: %d)\n", comm, pid_show(s->ns, s->t->tid),
		    process_count_threads(s->p));
	text_puts(out, "-------------------------------------------------------------------\n");
	text_printf(out, "%-45s:%21llu.%06llu\n", "se.sum_exec_runtime",
		    (unsigned long long)((user + system) / NSEC_PER_MSEC),
		    (unsigned long long)((user + system) % NSEC_PER_MSEC));
	text_printf(out, "%-45s:%21llu\n", "nr_switches",
		    (unsigned long long)(s->t->nvcsw + s->t->nivcsw));
	text_printf(out, "%-45s:%21llu\n", "nr_voluntary_switches",
		    (unsigned long long)s->t->nvcsw);
	text_printf(out, "%-45s:%21llu\n", "nr_involuntary_switches",
		    (unsigned long long)s->t->nivcsw);
	text_printf(out, "%-45s:%21d\n%-45s:%21d\n", "policy", s->t->sched_policy, "prio",
		    120 + s->t->nice);
	return 0;
}

int proc_show_autogroup(const struct proc_subject *s, struct text *out)
{
	text_puts(out, "/autogroup-1 nice 0\n");
	return 0;
}

int proc_show_personality(const struct proc_subject *s, struct text *out)
{
	text_printf(out, "%08llx\n", (unsigned long long)s->t->personality);
	return 0;
}

int proc_show_timerslack(const struct proc_subject *s, struct text *out)
{
	text_printf(out, "%llu\n", (unsigned long long)s->t->timer_slack);
	return 0;
}

ssize_t proc_write_timerslack(const struct proc_subject *s, const char *text, size_t n)
{
	long v;

	if (parse_long(text, &v) < 0 || v < 0)
		return -EINVAL;
	if (proc_may_access(s, ACCESS_ATTACH | ACCESS_FSCREDS) < 0)
		return -EPERM;
	s->t->timer_slack = v ? (uint64_t)v : 50000;
	return (ssize_t)n;
}

/* Nothing is counted per process yet: the fields are there, their values are not. */
int proc_show_io(const struct proc_subject *s, struct text *out)
{
	struct task_io io = {0};

	mutex_lock(&tasklist);
	if (s->whole)
		process_io_locked(s->p, &io);
	else
		task_io_add(&io, &s->t->io);
	mutex_unlock(&tasklist);
	text_printf(out, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\n",
		    atomic_load(&io.rchar), atomic_load(&io.wchar), atomic_load(&io.syscr),
		    atomic_load(&io.syscw));
	/* What reaches a disk only the host knows. */
	text_puts(out, "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
	return 0;
}

int proc_show_children(const struct proc_subject *s, struct text *out)
{
	struct process *child;

	SCOPED_LOCK(&tasklist);
	list_for_each (child, &s->p->children, sibling)
		if (child->parent_serial == s->t->serial)
			text_printf(out, "%d ", pid_show_locked(s->ns, child->tgid));
	return 0;
}

int proc_show_coredump_filter(const struct proc_subject *s, struct text *out)
{
	text_puts(out, "00000033\n");
	return 0;
}

/* --- identity ----------------------------------------------------------------------------------------- */

int proc_show_loginuid(const struct proc_subject *s, struct text *out)
{
	text_puts(out, "4294967295");
	return 0;
}

int proc_show_sessionid(const struct proc_subject *s, struct text *out)
{
	text_puts(out, "4294967295");
	return 0;
}

ssize_t proc_write_accepted(const struct proc_subject *s, const char *text, size_t n)
{
	return (ssize_t)n;
}

/* --- security attributes: as of a kernel without a security module ------------------------------------- */

static int show_no_lsm(const struct proc_subject *s, struct text *out)
{
	return -EINVAL;
}

const struct proc_entry proc_attr_table[] = {
    {"current", S_IFREG | 0666, PROC_ANY, show_no_lsm},
    {"prev", S_IFREG | 0444, PROC_ANY, show_no_lsm},
    {"exec", S_IFREG | 0666, PROC_ANY, show_no_lsm},
    {"fscreate", S_IFREG | 0666, PROC_ANY, show_no_lsm},
    {"keycreate", S_IFREG | 0666, PROC_ANY, show_no_lsm},
    {"sockcreate", S_IFREG | 0666, PROC_ANY, show_no_lsm},
    {NULL},
};
