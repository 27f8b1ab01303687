/*
 * Files about the system: processors, memory, load, time, versions. Memory and
 * processors are those of the container where it has limits of its own, else
 * the host's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/abi/version.h"
#include "sentry/core/host_facts.h"
#include "sentry/fs/filelock.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/tasklist.h"

#define FILE_(n, fn)                                                                               \
	{                                                                                          \
		.name = (n), .mode = S_IFREG | 0444, .show = (fn)                                  \
	}
#define TEXT(n, t)                                                                                 \
	{                                                                                          \
		.name = (n), .mode = S_IFREG | 0444, .text = (t)                                   \
	}

static unsigned int ncpus(void)
{
	struct container *c = proc_container();

	return c && c->ncpus ? c->ncpus : 1;
}

/* --- processors --------------------------------------------------------------------------------- */

static int show_cpuinfo(struct superblock *sb, struct text *out)
{
	for (unsigned int cpu = 0; cpu < ncpus(); cpu++) {
		size_t len;
		const char *block = host_cpuinfo_block(cpu, &len);
		const char *rest = memchr(block, '\n', len);

		/* The first line is the number, which is ours. */
		text_printf(out, "processor\t: %u\n", cpu);
		if (rest)
			text_add(out, rest + 1, len - (size_t)(rest + 1 - block));
	}
	return 0;
}

struct cpu_times {
	uint64_t user, system, idle; /* ticks, of all CPUs */
};

/* The container's own use so far. What reaped processes used is in their ancestors' totals;
 * a total that would fall (an orphan's share is lost) stays where it was. */
static struct cpu_times gather_cpu_times(void)
{
	static struct mutex lock = MUTEX_INIT(RANK_LEAF);
	static uint64_t high_user, high_system, high_idle;
	struct container *c = proc_container();
	uint64_t user = 0, system = 0, up = host_monotonic_ns() * ncpus(), u, s;
	struct process *p;

	for (int from = 1; c && (p = process_next(c, from)); process_put(p)) {
		process_times(p, &u, &s);
		user += u;
		system += s;
		mutex_lock(&tasklist);
		if (p->tgid == 1) {
			user += (uint64_t)p->child_usage.ru_utime.tv_sec * NSEC_PER_SEC;
			system += (uint64_t)p->child_usage.ru_stime.tv_sec * NSEC_PER_SEC;
		}
		mutex_unlock(&tasklist);
		from = p->tgid + 1;
	}
	SCOPED_LOCK(&lock);
	high_user = max(high_user, user);
	high_system = max(high_system, system);
	high_idle = max(high_idle, up - min(up, high_user + high_system));
	return (struct cpu_times){proc_ticks(high_user), proc_ticks(high_system),
				  proc_ticks(high_idle)};
}

static void cpu_line(struct text *out, const struct cpu_times *t, unsigned int share)
{
	text_printf(out, " %llu 0 %llu %llu 0 0 0 0 0 0\n", (unsigned long long)(t->user / share),
		    (unsigned long long)(t->system / share), (unsigned long long)(t->idle / share));
}

/* Seconds since the epoch at which CLOCK_MONOTONIC was 0: start times count from there. */
static uint64_t boot_seconds(void)
{
	return (host_realtime_ns() - host_monotonic_ns()) / NSEC_PER_SEC;
}

static void count_tasks(int *running, int *total, int *last_pid)
{
	struct container *c = proc_container();
	struct pid *pid;

	*running = *total = *last_pid = 0;
	if (!c)
		return;
	mutex_lock(&tasklist);
	for (pid = pid_next(c->pids, 1); pid; pid = pid_next(c->pids, pid->nr + 1)) {
		if (!pid->task)
			continue;
		++*total;
		*running += atomic_load(&pid->task->state) == 'R';
	}
	*last_pid = pid_last(c->pids);
	mutex_unlock(&tasklist);
	*running = max(*running, 1);
}

static int show_stat(struct superblock *sb, struct text *out)
{
	struct cpu_times t = gather_cpu_times();
	int running, total, last_pid;

	count_tasks(&running, &total, &last_pid);
	text_puts(out, "cpu ");
	cpu_line(out, &t, 1);
	for (unsigned int i = 0; i < ncpus(); i++) {
		text_printf(out, "cpu%u", i);
		cpu_line(out, &t, ncpus());
	}
	text_printf(out,
		    "intr 0\nctxt 0\nbtime %llu\nprocesses %d\nprocs_running %d\n"
		    "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		    (unsigned long long)boot_seconds(), last_pid, running);
	return 0;
}

static int show_loadavg(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();
	int running, total, last_pid;
	unsigned long load[3] = {0};

	if (c)
		loadavg_get(c, load);
	count_tasks(&running, &total, &last_pid);
	for (int i = 0; i < 3; i++) {
		unsigned long cents = (load[i] * 100 + (1 << (LOAD_SHIFT - 1))) >> LOAD_SHIFT;

		text_printf(out, "%lu.%02lu ", cents / 100, cents % 100);
	}
	text_printf(out, "%d/%d %d\n", running, total, last_pid);
	return 0;
}

static int show_uptime(struct superblock *sb, struct text *out)
{
	struct cpu_times t = gather_cpu_times();
	struct task *reader = task_current();
	uint64_t ahead = reader ? (uint64_t)reader->ns->time->boottime : 0;
	uint64_t up = proc_ticks(host_monotonic_ns() + ahead);

	text_printf(out, "%llu.%02llu %llu.%02llu\n", (unsigned long long)up / 100,
		    (unsigned long long)up % 100, (unsigned long long)t.idle / 100,
		    (unsigned long long)t.idle % 100);
	return 0;
}

static int show_interrupts(struct superblock *sb, struct text *out)
{
	text_puts(out, "           ");
	for (unsigned int i = 0; i < ncpus(); i++)
		text_printf(out, "CPU%-8u", i);
	text_puts(out, "\n");
	return 0;
}

static int show_softirqs(struct superblock *sb, struct text *out)
{
	text_puts(out, "                    ");
	for (unsigned int i = 0; i < ncpus(); i++)
		text_printf(out, "CPU%-8u", i);
	text_puts(out, "\n");
	return 0;
}

/* --- memory --------------------------------------------------------------------------------------- */

static uint64_t container_resident(struct container *c)
{
	uint64_t sum = 0, rss, peak;
	struct process *p;

	for (int from = 1; (p = process_next(c, from)); process_put(p)) {
		struct task *t = process_next_task(p, 0);
		struct mm *mm = t ? task_get_mm(t) : NULL;

		if (mm) {
			mm_rss(mm, &rss, &peak);
			sum += rss * GUEST_PAGE;
			mm_put(mm);
		}
		if (t)
			task_put(t);
		from = p->tgid + 1;
	}
	return sum;
}

static void gather_memory(struct host_memory *m)
{
	struct container *c = proc_container();
	uint64_t used;

	host_memory(m);
	if (!c || !c->memory_limit || c->memory_limit >= m->total)
		return;
	used = min(container_resident(c), c->memory_limit);
	*m = (struct host_memory){.total = c->memory_limit,
				  .free = c->memory_limit - used,
				  .available = c->memory_limit - used,
				  .active = used};
}

static void kib(struct text *out, const char *name, uint64_t bytes)
{
	size_t from = out->len;

	text_printf(out, "%s:", name);
	text_pad(out, from, 16);
	text_printf(out, "%8llu kB\n", (unsigned long long)bytes / 1024);
}

static int show_meminfo(struct superblock *sb, struct text *out)
{
	struct host_memory m;

	gather_memory(&m);
	kib(out, "MemTotal", m.total);
	kib(out, "MemFree", m.free);
	kib(out, "MemAvailable", m.available);
	kib(out, "Buffers", m.buffers);
	kib(out, "Cached", m.cached);
	kib(out, "SwapCached", 0);
	kib(out, "Active", m.active);
	kib(out, "Inactive", m.inactive);
	kib(out, "Active(anon)", m.active);
	kib(out, "Inactive(anon)", 0);
	kib(out, "Active(file)", 0);
	kib(out, "Inactive(file)", m.inactive);
	kib(out, "Unevictable", 0);
	kib(out, "Mlocked", 0);
	kib(out, "SwapTotal", m.swap_total);
	kib(out, "SwapFree", m.swap_free);
	kib(out, "Dirty", 0);
	kib(out, "Writeback", 0);
	kib(out, "AnonPages", m.active);
	kib(out, "Mapped", 0);
	kib(out, "Shmem", m.shmem);
	kib(out, "KReclaimable", m.slab);
	kib(out, "Slab", m.slab);
	kib(out, "SReclaimable", m.slab);
	kib(out, "SUnreclaim", 0);
	kib(out, "KernelStack", 0);
	kib(out, "PageTables", 0);
	kib(out, "CommitLimit", m.total / 2 + m.swap_total);
	kib(out, "Committed_AS", m.total - m.available);
	kib(out, "VmallocTotal", 35184372087808);
	kib(out, "VmallocUsed", 0);
	kib(out, "VmallocChunk", 0);
	kib(out, "AnonHugePages", 0);
	text_puts(out, "HugePages_Total:       0\nHugePages_Free:        0\n"
		       "HugePages_Rsvd:        0\nHugePages_Surp:        0\n");
	kib(out, "Hugepagesize", 2 << 20);
	kib(out, "Hugetlb", 0);
	return 0;
}

static int show_locks(struct superblock *sb, struct text *out)
{
	filelock_format(out);
	return 0;
}

static int show_vmstat(struct superblock *sb, struct text *out)
{
	struct host_memory m;

	gather_memory(&m);
	text_printf(out, "nr_free_pages %llu\n", (unsigned long long)(m.free / GUEST_PAGE));
	text_printf(out, "nr_file_pages %llu\n", (unsigned long long)(m.cached / GUEST_PAGE));
	text_puts(out, "nr_dirty 0\nnr_writeback 0\nnr_mapped 0\nnr_slab_reclaimable 0\n"
		       "nr_slab_unreclaimable 0\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n"
		       "pgfault 0\npgmajfault 0\noom_kill 0\n");
	return 0;
}

/* --- the rest -------------------------------------------------------------------------------------- */

static int show_version(struct superblock *sb, struct text *out)
{
	text_puts(out, GUEST_OSTYPE " version " GUEST_OSRELEASE
				    " (garrison@garrison) (gcc) " GUEST_VERSION "\n");
	return 0;
}

static int show_filesystems(struct superblock *sb, struct text *out)
{
	const struct fs_type *t;

	for (size_t i = 0; (t = fs_type_at(i)); i++)
		text_printf(out, "%s\t%s\n", t->nodev ? "nodev" : "", t->name);
	return 0;
}

static int show_key_users(struct superblock *sb, struct text *out)
{
	text_puts(out, "    0:     1 1/1 1/1000000 9/25000000\n");
	return 0;
}

static const struct pseudo_entry tty_table[] = {
    TEXT("drivers", "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
		    "/dev/console         /dev/console    5       1 system:console\n"
		    "/dev/ptmx            /dev/ptmx       5       2 system\n"
		    "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
		    "pty_master           /dev/ptm      128 0-1048575 pty:master\n"),
    {.name = NULL},
};

static int show_ipc(struct text *out, void (*show)(struct ipc_namespace *ns, struct text *out))
{
	struct task *t = task_current();

	if (!t)
		return -ENOENT;
	show(t->ns->ipc, out);
	return 0;
}

static int show_shm(struct superblock *sb, struct text *out)
{
	return show_ipc(out, ipc_proc_show_shm);
}

static int show_sem(struct superblock *sb, struct text *out)
{
	return show_ipc(out, ipc_proc_show_sem);
}

static int show_msg(struct superblock *sb, struct text *out)
{
	return show_ipc(out, ipc_proc_show_msg);
}

static const struct pseudo_entry sysvipc_table[] = {
    FILE_("shm", show_shm),
    FILE_("sem", show_sem),
    FILE_("msg", show_msg),
    {.name = NULL},
};

static const struct pseudo_entry empty_table[] = {{.name = NULL}};

static const char devices[] = "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n"
			      "  5 /dev/ptmx\n 10 misc\n128 ptm\n136 pts\n\nBlock devices:\n";

const struct pseudo_entry proc_system_table[] = {
    {.name = "bus", .mode = S_IFDIR | 0555, .children = empty_table},
    TEXT("cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\n"
		    "cpu\t0\t1\t1\ncpuacct\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n"),
    TEXT("cmdline", "garrison\n"),
    TEXT("consoles", ""),
    FILE_("cpuinfo", show_cpuinfo),
    TEXT("crypto", ""),
    TEXT("devices", devices),
    TEXT("diskstats", ""),
    TEXT("execdomains", "0-0\tLinux           \t[kernel]\n"),
    FILE_("filesystems", show_filesystems),
    {.name = "fs", .mode = S_IFDIR | 0555, .children = empty_table},
    FILE_("interrupts", show_interrupts),
    {.name = "irq", .mode = S_IFDIR | 0555, .children = empty_table},
    FILE_("key-users", show_key_users),
    TEXT("keys", ""),
    FILE_("loadavg", show_loadavg),
    FILE_("locks", show_locks),
    FILE_("meminfo", show_meminfo),
    TEXT("misc", ""),
    TEXT("modules", ""),
    {.name = "mounts", .mode = S_IFLNK | 0777, .target = "self/mounts"},
    {.name = "net", .mode = S_IFLNK | 0777, .target = "self/net"},
    TEXT("partitions", "major minor  #blocks  name\n\n"),
    FILE_("softirqs", show_softirqs),
    FILE_("stat", show_stat),
    TEXT("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    {.name = "sys", .mode = S_IFDIR | 0555, .children = proc_sysctl_table},
    {.name = "sysvipc", .mode = S_IFDIR | 0555, .children = sysvipc_table},
    {.name = "tty", .mode = S_IFDIR | 0555, .children = tty_table},
    FILE_("uptime", show_uptime),
    FILE_("version", show_version),
    FILE_("vmstat", show_vmstat),
    {.name = NULL},
};
