/*
 * /proc/sys. Most values are constants of this kernel or Linux's defaults; those
 * that mean something here are made when read. Constants cannot be written
 * (-EPERM): Linux would let root change them, and nothing would come of it here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/host_random.h"
#include "common/mem.h"
#include "sentry/abi/version.h"
#include "sentry/fs/protected.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/aio.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/mm/mm.h"

#define TEXT(n, t)                                                                                 \
	{                                                                                          \
		.name = (n), .mode = S_IFREG | 0644, .text = (t)                                   \
	}
#define READ(n, fn)                                                                                \
	{                                                                                          \
		.name = (n), .mode = S_IFREG | 0444, .show = (fn)                                  \
	}
#define DIR_(n, table)                                                                             \
	{                                                                                          \
		.name = (n), .mode = S_IFDIR | 0555, .children = (table)                           \
	}
#define END                                                                                        \
	{                                                                                          \
		.name = NULL                                                                       \
	}
#define STRING(n) STRING_(n)
#define STRING_(n) #n

static int show_aio_nr(struct superblock *sb, struct text *out)
{
	text_printf(out, "%u\n", aio_total());
	return 0;
}

/* --- names of the container --------------------------------------------------------------------- */

static int show_name(struct text *out, bool domain)
{
	struct task *t = task_current();
	struct uts_ns *uts;

	if (!t)
		return -ENOENT;
	uts = t->ns->uts;
	mutex_lock(&uts->lock);
	text_printf(out, "%s\n", domain ? uts->domainname : uts->hostname);
	mutex_unlock(&uts->lock);
	return 0;
}

static ssize_t write_name(const char *text, size_t n, bool domain)
{
	struct task *t = task_current();
	size_t len = strcspn(text, "\n");
	struct uts_ns *uts;
	char *name;

	if (!t || !task_ns_capable(t, t->ns->uts->ns.owner, CAP_SYS_ADMIN))
		return -EPERM;
	uts = t->ns->uts;
	len = min(len, (size_t)64);
	mutex_lock(&uts->lock);
	name = domain ? uts->domainname : uts->hostname;
	memcpy(name, text, len);
	name[len] = '\0';
	mutex_unlock(&uts->lock);
	return (ssize_t)n;
}

static int show_hostname(struct superblock *sb, struct text *out)
{
	return show_name(out, false);
}

static int show_domainname(struct superblock *sb, struct text *out)
{
	return show_name(out, true);
}

static ssize_t write_hostname(struct superblock *sb, const char *text, size_t n)
{
	return write_name(text, n, false);
}

static ssize_t write_domainname(struct superblock *sb, const char *text, size_t n)
{
	return write_name(text, n, true);
}

/* --- random -------------------------------------------------------------------------------------- */

static void add_uuid(struct text *out, const unsigned char b[16])
{
	for (int i = 0; i < 16; i++)
		text_printf(out, "%02x%s", b[i], i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
	text_puts(out, "\n");
}

static void make_uuid(unsigned char b[16])
{
	host_random(b, 16);
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
}

static int show_uuid(struct superblock *sb, struct text *out)
{
	unsigned char b[16];

	make_uuid(b);
	add_uuid(out, b);
	return 0;
}

static unsigned char boot_id[16];
static pthread_once_t boot_id_once = PTHREAD_ONCE_INIT;

static void make_boot_id(void)
{
	make_uuid(boot_id);
}

static int show_boot_id(struct superblock *sb, struct text *out)
{
	pthread_once(&boot_id_once, make_boot_id);
	add_uuid(out, boot_id);
	return 0;
}

static const struct pseudo_entry random_table[] = {
    READ("boot_id", show_boot_id),
    READ("uuid", show_uuid),
    TEXT("entropy_avail", "256\n"),
    TEXT("poolsize", "256\n"),
    TEXT("urandom_min_reseed_secs", "60\n"),
    TEXT("write_wakeup_threshold", "256\n"),
    END,
};

/* --- kernel ---------------------------------------------------------------------------------------- */

static int show_last_pid(struct superblock *sb, struct text *out)
{
	struct container *c = proc_container();
	int last = 0;

	if (c) {
		mutex_lock(&tasklist);
		last = pid_last(c->pids);
		mutex_unlock(&tasklist);
	}
	text_printf(out, "%d\n", last);
	return 0;
}

static ssize_t write_last_pid(struct superblock *sb, const char *text, size_t n)
{
	struct container *c = proc_container();
	int last = atoi(text);

	if (!c || !task_capable(task_current(), CAP_SYS_ADMIN))
		return -EPERM;
	if (last < 0 || last >= PID_MAX)
		return -EINVAL;
	mutex_lock(&tasklist);
	pid_set_last(c->pids, last);
	mutex_unlock(&tasklist);
	return (ssize_t)n;
}

static const struct pseudo_entry seccomp_table[] = {
    TEXT("actions_avail", "kill_process kill_thread trap errno user_notif trace log allow\n"),
    TEXT("actions_logged", "kill_process kill_thread trap errno user_notif trace log\n"),
    END,
};

static const struct pseudo_entry pty_table[] = {
    TEXT("max", "4096\n"),
    TEXT("nr", "0\n"),
    TEXT("reserve", "1024\n"),
    END,
};

static const struct pseudo_entry keys_table[] = {
    TEXT("maxkeys", "200\n"),
    TEXT("maxbytes", "20000\n"),
    END,
};

static const struct pseudo_entry kernel_table[] = {
    TEXT("arch", "x86_64\n"),
    TEXT("auto_msgmni", "0\n"),
    TEXT("cap_last_cap", STRING(CAP_LAST_CAP) "\n"),
    TEXT("core_pattern", "core\n"),
    TEXT("core_uses_pid", "0\n"),
    TEXT("dmesg_restrict", "1\n"),
    {.name = "domainname",
     .mode = S_IFREG | 0644,
     .show = show_domainname,
     .write = write_domainname},
    {.name = "hostname", .mode = S_IFREG | 0644, .show = show_hostname, .write = write_hostname},
    TEXT("io_uring_disabled", "2\n"),
    DIR_("keys", keys_table),
    TEXT("kptr_restrict", "1\n"),
    TEXT("msgmax", "8192\n"),
    TEXT("msgmnb", "16384\n"),
    TEXT("msgmni", "32000\n"),
    TEXT("ngroups_max", "65536\n"),
    {.name = "ns_last_pid", .mode = S_IFREG | 0666, .show = show_last_pid, .write = write_last_pid},
    TEXT("numa_balancing", "0\n"),
    TEXT("osrelease", GUEST_OSRELEASE "\n"),
    TEXT("ostype", GUEST_OSTYPE "\n"),
    TEXT("overflowgid", "65534\n"),
    TEXT("overflowuid", "65534\n"),
    TEXT("panic", "0\n"),
    TEXT("perf_event_paranoid", "4\n"),
    TEXT("pid_max", STRING(PID_MAX) "\n"),
    TEXT("print-fatal-signals", "0\n"),
    TEXT("printk", "4\t4\t1\t7\n"),
    DIR_("pty", pty_table),
    DIR_("random", random_table),
    TEXT("randomize_va_space", "2\n"),
    TEXT("sched_autogroup_enabled", "0\n"),
    TEXT("sched_child_runs_first", "0\n"),
    TEXT("sched_rr_timeslice_ms", "100\n"),
    TEXT("sched_rt_period_us", "1000000\n"),
    TEXT("sched_rt_runtime_us", "950000\n"),
    DIR_("seccomp", seccomp_table),
    TEXT("sem", "32000\t1024000000\t500\t32000\n"),
    TEXT("shm_rmid_forced", "0\n"),
    TEXT("shmall", "18446744073692774399\n"),
    TEXT("shmmax", "18446744073692774399\n"),
    TEXT("shmmni", "4096\n"),
    TEXT("sysrq", "0\n"),
    TEXT("tainted", "0\n"),
    TEXT("threads-max", STRING(PID_MAX) "\n"),
    TEXT("unprivileged_bpf_disabled", "2\n"),
    TEXT("version", GUEST_VERSION "\n"),
    END,
};

/* --- vm ---------------------------------------------------------------------------------------------- */

static const struct pseudo_entry vm_table[] = {
    TEXT("admin_reserve_kbytes", "8192\n"),
    TEXT("dirty_background_bytes", "0\n"),
    TEXT("dirty_background_ratio", "10\n"),
    TEXT("dirty_bytes", "0\n"),
    TEXT("dirty_expire_centisecs", "3000\n"),
    TEXT("dirty_ratio", "20\n"),
    TEXT("dirty_writeback_centisecs", "500\n"),
    TEXT("legacy_va_layout", "0\n"),
    TEXT("max_map_count", STRING(MM_MAX_MAP_COUNT) "\n"),
    TEXT("min_free_kbytes", "67584\n"),
    TEXT("mmap_min_addr", "65536\n"),
    TEXT("mmap_rnd_bits", "28\n"),
    TEXT("nr_hugepages", "0\n"),
    TEXT("nr_overcommit_hugepages", "0\n"),
    TEXT("oom_dump_tasks", "1\n"),
    TEXT("oom_kill_allocating_task", "0\n"),
    TEXT("overcommit_kbytes", "0\n"),
    TEXT("overcommit_memory", "0\n"),
    TEXT("overcommit_ratio", "50\n"),
    TEXT("page-cluster", "3\n"),
    TEXT("panic_on_oom", "0\n"),
    TEXT("swappiness", "60\n"),
    TEXT("unprivileged_userfaultfd", "0\n"),
    TEXT("user_reserve_kbytes", "131072\n"),
    TEXT("vfs_cache_pressure", "100\n"),
    TEXT("zone_reclaim_mode", "0\n"),
    END,
};

/* --- fs ------------------------------------------------------------------------------------------------ */

static const struct pseudo_entry inotify_table[] = {
    TEXT("max_queued_events", "16384\n"),
    TEXT("max_user_instances", "128\n"),
    TEXT("max_user_watches", "65536\n"),
    END,
};

static const struct pseudo_entry epoll_table[] = {TEXT("max_user_watches", "1048576\n"), END};

static const struct pseudo_entry mqueue_table[] = {
    TEXT("msg_default", "10\n"),   TEXT("msg_max", "10\n"),	TEXT("msgsize_default", "8192\n"),
    TEXT("msgsize_max", "8192\n"), TEXT("queues_max", "256\n"), END,
};

static const char *const protected_names[] = {
    [PROTECTED_SYMLINKS] = "protected_symlinks",
    [PROTECTED_HARDLINKS] = "protected_hardlinks",
    [PROTECTED_FIFOS] = "protected_fifos",
    [PROTECTED_REGULAR] = "protected_regular",
};

static enum protected_what protected_of(struct pseudo_inode *p)
{
	enum protected_what what = 0;

	while (strcmp(protected_names[what], pseudo_entry_of(p)->name))
		what++;
	return what;
}

static int show_protected(struct pseudo_inode *p, struct text *out)
{
	text_printf(out, "%d\n", protected_get(protected_of(p)));
	return 0;
}

/* They hold for all containers of the sandbox, so its owner has to be asked. */
static ssize_t write_protected(struct pseudo_inode *p, const char *text, size_t n)
{
	char *end;
	long value = strtol(text, &end, 10);
	int err;

	if (!task_capable(task_current(), CAP_SYS_ADMIN))
		return -EPERM;
	if (end == text || end[strspn(end, " \n")] || value < 0 || value > 2)
		return -EINVAL;
	err = protected_set(protected_of(p), (int)value);
	return err < 0 ? err : (ssize_t)n;
}

static const struct pseudo_ops protected_ops = {.show = show_protected, .write = write_protected};

#define PROTECTED(n)                                                                               \
	{                                                                                          \
		.name = (n), .mode = S_IFREG | 0644, .ops = &protected_ops                         \
	}

static const struct pseudo_entry fs_table[] = {
    TEXT("aio-max-nr", "65536\n"),
    {.name = "aio-nr", .mode = S_IFREG | 0444, .show = show_aio_nr},
    TEXT("dentry-state", "0\t0\t45\t0\t0\t0\n"),
    DIR_("epoll", epoll_table),
    TEXT("file-max", "9223372036854775807\n"),
    TEXT("file-nr", "0\t0\t9223372036854775807\n"),
    TEXT("inode-nr", "0\t0\n"),
    TEXT("inode-state", "0\t0\t0\t0\t0\t0\t0\n"),
    DIR_("inotify", inotify_table),
    TEXT("lease-break-time", "45\n"),
    TEXT("leases-enable", "1\n"),
    TEXT("mount-max", "100000\n"),
    DIR_("mqueue", mqueue_table),
    TEXT("nr_open", "1048576\n"),
    TEXT("overflowgid", "65534\n"),
    TEXT("overflowuid", "65534\n"),
    TEXT("pipe-max-size", "1048576\n"),
    TEXT("pipe-user-pages-hard", "0\n"),
    TEXT("pipe-user-pages-soft", "16384\n"),
    PROTECTED("protected_fifos"),
    PROTECTED("protected_hardlinks"),
    PROTECTED("protected_regular"),
    PROTECTED("protected_symlinks"),
    TEXT("suid_dumpable", "0\n"),
    END,
};

/* --- net ----------------------------------------------------------------------------------------------- */

static const struct pseudo_entry core_table[] = {
    TEXT("default_qdisc", "fq_codel\n"),
    TEXT("netdev_max_backlog", "1000\n"),
    TEXT("optmem_max", "131072\n"),
    TEXT("rmem_default", "212992\n"),
    TEXT("rmem_max", "212992\n"),
    TEXT("somaxconn", "4096\n"),
    TEXT("wmem_default", "212992\n"),
    TEXT("wmem_max", "212992\n"),
    END,
};

static const struct pseudo_entry ipv4_table[] = {
    TEXT("icmp_echo_ignore_all", "0\n"),
    TEXT("ip_default_ttl", "64\n"),
    TEXT("ip_forward", "0\n"),
    TEXT("ip_local_port_range", "32768\t60999\n"),
    TEXT("ip_local_reserved_ports", "\n"),
    TEXT("ip_nonlocal_bind", "0\n"),
    TEXT("ip_unprivileged_port_start", "1024\n"),
    TEXT("ping_group_range", "1\t0\n"),
    TEXT("tcp_allowed_congestion_control", "reno cubic\n"),
    TEXT("tcp_available_congestion_control", "reno cubic\n"),
    TEXT("tcp_congestion_control", "cubic\n"),
    TEXT("tcp_ecn", "2\n"),
    TEXT("tcp_fastopen", "1\n"),
    TEXT("tcp_fin_timeout", "60\n"),
    TEXT("tcp_keepalive_intvl", "75\n"),
    TEXT("tcp_keepalive_probes", "9\n"),
    TEXT("tcp_keepalive_time", "7200\n"),
    TEXT("tcp_max_syn_backlog", "1024\n"),
    TEXT("tcp_max_tw_buckets", "65536\n"),
    TEXT("tcp_mem", "190683\t254244\t381366\n"),
    TEXT("tcp_moderate_rcvbuf", "1\n"),
    TEXT("tcp_retries1", "3\n"),
    TEXT("tcp_retries2", "15\n"),
    TEXT("tcp_rmem", "4096\t131072\t6291456\n"),
    TEXT("tcp_sack", "1\n"),
    TEXT("tcp_slow_start_after_idle", "1\n"),
    TEXT("tcp_syn_retries", "6\n"),
    TEXT("tcp_synack_retries", "5\n"),
    TEXT("tcp_syncookies", "1\n"),
    TEXT("tcp_timestamps", "1\n"),
    TEXT("tcp_tw_reuse", "2\n"),
    TEXT("tcp_window_scaling", "1\n"),
    TEXT("tcp_wmem", "4096\t16384\t4194304\n"),
    END,
};

static const struct pseudo_entry ipv6_conf_one_table[] = {TEXT("disable_ipv6", "0\n"), END};

static const struct pseudo_entry ipv6_conf_table[] = {
    DIR_("all", ipv6_conf_one_table),
    DIR_("default", ipv6_conf_one_table),
    DIR_("lo", ipv6_conf_one_table),
    END,
};

static const struct pseudo_entry ipv6_table[] = {
    TEXT("bindv6only", "0\n"),
    DIR_("conf", ipv6_conf_table),
    TEXT("ip_nonlocal_bind", "0\n"),
    END,
};

static const struct pseudo_entry unix_table[] = {TEXT("max_dgram_qlen", "512\n"), END};

static const struct pseudo_entry net_table[] = {
    DIR_("core", core_table),
    DIR_("ipv4", ipv4_table),
    DIR_("ipv6", ipv6_table),
    DIR_("unix", unix_table),
    END,
};

/* --- limits of namespaces: of the reader's user namespace ------------------------------------------ */

static const struct pseudo_ops ns_limit_ops;
#define NS_LIMIT(kind)                                                                             \
	{                                                                                          \
		.name = "max_" #kind "_namespaces", .mode = S_IFREG | 0644, .ops = &ns_limit_ops   \
	}

/* In the order of enum ns_count. */
static const struct pseudo_entry user_table[] = {
    NS_LIMIT(user), NS_LIMIT(pid),    NS_LIMIT(uts),  NS_LIMIT(ipc), NS_LIMIT(net),
    NS_LIMIT(mnt),  NS_LIMIT(cgroup), NS_LIMIT(time), END,
};
static_assert(ARRAY_SIZE(user_table) == NS_COUNTS + 1, "a file for each limit");

static int ns_limit_show(struct pseudo_inode *p, struct text *out)
{
	struct task *t = task_current();

	if (!t)
		return -ENOENT;
	text_printf(out, "%d\n",
		    atomic_load(&t->cred->user_ns->limit[pseudo_entry_of(p) - user_table]));
	return 0;
}

static bool may_limit(const struct task *t)
{
	return t && cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_RESOURCE);
}

static ssize_t ns_limit_write(struct pseudo_inode *p, const char *text, size_t n)
{
	struct task *t = task_current();
	char *end;
	long value = strtol(text, &end, 10);

	if (!may_limit(t))
		return -EPERM;
	if (end == text || (*end && *end != '\n') || value < 0 || value > INT32_MAX)
		return -EINVAL;
	/* Those of the first bound what the sentry keeps. */
	if (t->cred->user_ns == &user_ns_first)
		value = min(value, (long)NS_LIMIT_FIRST);
	atomic_store(&t->cred->user_ns->limit[pseudo_entry_of(p) - user_table], (int)value);
	return (ssize_t)n;
}

/* They belong to whoever may set them in his own namespace. */
static void ns_limit_refresh(struct pseudo_inode *p)
{
	struct task *t = task_current();

	if (!may_limit(t))
		return;
	p->inode.uid = t->cred->fsuid;
	p->inode.gid = t->cred->fsgid;
}

static const struct pseudo_ops ns_limit_ops = {
    .show = ns_limit_show, .write = ns_limit_write, .refresh = ns_limit_refresh};

static const struct pseudo_entry abi_table[] = {TEXT("vsyscall32", "0\n"), END};

const struct pseudo_entry proc_sysctl_table[] = {
    DIR_("abi", abi_table),
    DIR_("fs", fs_table),
    DIR_("kernel", kernel_table),
    DIR_("net", net_table),
    DIR_("user", user_table),
    DIR_("vm", vm_table),
    END,
};
