/* exe, cwd, root, and the namespaces. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"
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

/* Each takes a reference on what it gives; NULL: the task has none any more. */
typedef struct ns_common *ns_get_fn(struct task *t);

static struct ns_common *own(struct ns_common *ns)
{
	ns_get(ns);
	return ns;
}

/* A field of the set of namespaces. */
#define OF_SET(function, field)                                                                    \
	static struct ns_common *function(struct task *t)                                          \
	{                                                                                          \
		struct nsproxy *p = task_get_namespaces(t);                                        \
		struct ns_common *ns = p ? own(&p->field->ns) : NULL;                              \
                                                                                                   \
		nsproxy_put(p);                                                                    \
		return ns;                                                                         \
	}
OF_SET(get_net, net)
OF_SET(get_uts, uts)
OF_SET(get_ipc, ipc)
OF_SET(get_cgroup, cgroup)
OF_SET(get_time, time)
OF_SET(get_time_for_children, time_for_children)

static struct ns_common *get_pid(struct task *t)
{
	return own(&task_pids(t)->ns);
}

/* Linux: none until a first child has made the namespace usable. */
static struct ns_common *get_pid_for_children(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);
	return t->pids_for_children ? own(&t->pids_for_children->ns) : NULL;
}

static struct ns_common *get_user(struct task *t)
{
	struct cred *cred = task_get_cred(t);
	struct ns_common *ns = own(&cred->user_ns->ns);

	cred_put(cred);
	return ns;
}

static struct ns_common *get_mnt(struct task *t)
{
	struct fs_context *fs = task_get_fs(t);
	struct ns_common *ns = NULL;

	if (!fs)
		return NULL;
	mutex_lock(&fs->lock);
	ns = own(mount_ns_common(fs->mounts));
	mutex_unlock(&fs->lock);
	fs_context_put(fs);
	return ns;
}

static const struct ns_link {
	const char *name;
	ns_get_fn *get;
} ns_links[] = {
    {"net", get_net},
    {"uts", get_uts},
    {"ipc", get_ipc},
    {"pid", get_pid},
    {"pid_for_children", get_pid_for_children},
    {"user", get_user},
    {"mnt", get_mnt},
    {"cgroup", get_cgroup},
    {"time", get_time},
    {"time_for_children", get_time_for_children},
};

/* The namespace that a link stands for, owned. */
static int ns_target(struct pseudo_inode *p, struct ns_common **out)
{
	const struct ns_link *l = &ns_links[proc_node_of(p)->number];
	struct proc_subject s;
	int r = proc_node_may_access(p, ACCESS_READ | ACCESS_FSCREDS);

	if (r == 0)
		r = proc_subject_get(proc_node_of(p), &s);
	if (r < 0)
		return r;
	*out = l->get(s.t);
	proc_subject_put(&s);
	return *out ? 0 : -ENOENT;
}

static ssize_t ns_readlink(struct pseudo_inode *p, struct guest_access *caller, char *buf,
			   size_t size)
{
	struct ns_common *ns;
	char text[64];
	int n = ns_target(p, &ns);

	if (n < 0)
		return n;
	n = snprintf(text, sizeof(text), "%s:[%llu]", ns->kind->name, (unsigned long long)ns->ino);
	ns_put(ns);
	n = (int)min((size_t)n, size);
	memcpy(buf, text, (size_t)n);
	return n;
}

static int ns_follow(struct pseudo_inode *p, struct guest_access *caller, struct path *out)
{
	struct ns_common *ns;
	int r = ns_target(p, &ns);

	if (r < 0)
		return r;
	nsfs_path(ns, out);
	ns_put(ns);
	return 0;
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

	for (size_t i = 0; i < ARRAY_SIZE(ns_links); i++) {
		if (strlen(ns_links[i].name) != len || memcmp(ns_links[i].name, name, len) != 0)
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
	for (size_t i = 0; i < ARRAY_SIZE(ns_links); i++) {
		const char *name = ns_links[i].name;
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
