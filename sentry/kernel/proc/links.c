/* exe, cwd, root, and the namespaces. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/proc/names.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/net/netns.h"

static int link_follow(struct pseudo_inode *p, struct guest_access *caller, struct path *out)
{
	struct proc_node *n = proc_node_of(p);
	struct proc_subject s;
	int r = proc_node_may_access(p, ACCESS_READ | ACCESS_FSCREDS);

	if (r == 0)
		r = proc_subject_get(n, &s);
	if (r < 0)
		return r == -ESRCH ? -ENOENT : r;
	r = n->entry->target(&s, out);
	proc_subject_put(&s);
	return r;
}

static ssize_t link_readlink(struct pseudo_inode *p, struct guest_access *caller, char *buf,
			     size_t size)
{
	struct path path;
	ssize_t r = link_follow(p, caller, &path);

	if (r < 0)
		return r;
	r = proc_readlink_path(&path, buf, size);
	path_put(&path);
	return r;
}

const struct pseudo_ops proc_link_ops = {
    .readlink = link_readlink,
    .follow = link_follow,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

int proc_exe_target(const struct proc_subject *s, struct path *out)
{
	struct mm *mm = task_get_mm(s->t);
	struct file *exe = mm ? mm_get_exe(mm) : NULL;
	int r = exe ? proc_follow_file(exe, out) : -ENOENT;

	if (exe)
		file_put(exe);
	if (mm)
		mm_put(mm);
	return r;
}

static int fs_target(const struct proc_subject *s, struct path *root, struct path *cwd)
{
	struct fs_context *fs = task_get_fs(s->t);

	if (!fs)
		return -ENOENT;
	fs_context_paths(fs, root, cwd);
	fs_context_put(fs);
	return 0;
}

int proc_cwd_target(const struct proc_subject *s, struct path *out)
{
	return fs_target(s, NULL, out);
}

int proc_root_target(const struct proc_subject *s, struct path *out)
{
	return fs_target(s, out, NULL);
}

/* --- namespaces ------------------------------------------------------------------------------- */

/*
 * A container has one namespace of each kind (its mount namespaces are told apart);
 * the numbers are made from the kind and the namespace's address, in the range that Linux uses.
 */
struct ns_kind {
	const char *link, *name;
};
static const struct ns_kind ns_kinds[] = {
    {"net", "net"},
    {"uts", "uts"},
    {"ipc", "ipc"},
    {"pid", "pid"},
    {"pid_for_children", "pid"},
    {"user", "user"},
    {"mnt", "mnt"},
    {"cgroup", "cgroup"},
    {"time", "time"},
    {"time_for_children", "time"},
};

static uint64_t ns_number(const struct proc_subject *s, const struct ns_kind *k)
{
	uint64_t key = (uintptr_t)s->p->container;

	if (strcmp(k->name, "mnt") == 0) {
		struct fs_context *fs = task_get_fs(s->t);

		if (fs) {
			key = (uintptr_t)fs->mounts;
			fs_context_put(fs);
		}
	}
	if (strcmp(k->name, "net") == 0)
		return s->p->container->net->ino;
	if (strcmp(k->name, "ipc") == 0)
		return s->p->container->ipc->ino;
	for (const char *c = k->name; *c; c++)
		key = pseudo_ino(key, (unsigned char)*c);
	return 4026531840ULL + key % 100000;
}

/* Inodes of namespaces live on their own superblock, as on Linux's nsfs. */
static struct superblock *nsfs(void)
{
	static struct mutex lock = MUTEX_INIT(RANK_LEAF);
	static struct pseudo_sb *sb;
	SCOPED_LOCK(&lock);

	if (!sb) {
		sb = NEW(struct pseudo_sb);
		pseudo_sb_init(sb, "nsfs", "nsfs", 0x6e736673);
	}
	return &sb->sb;
}

static const struct pseudo_ops ns_file_ops = {.show = NULL};

static int ns_read(struct pseudo_inode *p, char *text, size_t size, uint64_t *number)
{
	const struct ns_kind *k = &ns_kinds[proc_node_of(p)->number];
	struct proc_subject s;
	int r = proc_node_may_access(p, ACCESS_READ | ACCESS_FSCREDS);

	if (r == 0)
		r = proc_subject_get(proc_node_of(p), &s);
	if (r < 0)
		return r;
	*number = ns_number(&s, k);
	proc_subject_put(&s);
	return snprintf(text, size, "%s:[%llu]", k->name, (unsigned long long)*number);
}

static ssize_t ns_readlink(struct pseudo_inode *p, struct guest_access *caller, char *buf,
			   size_t size)
{
	uint64_t number;
	char text[64];
	int n = ns_read(p, text, sizeof(text), &number);

	if (n < 0)
		return n;
	n = (int)min((size_t)n, size);
	memcpy(buf, text, (size_t)n);
	return n;
}

static int ns_follow(struct pseudo_inode *p, struct guest_access *caller, struct path *out)
{
	struct pseudo_inode *file;
	uint64_t number;
	char text[64];
	int r = ns_read(p, text, sizeof(text), &number);

	if (r < 0)
		return r;
	file = NEW(struct pseudo_inode);
	pseudo_inode_init(file, nsfs(), &ns_file_ops, number, S_IFREG | 0444);
	r = anon_path(&file->inode, out);
	inode_put(&file->inode);
	return r;
}

static const struct pseudo_ops ns_link_ops = {
    .readlink = ns_readlink,
    .follow = ns_follow,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

static int ns_lookup(struct pseudo_inode *dir, const char *name, size_t len,
		     struct pseudo_inode **out)
{
	struct proc_node *n;

	for (size_t i = 0; i < ARRAY_SIZE(ns_kinds); i++) {
		if (strlen(ns_kinds[i].link) != len || memcmp(ns_kinds[i].link, name, len) != 0)
			continue;
		n = proc_node_new(proc_node_of(dir), &ns_link_ops, S_IFLNK | 0777, i + 1);
		n->number = (int)i;
		*out = &n->base;
		return 0;
	}
	return -ENOENT;
}

static int ns_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	for (size_t i = 0; i < ARRAY_SIZE(ns_kinds); i++) {
		const char *name = ns_kinds[i].link;
		off_t cookie = (off_t)i + 3;

		if (*pos >= cookie)
			continue;
		if (!sink->emit(sink, name, strlen(name), pseudo_ino(dir->inode.ino, i + 1), DT_LNK,
				cookie))
			break;
		*pos = cookie;
	}
	return 0;
}

const struct pseudo_ops proc_ns_dir_ops = {
    .lookup = ns_lookup,
    .iterate = ns_iterate,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};
