/*
 * /sys: what programs ask of it inside a container. Processors and their
 * caches, the one memory node, huge page settings, and the directories that
 * others mount on or list. CPUs are those of the reader's container.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/kernel/sysfs/sysfs.h"
#include "sentry/core/host_facts.h"
#include "sentry/fs/procfs/pseudofs.h"
#include "sentry/kernel/proc/proc.h"

#define SYSFS_MAGIC 0x62656572

static unsigned int ncpus(void)
{
	struct container *c = proc_container();

	return c && c->ncpus ? c->ncpus : 1;
}

/* --- sets of CPUs ---------------------------------------------------------------------------------- */

/* Which CPUs belong together with `cpu`. */
typedef bool same_fn(unsigned int a, unsigned int b, unsigned int group);

static void cpu_list(struct text *out, same_fn *same, unsigned int cpu, unsigned int group)
{
	const char *comma = "";

	for (unsigned int i = 0; i < ncpus(); i++) {
		unsigned int end = i;

		if (!same(cpu, i, group))
			continue;
		while (end + 1 < ncpus() && same(cpu, end + 1, group))
			end++;
		if (end > i)
			text_printf(out, "%s%u-%u", comma, i, end);
		else
			text_printf(out, "%s%u", comma, i);
		comma = ",";
		i = end;
	}
	text_puts(out, "\n");
}

static void cpu_map(struct text *out, same_fn *same, unsigned int cpu, unsigned int group)
{
	for (int word = (int)(ncpus() - 1) / 32; word >= 0; word--) {
		unsigned int left = ncpus() - (unsigned int)word * 32, bits = min(left, 32u), w = 0;

		for (unsigned int i = 0; i < bits; i++)
			if (same(cpu, (unsigned int)word * 32 + i, group))
				w |= 1u << i;
		text_printf(out, "%0*x%s", (int)(bits + 3) / 4, w, word ? "," : "\n");
	}
}

static long package_of(unsigned int cpu)
{
	return host_cpuinfo_number(cpu, "physical id", 0);
}

static long core_of(unsigned int cpu)
{
	return host_cpuinfo_number(cpu, "core id", (long)cpu);
}

static bool all_cpus(unsigned int a, unsigned int b, unsigned int group)
{
	return true;
}

static bool same_package(unsigned int a, unsigned int b, unsigned int group)
{
	return package_of(a) == package_of(b);
}

static bool same_core(unsigned int a, unsigned int b, unsigned int group)
{
	return same_package(a, b, 0) && core_of(a) == core_of(b);
}

/* Neighbours share a cache in groups of so many. */
static bool same_cache(unsigned int a, unsigned int b, unsigned int group)
{
	return same_package(a, b, 0) && a / max(group, 1u) == b / max(group, 1u);
}

/* --- nodes about one CPU ----------------------------------------------------------------------------- */

struct cpu_node;

struct cpu_entry {
	const char *name;
	uint32_t mode;
	const struct cpu_entry *children;
	void (*show)(struct cpu_node *n, struct text *out);
};

struct cpu_node {
	struct pseudo_inode base;
	const struct cpu_entry *entry;
	unsigned int cpu;
	unsigned int cache; /* below cache/indexN */
};

static struct cpu_node *cpu_node_of(struct pseudo_inode *p)
{
	return container_of(p, struct cpu_node, base);
}

static void show_core_id(struct cpu_node *n, struct text *out)
{
	text_printf(out, "%ld\n", core_of(n->cpu));
}

static void show_package_id(struct cpu_node *n, struct text *out)
{
	text_printf(out, "%ld\n", package_of(n->cpu));
}

static void show_zero(struct cpu_node *n, struct text *out)
{
	text_puts(out, "0\n");
}

static void show_one(struct cpu_node *n, struct text *out)
{
	text_puts(out, "1\n");
}

static void show_core_map(struct cpu_node *n, struct text *out)
{
	cpu_map(out, same_core, n->cpu, 0);
}

static void show_core_list(struct cpu_node *n, struct text *out)
{
	cpu_list(out, same_core, n->cpu, 0);
}

static void show_package_map(struct cpu_node *n, struct text *out)
{
	cpu_map(out, same_package, n->cpu, 0);
}

static void show_package_list(struct cpu_node *n, struct text *out)
{
	cpu_list(out, same_package, n->cpu, 0);
}

static struct host_cache cache_of(const struct cpu_node *n)
{
	struct host_cache c = {.level = 0};

	(void)!host_cache(n->cache, &c);
	return c;
}

static void show_cache_id(struct cpu_node *n, struct text *out)
{
	text_printf(out, "%u\n", n->cpu / max(cache_of(n).shared_cpus, 1u));
}

static void show_cache_level(struct cpu_node *n, struct text *out)
{
	text_printf(out, "%d\n", cache_of(n).level);
}

static void show_cache_type(struct cpu_node *n, struct text *out)
{
	static const char *const names[] = {"", "Data", "Instruction", "Unified"};

	text_printf(out, "%s\n", names[cache_of(n).type & 3]);
}

static void show_cache_size(struct cpu_node *n, struct text *out)
{
	text_printf(out, "%lluK\n", (unsigned long long)cache_of(n).size >> 10);
}

static void show_cache_line(struct cpu_node *n, struct text *out)
{
	text_printf(out, "%u\n", cache_of(n).line);
}

static void show_cache_ways(struct cpu_node *n, struct text *out)
{
	text_printf(out, "%u\n", cache_of(n).ways);
}

static void show_cache_sets(struct cpu_node *n, struct text *out)
{
	text_printf(out, "%u\n", cache_of(n).sets);
}

static void show_cache_map(struct cpu_node *n, struct text *out)
{
	cpu_map(out, same_cache, n->cpu, cache_of(n).shared_cpus);
}

static void show_cache_list(struct cpu_node *n, struct text *out)
{
	cpu_list(out, same_cache, n->cpu, cache_of(n).shared_cpus);
}

#define FILE_MODE (S_IFREG | 0444)
#define DIR_MODE (S_IFDIR | 0755)

static const struct cpu_entry topology_table[] = {
    {"cluster_id", FILE_MODE, NULL, show_zero},
    {"core_cpus", FILE_MODE, NULL, show_core_map},
    {"core_cpus_list", FILE_MODE, NULL, show_core_list},
    {"core_id", FILE_MODE, NULL, show_core_id},
    {"core_siblings", FILE_MODE, NULL, show_package_map},
    {"core_siblings_list", FILE_MODE, NULL, show_package_list},
    {"die_cpus", FILE_MODE, NULL, show_package_map},
    {"die_cpus_list", FILE_MODE, NULL, show_package_list},
    {"die_id", FILE_MODE, NULL, show_zero},
    {"package_cpus", FILE_MODE, NULL, show_package_map},
    {"package_cpus_list", FILE_MODE, NULL, show_package_list},
    {"physical_package_id", FILE_MODE, NULL, show_package_id},
    {"thread_siblings", FILE_MODE, NULL, show_core_map},
    {"thread_siblings_list", FILE_MODE, NULL, show_core_list},
    {NULL},
};

static const struct cpu_entry cache_index_table[] = {
    {"coherency_line_size", FILE_MODE, NULL, show_cache_line},
    {"id", FILE_MODE, NULL, show_cache_id},
    {"level", FILE_MODE, NULL, show_cache_level},
    {"number_of_sets", FILE_MODE, NULL, show_cache_sets},
    {"physical_line_partition", FILE_MODE, NULL, show_one},
    {"shared_cpu_list", FILE_MODE, NULL, show_cache_list},
    {"shared_cpu_map", FILE_MODE, NULL, show_cache_map},
    {"size", FILE_MODE, NULL, show_cache_size},
    {"type", FILE_MODE, NULL, show_cache_type},
    {"ways_of_associativity", FILE_MODE, NULL, show_cache_ways},
    {NULL},
};

#define MAX_CACHES 8
static const struct cpu_entry cache_table[MAX_CACHES + 1] = {
    {"index0", DIR_MODE, cache_index_table},
    {"index1", DIR_MODE, cache_index_table},
    {"index2", DIR_MODE, cache_index_table},
    {"index3", DIR_MODE, cache_index_table},
    {"index4", DIR_MODE, cache_index_table},
    {"index5", DIR_MODE, cache_index_table},
    {"index6", DIR_MODE, cache_index_table},
    {"index7", DIR_MODE, cache_index_table},
    {NULL},
};

static const struct cpu_entry cpu_table[] = {
    {"cache", DIR_MODE, cache_table},
    {"online", FILE_MODE, NULL, show_one},
    {"topology", DIR_MODE, topology_table},
    {NULL},
};

static const struct cpu_entry cpu_dir_entry = {"cpu", DIR_MODE, cpu_table};

/* cache_table is longer than the machine has caches. */
static bool present(const struct cpu_entry *table, size_t i)
{
	struct host_cache c;

	return table != cache_table || host_cache((unsigned int)i, &c);
}

static const struct pseudo_ops cpu_file_ops, cpu_dir_ops;

static struct pseudo_inode *cpu_node_new(struct superblock *sb, const struct cpu_entry *e,
					 unsigned int cpu, unsigned int cache, uint64_t ino)
{
	struct cpu_node *n = NEW(struct cpu_node);

	n->entry = e;
	n->cpu = cpu;
	n->cache = cache;
	pseudo_inode_init(&n->base, sb, S_ISDIR(e->mode) ? &cpu_dir_ops : &cpu_file_ops, ino,
			  e->mode);
	n->base.inode.size = S_ISREG(e->mode) ? 4096 : 0;
	return &n->base;
}

static int cpu_show(struct pseudo_inode *p, struct text *out)
{
	cpu_node_of(p)->entry->show(cpu_node_of(p), out);
	return 0;
}

static int cpu_lookup(struct pseudo_inode *dir, const char *name, size_t len,
		      struct pseudo_inode **out)
{
	struct cpu_node *d = cpu_node_of(dir);
	const struct cpu_entry *table = d->entry->children;

	for (size_t i = 0; table[i].name; i++) {
		if (strlen(table[i].name) != len || memcmp(table[i].name, name, len) != 0 ||
		    !present(table, i))
			continue;
		*out = cpu_node_new(dir->inode.sb, &table[i], d->cpu,
				    table == cache_table ? (unsigned int)i : d->cache,
				    pseudo_ino(dir->inode.ino, i + 1));
		return 0;
	}
	return -ENOENT;
}

static int cpu_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	const struct cpu_entry *table = cpu_node_of(dir)->entry->children;

	for (size_t i = 0; table[i].name; i++) {
		off_t cookie = (off_t)i + 3;

		if (*pos >= cookie || !present(table, i))
			continue;
		if (!sink->emit(sink, table[i].name, strlen(table[i].name),
				pseudo_ino(dir->inode.ino, i + 1),
				(unsigned char)(table[i].mode >> 12), cookie))
			break;
		*pos = cookie;
	}
	return 0;
}

static const struct pseudo_ops cpu_file_ops = {.show = cpu_show};
static const struct pseudo_ops cpu_dir_ops = {.lookup = cpu_lookup, .iterate = cpu_iterate};

/* --- directories that list CPUs -------------------------------------------------------------------------- */

/* "cpuN": its number, or -ENOENT. */
static int parse_cpu(const char *name, size_t len, int *cpu)
{
	if (len < 4 || memcmp(name, "cpu", 3) != 0 ||
	    pseudo_parse_number(name + 3, len - 3, cpu) < 0)
		return -ENOENT;
	return (unsigned int)*cpu < ncpus() ? 0 : -ENOENT;
}

static int cpus_lookup(struct pseudo_inode *dir, const char *name, size_t len,
		       struct pseudo_inode **out)
{
	const struct pseudo_entry *table = pseudo_entry_of(dir)->children;
	const struct pseudo_entry *e = pseudo_entry_find(table, name, len);
	int cpu;

	if (e) {
		*out = pseudo_entry_new(dir->inode.sb, e,
					pseudo_ino(dir->inode.ino, (uint64_t)(e - table) + 1));
		return 0;
	}
	if (parse_cpu(name, len, &cpu) < 0)
		return -ENOENT;
	*out = cpu_node_new(dir->inode.sb, &cpu_dir_entry, (unsigned int)cpu, 0,
			    pseudo_ino(dir->inode.ino, 1000 + (uint64_t)cpu));
	return 0;
}

static int cpus_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	if (!pseudo_entries_emit(pseudo_entry_of(dir)->children, sink, 2, pos))
		return 0;
	*pos = max(*pos, (off_t)1000);
	for (unsigned int cpu = (unsigned int)(*pos - 1000); cpu < ncpus(); cpu++) {
		char name[24];
		int n = snprintf(name, sizeof(name), "cpu%u", cpu);

		if (!sink->emit(sink, name, (size_t)n, pseudo_ino(dir->inode.ino, 1000 + cpu),
				DT_DIR, 1001 + cpu))
			break;
		*pos = 1001 + cpu;
	}
	return 0;
}

static const struct pseudo_ops cpus_ops = {.lookup = cpus_lookup, .iterate = cpus_iterate};

/* --- fixed files ------------------------------------------------------------------------------------------- */

static int show_cpus(struct superblock *sb, struct text *out)
{
	cpu_list(out, all_cpus, 0, 0);
	return 0;
}

static int show_cpumap(struct superblock *sb, struct text *out)
{
	cpu_map(out, all_cpus, 0, 0);
	return 0;
}

static int show_kernel_max(struct superblock *sb, struct text *out)
{
	text_printf(out, "%u\n", max(ncpus(), 1u) - 1);
	return 0;
}

static int show_node_meminfo(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();
	struct host_memory m;

	host_memory(&m);
	if (c && c->memory_limit && c->memory_limit < m.total)
		m.total = m.free = c->memory_limit;
	text_printf(out,
		    "Node 0 MemTotal:       %8llu kB\nNode 0 MemFree:        %8llu kB\n"
		    "Node 0 MemUsed:        %8llu kB\n",
		    (unsigned long long)m.total >> 10, (unsigned long long)m.free >> 10,
		    (unsigned long long)(m.total - m.free) >> 10);
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
#define DIR_(n, table)                                                                             \
	{                                                                                          \
		.name = (n), .mode = S_IFDIR | 0755, .children = (table)                           \
	}
#define LINK(n, t)                                                                                 \
	{                                                                                          \
		.name = (n), .mode = S_IFLNK | 0777, .target = (t)                                 \
	}
#define END                                                                                        \
	{                                                                                          \
		.name = NULL                                                                       \
	}

static const struct pseudo_entry empty_table[] = {END};

static const struct pseudo_entry cpus_table[] = {
    TEXT("isolated", "\n"),
    READ("kernel_max", show_kernel_max),
    TEXT("offline", "\n"),
    READ("online", show_cpus),
    READ("possible", show_cpus),
    READ("present", show_cpus),
    END,
};

static const struct pseudo_entry node0_table[] = {
    READ("cpulist", show_cpus),
    READ("cpumap", show_cpumap),
    TEXT("distance", "10\n"),
    READ("meminfo", show_node_meminfo),
    TEXT("numastat", "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\n"
		     "local_node 0\nother_node 0\n"),
    END,
};

static const struct pseudo_entry node_table[] = {
    TEXT("has_cpu", "0\n"),
    TEXT("has_memory", "0\n"),
    TEXT("has_normal_memory", "0\n"),
    {.name = "node0", .mode = S_IFDIR | 0755, .ops = &cpus_ops, .children = node0_table},
    TEXT("online", "0\n"),
    TEXT("possible", "0\n"),
    END,
};

static const struct pseudo_entry system_table[] = {
    {.name = "cpu", .mode = S_IFDIR | 0755, .ops = &cpus_ops, .children = cpus_table},
    DIR_("node", node_table),
    END,
};

static const struct pseudo_entry lo_table[] = {
    TEXT("addr_len", "6\n"),
    TEXT("address", "00:00:00:00:00:00\n"),
    TEXT("broadcast", "00:00:00:00:00:00\n"),
    TEXT("carrier", "1\n"),
    TEXT("dev_id", "0x0\n"),
    TEXT("flags", "0x9\n"),
    TEXT("ifindex", "1\n"),
    TEXT("iflink", "1\n"),
    TEXT("mtu", "65536\n"),
    TEXT("operstate", "unknown\n"),
    TEXT("tx_queue_len", "1000\n"),
    TEXT("type", "772\n"),
    TEXT("uevent", "INTERFACE=lo\nIFINDEX=1\n"),
    END,
};

static const struct pseudo_entry virtual_net_table[] = {DIR_("lo", lo_table), END};
static const struct pseudo_entry virtual_table[] = {DIR_("net", virtual_net_table), END};

static const struct pseudo_entry devices_table[] = {
    DIR_("system", system_table),
    DIR_("virtual", virtual_table),
    END,
};

static const struct pseudo_entry class_net_table[] = {
    LINK("lo", "../../devices/virtual/net/lo"),
    END,
};

static const struct pseudo_entry class_table[] = {
    DIR_("block", empty_table),
    DIR_("net", class_net_table),
    DIR_("power_supply", empty_table),
    DIR_("tty", empty_table),
    END,
};

static const struct pseudo_entry dev_table[] = {
    DIR_("block", empty_table),
    DIR_("char", empty_table),
    END,
};

static const struct pseudo_entry fs_table[] = {DIR_("cgroup", empty_table), END};

static const struct pseudo_entry huge_table[] = {
    TEXT("defrag", "always defer defer+madvise [madvise] never\n"),
    TEXT("enabled", "always [madvise] never\n"),
    TEXT("hpage_pmd_size", "2097152\n"),
    TEXT("shmem_enabled", "always within_size advise [never] deny force\n"),
    TEXT("use_zero_page", "1\n"),
    END,
};

static const struct pseudo_entry huge_2m_table[] = {
    TEXT("free_hugepages", "0\n"),	    TEXT("nr_hugepages", "0\n"),
    TEXT("nr_overcommit_hugepages", "0\n"), TEXT("resv_hugepages", "0\n"),
    TEXT("surplus_hugepages", "0\n"),	    END,
};

static const struct pseudo_entry hugepages_table[] = {DIR_("hugepages-2048kB", huge_2m_table), END};

static const struct pseudo_entry mm_table[] = {
    DIR_("hugepages", hugepages_table),
    DIR_("transparent_hugepage", huge_table),
    END,
};

static const struct pseudo_entry kernel_table[] = {DIR_("mm", mm_table), END};

static const struct pseudo_entry root_table[] = {
    DIR_("block", empty_table),	    DIR_("bus", empty_table),
    DIR_("class", class_table),	    DIR_("dev", dev_table),
    DIR_("devices", devices_table), DIR_("firmware", empty_table),
    DIR_("fs", fs_table),	    DIR_("kernel", kernel_table),
    DIR_("module", empty_table),    END,
};

static const struct pseudo_entry root_entry = {
    .name = "", .mode = S_IFDIR | 0555, .children = root_table};

static int sysfs_mount(const char *source, const char *data, const struct cred *cred,
		       struct superblock **out)
{
	struct pseudo_sb *sb = NEW(struct pseudo_sb);
	struct pseudo_inode *root;

	pseudo_sb_init(sb, "sysfs", source && *source ? source : "sysfs", SYSFS_MAGIC);
	root = pseudo_entry_new(&sb->sb, &root_entry, 1);
	superblock_set_root(&sb->sb, &root->inode);
	inode_put(&root->inode);
	*out = &sb->sb;
	return 0;
}

static const struct fs_type sysfs_type = {
    .name = "sysfs", .nodev = true, .user_mountable = true, .mount = sysfs_mount};

void sysfs_init(void)
{
	fs_type_register(&sysfs_type);
}
