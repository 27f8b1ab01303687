/* The top of /proc: files about the system, self, and a directory for each process. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/tasklist.h"

#define PROC_SUPER_MAGIC 0x9fa0

struct proc_sb {
	struct pseudo_sb base;
	struct pid_ns *pids; /* owned; NULL: the container's */
};

struct pid_ns *proc_pids(const struct superblock *sb, const struct container *c)
{
	const struct proc_sb *p = container_of((struct superblock *)sb, struct proc_sb, base.sb);

	return p->pids ? p->pids : c->pids;
}

static void proc_sb_fini(struct pseudo_sb *sb)
{
	pid_ns_put(container_of(sb, struct proc_sb, base)->pids);
}

/* --- self and thread-self ------------------------------------------------------------------- */

static ssize_t self_readlink(struct pseudo_inode *p, struct guest_access *caller, char *buf,
			     size_t size)
{
	struct task *t = caller ? task_from_access(caller) : task_current();
	struct pid_ns *ns;
	char text[64];
	int n, tgid;

	if (!t)
		return -ENOENT;
	ns = proc_pids(p->inode.sb, t->container);
	tgid = pid_show(ns, t->process->tgid);
	if (!tgid)
		return -ENOENT; /* not of this namespace */
	if (strcmp(pseudo_entry_of(p)->name, "self") == 0)
		n = snprintf(text, sizeof(text), "%d", tgid);
	else
		n = snprintf(text, sizeof(text), "%d/task/%d", tgid, pid_show(ns, t->tid));
	n = (int)min((size_t)n, size);
	memcpy(buf, text, (size_t)n);
	return n;
}

static const struct pseudo_ops self_ops = {.readlink = self_readlink};

static const struct pseudo_entry self_table[] = {
    {.name = "self", .mode = S_IFLNK | 0777, .ops = &self_ops},
    {.name = "thread-self", .mode = S_IFLNK | 0777, .ops = &self_ops},
    {.name = NULL},
};

/* --- the root --------------------------------------------------------------------------------- */

/* Processes come behind all table entries; the cookie is this plus the number. */
#define FIRST_PROCESS 1000

static int process_lookup(struct superblock *sb, int number, struct pseudo_inode **out)
{
	struct container *c = proc_container();
	struct pid_ns *ns = c ? proc_pids(sb, c) : NULL;
	struct process *p = c ? process_find(ns, number) : NULL;
	struct task *t;

	if (p) {
		*out = proc_dir_new(sb, p, NULL);
		process_put(p);
		return 0;
	}
	/* Threads are not listed, but found (as on Linux). */
	t = c ? task_find(ns, number) : NULL;
	if (!t)
		return -ENOENT;
	*out = proc_dir_new(sb, t->process, t);
	task_put(t);
	return 0;
}

static int root_lookup(struct pseudo_inode *dir, const char *name, size_t len,
		       struct pseudo_inode **out)
{
	const struct pseudo_entry *e = pseudo_entry_find(proc_system_table, name, len);
	int number;

	if (!e)
		e = pseudo_entry_find(self_table, name, len);
	if (e) {
		*out = pseudo_entry_new(dir->inode.sb, e, pseudo_ino(1, (uintptr_t)e & 0xffffff));
		return 0;
	}
	if (pseudo_parse_number(name, len, &number) < 0)
		return -ENOENT;
	return process_lookup(dir->inode.sb, number, out);
}

static int root_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	struct container *c = proc_container();
	struct process *p;
	int nr;

	if (!pseudo_entries_emit(self_table, sink, 2, pos) ||
	    !pseudo_entries_emit(proc_system_table, sink, 10, pos))
		return 0;
	*pos = max(*pos, (off_t)FIRST_PROCESS);
	while (c && (p = process_next_in(proc_pids(dir->inode.sb, c),
					 (int)(*pos - FIRST_PROCESS) + 1, &nr))) {
		off_t cookie = FIRST_PROCESS + nr;
		bool more = pseudo_emit_number(sink, (uint64_t)nr,
					       pseudo_ino((uint64_t)p->tgid, p->start_time), DT_DIR,
					       cookie);

		process_put(p);
		if (!more)
			break;
		*pos = cookie;
	}
	return 0;
}

static const struct pseudo_ops root_ops = {.lookup = root_lookup, .iterate = root_iterate};

static int proc_mount(const char *source, const char *data, const struct cred *cred,
		      struct superblock **out)
{
	struct proc_sb *sb = NEW(struct proc_sb);
	struct pseudo_inode *root = NEW(struct pseudo_inode);
	struct task *mounter = task_current();

	pseudo_sb_init(&sb->base, "proc", source && *source ? source : "proc", PROC_SUPER_MAGIC);
	sb->base.fini = proc_sb_fini;
	if (mounter)
		sb->pids = pid_ns_get(task_pids(mounter));
	pseudo_inode_init(root, &sb->base.sb, &root_ops, 1, S_IFDIR | 0555);
	superblock_set_root(&sb->base.sb, &root->inode);
	inode_put(&root->inode);
	*out = &sb->base.sb;
	return 0;
}

static const struct fs_type proc_type = {
    .name = "proc", .nodev = true, .user_mountable = true, .mount = proc_mount};

void procfs_init(void)
{
	fs_type_register(&proc_type);
}
