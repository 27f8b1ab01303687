/*
 * The container's own cgroup as cgroup v2 shows it: its limits and its use, to
 * be read by programs that size themselves by them (the JVM, Go, Node). One
 * flat directory: the limits are the host's business, so nothing can be written
 * and no groups can be made.
 */
#include <errno.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/kernel/sysfs/sysfs.h"
#include "sentry/core/host_facts.h"
#include "sentry/fs/procfs/pseudofs.h"
#include "sentry/kernel/proc/proc.h"

#define CGROUP2_SUPER_MAGIC 0x63677270

static uint64_t resident(struct container *c)
{
	uint64_t sum = 0, now, peak;
	struct process *p;

	for (int from = 1; (p = process_next(c, from)); process_put(p)) {
		struct task *t = process_next_task(p, 0);
		struct mm *mm = t ? task_get_mm(t) : NULL;

		if (mm) {
			mm_rss(mm, &now, &peak);
			sum += now * GUEST_PAGE;
			mm_put(mm);
		}
		if (t)
			task_put(t);
		from = p->tgid + 1;
	}
	return sum;
}

static int limit(struct text *out, uint64_t n)
{
	if (n)
		text_printf(out, "%llu\n", (unsigned long long)n);
	else
		text_puts(out, "max\n");
	return 0;
}

static int show_memory_max(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();

	return limit(out, c ? c->memory_limit : 0);
}

static int show_memory_current(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();

	text_printf(out, "%llu\n", c ? (unsigned long long)resident(c) : 0);
	return 0;
}

static int show_memory_stat(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();

	text_printf(out, "anon %llu\nfile 0\nkernel 0\nshmem 0\ninactive_file 0\nactive_file 0\n",
		    c ? (unsigned long long)resident(c) : 0);
	return 0;
}

static int show_pids_max(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();

	return limit(out, c ? c->pids_limit : 0);
}

static int show_pids_current(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();

	text_printf(out, "%d\n", c ? container_count_tasks(c) : 0);
	return 0;
}

static int show_cpu_stat(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();
	uint64_t user = 0, system = 0, u, s;
	struct process *p;

	for (int from = 1; c && (p = process_next(c, from)); process_put(p)) {
		process_times(p, &u, &s);
		user += u / 1000;
		system += s / 1000;
		from = p->tgid + 1;
	}
	text_printf(out, "usage_usec %llu\nuser_usec %llu\nsystem_usec %llu\n",
		    (unsigned long long)(user + system), (unsigned long long)user,
		    (unsigned long long)system);
	return 0;
}

static int show_cpus(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();
	unsigned int n = c && c->ncpus ? c->ncpus : 1;

	text_printf(out, n > 1 ? "0-%u\n" : "%u\n", n - 1);
	return 0;
}

static int show_procs(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();
	struct process *p;

	for (int from = 1; c && (p = process_next(c, from)); process_put(p)) {
		text_printf(out, "%d\n", p->tgid);
		from = p->tgid + 1;
	}
	return 0;
}

#define TEXT(n, t)                                                                                 \
	{                                                                                          \
		.name = (n), .mode = S_IFREG | 0444, .text = (t)                                   \
	}
#define READ(n, fn)                                                                                \
	{                                                                                          \
		.name = (n), .mode = S_IFREG | 0444, .show = (fn)                                  \
	}

static const struct pseudo_entry table[] = {
    TEXT("cgroup.controllers", "cpuset cpu memory pids\n"),
    TEXT("cgroup.events", "populated 1\nfrozen 0\n"),
    TEXT("cgroup.freeze", "0\n"),
    TEXT("cgroup.max.depth", "max\n"),
    TEXT("cgroup.max.descendants", "max\n"),
    READ("cgroup.procs", show_procs),
    TEXT("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
    TEXT("cgroup.subtree_control", "\n"),
    READ("cgroup.threads", show_procs),
    TEXT("cgroup.type", "domain\n"),
    TEXT("cpu.max", "max 100000\n"),
    READ("cpu.stat", show_cpu_stat),
    TEXT("cpu.weight", "100\n"),
    READ("cpuset.cpus.effective", show_cpus),
    TEXT("cpuset.mems.effective", "0\n"),
    READ("memory.current", show_memory_current),
    TEXT("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"),
    TEXT("memory.high", "max\n"),
    READ("memory.max", show_memory_max),
    READ("memory.stat", show_memory_stat),
    TEXT("memory.swap.current", "0\n"),
    TEXT("memory.swap.max", "0\n"),
    READ("pids.current", show_pids_current),
    READ("pids.max", show_pids_max),
    {.name = NULL},
};

static const struct pseudo_entry root_entry = {
    .name = "", .mode = S_IFDIR | 0555, .children = table};

static int cgroup_mount(const char *source, const char *data, const struct cred *cred,
			struct superblock **out)
{
	struct pseudo_sb *sb = NEW(struct pseudo_sb);
	struct pseudo_inode *root;

	pseudo_sb_init(sb, "cgroup2", source && *source ? source : "cgroup", CGROUP2_SUPER_MAGIC);
	root = pseudo_entry_new(&sb->sb, &root_entry, 1);
	superblock_set_root(&sb->sb, &root->inode);
	inode_put(&root->inode);
	*out = &sb->sb;
	return 0;
}

/* OCI configurations say "cgroup" for either version; both get this view. */
static const struct fs_type types[] = {
    {.name = "cgroup2", .nodev = true, .user_mountable = true, .mount = cgroup_mount},
    {.name = "cgroup", .nodev = true, .user_mountable = false, .mount = cgroup_mount},
};

void cgroupfs_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		fs_type_register(&types[i]);
}
