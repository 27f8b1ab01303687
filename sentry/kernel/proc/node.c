/* Nodes about a process or a thread, and the directories made of tables of entries. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/tasklist.h"

struct container *proc_container(void)
{
	struct task *t = task_current();

	return t ? t->container : NULL;
}

/* --- subjects ----------------------------------------------------------------------------- */

int proc_subject_get(const struct proc_node *n, struct proc_subject *out)
{
	*out = (struct proc_subject){.p = n->process,
				     .whole = !n->task,
				     .ns = proc_pids(n->base.inode.sb, n->process->container)};
	mutex_lock(&tasklist);
	if (!n->process->reaped) {
		if (!n->task)
			out->t = n->process->leader;
		else if (!n->task->exited || n->task == n->process->leader)
			out->t = n->task;
	}
	if (out->t)
		task_get(out->t);
	mutex_unlock(&tasklist);
	return out->t ? 0 : -ESRCH;
}

void proc_subject_put(struct proc_subject *s)
{
	task_put(s->t);
}

int proc_may_access(const struct proc_subject *s, unsigned int mode)
{
	struct task *caller = task_current();

	return caller ? ptrace_may_access(caller, s->t, mode) : 0;
}

int proc_node_may_access(struct pseudo_inode *p, unsigned int mode)
{
	struct proc_subject s;
	int r = proc_subject_get(proc_node_of(p), &s);

	if (r < 0)
		return r;
	r = proc_may_access(&s, mode);
	proc_subject_put(&s);
	return r < 0 ? -EACCES : 0;
}

/* --- nodes -------------------------------------------------------------------------------- */

static struct proc_node *node_new(struct superblock *sb, struct process *p, struct task *t,
				  const struct pseudo_ops *ops, uint32_t mode, uint64_t ino)
{
	struct proc_node *n = NEW(struct proc_node);

	n->process = process_get(p);
	n->task = t ? task_get(t) : NULL;
	pseudo_inode_init(&n->base, sb, ops, ino, mode);
	return n;
}

struct proc_node *proc_node_new(const struct proc_node *like, const struct pseudo_ops *ops,
				uint32_t mode, uint64_t key)
{
	return node_new(like->base.inode.sb, like->process, like->task, ops, mode,
			pseudo_ino(like->base.inode.ino, key));
}

void proc_node_release(struct pseudo_inode *p)
{
	struct proc_node *n = proc_node_of(p);

	if (n->task)
		task_put(n->task);
	process_put(n->process);
	free(n);
}

static bool dumpable(struct task *t)
{
	/* Without a reference: this runs in lookups, whose locks forbid that it be the last one. */
	SCOPED_LOCK(&t->alloc_lock);

	return t->mm && t->mm->dumpable == 1;
}

void proc_node_refresh(struct pseudo_inode *p)
{
	struct proc_subject s;
	struct cred *cred;

	if (proc_subject_get(proc_node_of(p), &s) < 0)
		return;
	cred = task_get_cred(s.t);
	mutex_lock(&p->inode.data_lock);
	/* World-readable directories keep their owner, so that ps can tell whose process it is. */
	if (dumpable(s.t) || p->inode.mode == (S_IFDIR | 0555)) {
		p->inode.uid = cred->euid;
		p->inode.gid = cred->egid;
	} else {
		/* user_namespaces(7): root of the subject's namespace, or of the first. */
		p->inode.uid = user_ns_in(cred->user_ns, ID_UID, 0);
		p->inode.gid = user_ns_in(cred->user_ns, ID_GID, 0);
		if (p->inode.uid == INVALID_ID || p->inode.gid == INVALID_ID)
			p->inode.uid = p->inode.gid = 0;
	}
	mutex_unlock(&p->inode.data_lock);
	cred_put(cred);
	proc_subject_put(&s);
}

/* --- text files --------------------------------------------------------------------------- */

static int entry_show(struct pseudo_inode *p, struct text *out)
{
	struct proc_node *n = proc_node_of(p);
	struct proc_subject s;
	int r = proc_subject_get(n, &s);

	if (r < 0)
		return r;
	r = n->entry->show ? n->entry->show(&s, out) : -EINVAL;
	proc_subject_put(&s);
	return r;
}

static ssize_t entry_write(struct pseudo_inode *p, const char *text, size_t n)
{
	struct proc_node *node = proc_node_of(p);
	struct proc_subject s;
	ssize_t r = proc_subject_get(node, &s);

	if (r < 0)
		return r;
	r = node->entry->write ? node->entry->write(&s, text, n) : -EINVAL;
	proc_subject_put(&s);
	return r;
}

static int entry_open(struct pseudo_inode *p, const struct cred *cred, int flags)
{
	const struct proc_entry *e = proc_node_of(p)->entry;

	return e->flags & PROC_PRIVATE ? proc_node_may_access(p, ACCESS_READ | ACCESS_FSCREDS) : 0;
}

static const struct pseudo_ops file_ops = {
    .show = entry_show,
    .write = entry_write,
    .open = entry_open,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

static struct mount_ns *subject_mounts(struct pseudo_inode *p)
{
	struct mount_ns *mounts = NULL;
	struct fs_context *fs;
	struct proc_subject s;

	if (proc_subject_get(proc_node_of(p), &s) < 0)
		return NULL;
	fs = task_get_fs(s.t);
	if (fs) {
		mutex_lock(&fs->lock);
		mounts = mount_ns_get(fs->mounts);
		mutex_unlock(&fs->lock);
		fs_context_put(fs);
	}
	proc_subject_put(&s);
	return mounts;
}

static const struct pseudo_ops mounts_ops = {
    .show = entry_show,
    .write = entry_write,
    .open = entry_open,
    .mounts = subject_mounts,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

/* --- tables ------------------------------------------------------------------------------- */

static unsigned int place_of(const struct proc_node *n)
{
	return n->task ? PROC_IN_THREAD : PROC_IN_PROCESS;
}

int proc_table_lookup(struct pseudo_inode *dir, const struct proc_entry *table, const char *name,
		      size_t len, struct pseudo_inode **out)
{
	struct proc_node *d = proc_node_of(dir), *n;

	for (const struct proc_entry *e = table; e->name; e++) {
		if (!(e->flags & place_of(d)) || strlen(e->name) != len ||
		    memcmp(e->name, name, len) != 0)
			continue;
		n = proc_node_new(d, e->ops ? e->ops : &file_ops, e->mode,
				  (uint64_t)(e - table) + 1);
		n->entry = e;
		*out = &n->base;
		return 0;
	}
	return -ENOENT;
}

bool proc_table_emit(struct pseudo_inode *dir, const struct proc_entry *table,
		     struct dirent_sink *sink, off_t first, off_t *pos)
{
	struct proc_node *d = proc_node_of(dir);

	for (off_t i = 0; table[i].name; i++) {
		const struct proc_entry *e = &table[i];
		off_t cookie = first + i + 1;

		if (*pos >= cookie || !(e->flags & place_of(d)))
			continue;
		if (!sink->emit(sink, e->name, strlen(e->name),
				pseudo_ino(dir->inode.ino, (uint64_t)i + 1),
				(unsigned char)(e->mode >> 12), cookie))
			return false;
		*pos = cookie;
	}
	return true;
}

/* --- /proc/PID ------------------------------------------------------------------------------ */

#define REG S_IFREG
static const struct pseudo_ops task_dir_ops, attr_dir_ops;

static const struct proc_entry process_table[] = {
    {"task", S_IFDIR | 0555, PROC_IN_PROCESS, .ops = &task_dir_ops},
    {"fd", S_IFDIR | 0500, PROC_ANY, .ops = &proc_fd_dir_ops},
    {"fdinfo", S_IFDIR | 0555, PROC_ANY, .ops = &proc_fdinfo_dir_ops},
    {"ns", S_IFDIR | 0511, PROC_ANY, .ops = &proc_ns_dir_ops},
    {"net", S_IFDIR | 0555, PROC_ANY, .ops = &proc_net_dir_ops},
    {"environ", REG | 0400, PROC_ANY | PROC_PRIVATE, proc_show_environ},
    {"auxv", REG | 0400, PROC_ANY | PROC_PRIVATE, proc_show_auxv},
    {"status", REG | 0444, PROC_ANY, proc_show_status},
    {"personality", REG | 0400, PROC_ANY | PROC_PRIVATE, proc_show_personality},
    {"limits", REG | 0444, PROC_ANY, proc_show_limits},
    {"sched", REG | 0644, PROC_ANY, proc_show_sched, proc_write_accepted},
    {"autogroup", REG | 0644, PROC_IN_PROCESS, proc_show_autogroup, proc_write_accepted},
    {"comm", REG | 0644, PROC_ANY, proc_show_comm, proc_write_comm},
    {"syscall", REG | 0400, PROC_ANY | PROC_PRIVATE, proc_show_syscall},
    {"cmdline", REG | 0444, PROC_ANY, proc_show_cmdline},
    {"stat", REG | 0444, PROC_ANY, proc_show_stat},
    {"statm", REG | 0444, PROC_ANY, proc_show_statm},
    {"maps", REG | 0444, PROC_ANY | PROC_PRIVATE, proc_show_maps},
    {"children", REG | 0444, PROC_IN_THREAD, proc_show_children},
    {"numa_maps", REG | 0444, PROC_ANY | PROC_PRIVATE, proc_show_numa_maps},
    {"mem", REG | 0600, PROC_ANY, .ops = &proc_mem_ops},
    {"cwd", S_IFLNK | 0777, PROC_ANY, .ops = &proc_link_ops, .target = proc_cwd_target},
    {"root", S_IFLNK | 0777, PROC_ANY, .ops = &proc_link_ops, .target = proc_root_target},
    {"exe", S_IFLNK | 0777, PROC_ANY, .ops = &proc_link_ops, .target = proc_exe_target},
    {"mounts", REG | 0444, PROC_ANY, proc_show_mounts, .ops = &mounts_ops},
    {"mountinfo", REG | 0444, PROC_ANY, proc_show_mountinfo, .ops = &mounts_ops},
    {"mountstats", REG | 0400, PROC_IN_PROCESS, proc_show_mountstats, .ops = &mounts_ops},
    {"clear_refs", REG | 0200, PROC_IN_PROCESS, NULL, proc_write_accepted},
    {"smaps", REG | 0444, PROC_ANY | PROC_PRIVATE, proc_show_smaps},
    {"smaps_rollup", REG | 0444, PROC_ANY | PROC_PRIVATE, proc_show_smaps_rollup},
    {"pagemap", REG | 0400, PROC_ANY, .ops = &proc_pagemap_ops},
    {"attr", S_IFDIR | 0555, PROC_ANY, .ops = &attr_dir_ops},
    {"wchan", REG | 0444, PROC_ANY, proc_show_wchan},
    {"stack", REG | 0400, PROC_ANY | PROC_PRIVATE, proc_show_nothing},
    {"schedstat", REG | 0444, PROC_ANY, proc_show_schedstat},
    {"cpuset", REG | 0444, PROC_ANY, proc_show_cpuset},
    {"cgroup", REG | 0444, PROC_ANY, proc_show_cgroup},
    {"oom_score", REG | 0444, PROC_ANY, proc_show_oom_score},
    {"oom_adj", REG | 0644, PROC_ANY, proc_show_oom_adj, proc_write_accepted},
    {"oom_score_adj", REG | 0644, PROC_ANY, proc_show_oom_score_adj, proc_write_oom_score_adj},
    {"loginuid", REG | 0644, PROC_ANY, proc_show_loginuid, proc_write_accepted},
    {"sessionid", REG | 0444, PROC_ANY, proc_show_sessionid},
    {"coredump_filter", REG | 0644, PROC_IN_PROCESS, proc_show_coredump_filter,
     proc_write_accepted},
    {"io", REG | 0400, PROC_ANY | PROC_PRIVATE, proc_show_io},
    {"uid_map", REG | 0644, PROC_ANY, .ops = &proc_uid_map_ops},
    {"gid_map", REG | 0644, PROC_ANY, .ops = &proc_gid_map_ops},
    {"projid_map", REG | 0644, PROC_ANY, .ops = &proc_projid_map_ops},
    {"timens_offsets", REG | 0644, PROC_IN_PROCESS, .ops = &proc_timens_offsets_ops},
    {"setgroups", REG | 0644, PROC_ANY, .ops = &proc_setgroups_ops},
    {"timers", REG | 0444, PROC_IN_PROCESS, proc_show_nothing},
    {"timerslack_ns", REG | 0666, PROC_IN_PROCESS, proc_show_timerslack, proc_write_timerslack},
    {NULL},
};

static int dir_lookup(struct pseudo_inode *dir, const char *name, size_t len,
		      struct pseudo_inode **out)
{
	return proc_table_lookup(dir, process_table, name, len, out);
}

static int dir_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	proc_table_emit(dir, process_table, sink, 2, pos);
	return 0;
}

static const struct pseudo_ops dir_ops = {
    .lookup = dir_lookup,
    .iterate = dir_iterate,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

struct pseudo_inode *proc_dir_new(struct superblock *sb, struct process *p, struct task *t)
{
	struct proc_node *n;
	uint64_t ino = pseudo_ino(t ? t->serial : (uint64_t)p->tgid, t ? 2 : p->start_time);

	n = node_new(sb, p, t, &dir_ops, S_IFDIR | 0555, ino);
	n->base.inode.nlink = 9;
	return &n->base;
}

struct process *proc_dir_process(const struct inode *inode)
{
	struct pseudo_inode *p = container_of((struct inode *)inode, struct pseudo_inode, inode);

	if (strcmp(inode->sb->type, "proc") != 0 || !S_ISDIR(inode->mode) || p->ops != &dir_ops ||
	    proc_node_of(p)->task)
		return NULL;
	return process_get(proc_node_of(p)->process);
}

/* --- /proc/PID/attr and /proc/PID/task -------------------------------------------------------- */

static int attr_lookup(struct pseudo_inode *dir, const char *name, size_t len,
		       struct pseudo_inode **out)
{
	return proc_table_lookup(dir, proc_attr_table, name, len, out);
}

static int attr_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	proc_table_emit(dir, proc_attr_table, sink, 2, pos);
	return 0;
}

static const struct pseudo_ops attr_dir_ops = {
    .lookup = attr_lookup,
    .iterate = attr_iterate,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

static int task_dir_lookup(struct pseudo_inode *dir, const char *name, size_t len,
			   struct pseudo_inode **out)
{
	struct proc_node *d = proc_node_of(dir);
	struct task *t;
	int tid, r = pseudo_parse_number(name, len, &tid);

	if (r < 0)
		return r;
	t = task_find(proc_pids(dir->inode.sb, d->process->container), tid);
	r = t && t->process == d->process ? 0 : -ENOENT;
	if (r == 0)
		*out = proc_dir_new(dir->inode.sb, d->process, t);
	if (t)
		task_put(t);
	return r;
}

/* Cookies are tid + 2: they stay right when threads come and go. */
static int task_dir_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	struct proc_node *d = proc_node_of(dir);
	struct pid_ns *ns = proc_pids(dir->inode.sb, d->process->container);
	struct task *t;

	while ((t = process_next_task(d->process, (int)(*pos - 2) + 1))) {
		off_t cookie = t->tid + 2;
		bool more = pseudo_emit_number(sink, (uint64_t)pid_show(ns, t->tid),
					       pseudo_ino(t->serial, 2), DT_DIR, cookie);

		task_put(t);
		if (!more)
			break;
		*pos = cookie;
	}
	return 0;
}

static const struct pseudo_ops task_dir_ops = {
    .lookup = task_dir_lookup,
    .iterate = task_dir_iterate,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};
