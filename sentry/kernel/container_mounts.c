/*
 * A container's mount namespace: its root, the mounts of its configuration, the
 * nodes in /dev, masked and read-only paths. Everything goes through the same
 * path walk as the guest's own calls, inside the new namespace, so a symbolic
 * link in an image cannot lead out of it.
 *
 * Missing mount points are made. Read-only flags are set last, because mount
 * points of later mounts may lie in a read-only one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "common/host.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/ipc/mqueue.h"

/* makedev(3) for small numbers, as a constant. */
#define DEV(major, minor) ((uint64_t)((major) << 8 | (minor)))

struct builder {
	struct mount_ns *ns;
	struct ipc_namespace *ipc; /* whose message queues /dev/mqueue shows */
	struct cred *cred;
	struct path root;
	struct walk_env env;
	char **error;
};

static int fail(struct builder *b, int err, const char *what, const char *path)
{
	if (!*b->error)
		*b->error =
		    xasprintf("%s %s: %s", what, path,
			      err == -ENOENT ? "no such file or directory" : strerror(-err));
	return err;
}

static void builder_init(struct builder *b, struct mount_ns *ns, char **error)
{
	*b = (struct builder){.ns = ns, .cred = cred_new_root(CAPSET_ALL), .error = error};
	mount_ns_root(ns, &b->root);
	b->env = (struct walk_env){.root = &b->root, .cwd = &b->root, .cred = b->cred};
}

static void builder_fini(struct builder *b)
{
	path_put(&b->root);
	cred_put(b->cred);
}

static bool exists(struct builder *b, const char *path)
{
	struct path p;

	if (path_walk(&b->env, NULL, path, WALK_FOLLOW, &p) < 0)
		return false;
	path_put(&p);
	return true;
}

static int make_node(struct builder *b, const char *path, const struct new_inode *new)
{
	return vfs_create(&b->env, NULL, path, new, NULL);
}

/* mkdir -p; the last component becomes an empty file if `file` is set. */
static int make_place(struct builder *b, const char *path, bool file)
{
	SCOPED_FREE char *copy = xstrdup(path);
	const struct new_inode dir = {.mode = S_IFDIR | 0755};
	const struct new_inode empty = {.mode = S_IFREG | 0644};

	if (exists(b, path))
		return 0;
	for (char *p = copy + strspn(copy, "/"); *p;) {
		char *end = p + strcspn(p, "/");
		char *next = end + strspn(end, "/");
		int r = 0;

		*end = '\0';
		if (!exists(b, copy))
			r = make_node(b, copy, !*next && file ? &empty : &dir);
		if (r < 0)
			return r;
		if (*next)
			*end = '/';
		p = next;
	}
	return 0;
}

static int attach(struct builder *b, const char *destination, struct superblock *sb,
		  unsigned long flags)
{
	struct path at;
	int r = path_walk(&b->env, NULL, destination, WALK_FOLLOW, &at);

	if (r < 0)
		return r;
	r = mount_attach(b->ns, &at, sb, flags);
	path_put(&at);
	return r;
}

static int mount_by_type(struct builder *b, const struct container_mount *m, struct superblock **sb)
{
	const struct fs_type *type = fs_type_find(m->type);

	if (strcmp(m->type, "mqueue") == 0)
		return mqueue_mount(b->ipc, sb);
	/* A view of cgroups that is not built in is an empty directory. */
	if (!type && strncmp(m->type, "cgroup", 6) == 0)
		type = fs_type_find("tmpfs");
	if (!type)
		return -ENODEV;
	return type->mount(m->source, strcmp(type->name, m->type) == 0 ? m->data : "", NULL, sb);
}

static int mount_one(struct builder *b, struct container_mount *m)
{
	unsigned long flags = m->flags & ~(unsigned long)(MS_RDONLY | MS_BIND | MS_REC);
	struct superblock *sb = NULL;
	int r = make_place(b, m->destination, m->is_file);

	if (r < 0)
		return fail(b, r, "cannot make the mount point", m->destination);
	if (m->export_fd >= 0) {
		unsigned int how =
		    (m->shared ? GOFER_SHARED : 0) | (m->flags & MS_RDONLY ? GOFER_RO : 0);

		r = gofer_mount(m->export_fd, m->source, how, &sb);
		m->export_fd = -1;
	} else {
		r = mount_by_type(b, m, &sb);
	}
	if (r == -ENODEV)
		return fail(b, r, "unsupported file system type", m->type);
	if (r < 0)
		return fail(b, r, "cannot mount", m->destination);
	r = attach(b, m->destination, sb, flags);
	superblock_put(sb);
	return r < 0 ? fail(b, r, "cannot mount on", m->destination) : 0;
}

static int finish_mount(struct builder *b, const struct container_mount *m)
{
	struct path at;
	int r;

	if (!(m->flags & MS_RDONLY) && !m->propagation)
		return 0;
	r = path_walk(&b->env, NULL, m->destination, WALK_FOLLOW, &at);
	if (r == 0 && (m->flags & MS_RDONLY))
		r = mount_remount(b->ns, &at, m->flags & ~(unsigned long)(MS_BIND | MS_REC));
	if (r == 0 && m->propagation)
		r = mount_propagation(b->ns, &at, m->propagation & ~(unsigned long)MS_REC,
				      m->propagation & MS_REC);
	path_put(&at);
	return r < 0 ? fail(b, r, "cannot set the options of", m->destination) : 0;
}

/* With the directories above it, as other runtimes do. */
static int make_device(struct builder *b, const struct container_device *d)
{
	const struct new_inode new = {
	    .mode = d->mode, .uid = d->uid, .gid = d->gid, .rdev = d->rdev};
	SCOPED_FREE char *dir = xstrdup(d->path);
	char *slash = strrchr(dir, '/');
	int r = 0;

	if (exists(b, d->path))
		return 0;
	if (slash && slash > dir) {
		*slash = '\0';
		r = make_place(b, dir, false);
	}
	return r < 0 ? r : make_node(b, d->path, &new);
}

static int make_devices(struct builder *b, const struct container_config *config)
{
	static const struct container_device defaults[] = {
	    {"/dev/null", S_IFCHR | 0666, DEV(1, 3), 0, 0},
	    {"/dev/zero", S_IFCHR | 0666, DEV(1, 5), 0, 0},
	    {"/dev/full", S_IFCHR | 0666, DEV(1, 7), 0, 0},
	    {"/dev/random", S_IFCHR | 0666, DEV(1, 8), 0, 0},
	    {"/dev/urandom", S_IFCHR | 0666, DEV(1, 9), 0, 0},
	    {"/dev/tty", S_IFCHR | 0666, DEV(5, 0), 0, 0},
	};
	static const struct container_device console = {"/dev/console", S_IFCHR | 0620, DEV(5, 1),
							0, 5};
	size_t ndefaults = ARRAY_SIZE(defaults), n = ndefaults + config->ndevices;

	for (size_t i = 0; i < n + (config->terminal ? 1 : 0); i++) {
		const struct container_device *d = i < ndefaults ? &defaults[i]
						   : i < n	 ? &config->devices[i - ndefaults]
								 : &console;
		int r = make_device(b, d);

		if (r < 0)
			return fail(b, r, "cannot make the device", d->path);
	}
	return 0;
}

static int make_dev_links(struct builder *b)
{
	static const struct {
		const char *path, *target;
	} links[] = {
	    {"/dev/fd", "/proc/self/fd"},	{"/dev/stdin", "/proc/self/fd/0"},
	    {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
	    {"/dev/core", "/proc/kcore"},	{"/dev/ptmx", "pts/ptmx"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		const struct new_inode new = {.mode = S_IFLNK | 0777, .target = links[i].target};
		int r = make_node(b, links[i].path, &new);

		if (r < 0 && r != -EEXIST)
			return fail(b, r, "cannot make the link", links[i].path);
	}
	return 0;
}

/* /dev is filled only if the configuration mounts something there. */
static bool dev_is_ours(const struct container_config *config)
{
	for (size_t i = 0; i < config->nmounts; i++)
		if (strcmp(config->mounts[i].destination, "/dev") == 0)
			return config->mounts[i].export_fd < 0;
	return false;
}

static int fill_dev(struct builder *b, const struct container_config *config)
{
	int r = make_devices(b, config);

	return r < 0 ? r : make_dev_links(b);
}

static int mask_dir(struct builder *b, const char *path)
{
	struct container_mount m = {.type = "tmpfs",
				    .source = "tmpfs",
				    .destination = path,
				    .data = "mode=0755",
				    .export_fd = -1,
				    .flags = MS_RDONLY};
	int r = mount_one(b, &m);

	return r < 0 ? r : finish_mount(b, &m);
}

static int bind_over(struct builder *b, const struct path *from, const struct path *at)
{
	return mount_bind(b->ns, from, at, false);
}

static int mask_path(struct builder *b, const char *path)
{
	struct path at, null;
	struct kstat st;
	int r = path_walk(&b->env, NULL, path, WALK_FOLLOW, &at);

	if (r < 0)
		return 0; /* nothing to hide */
	r = vfs_getattr(&at, &st);
	if (r == 0 && S_ISDIR(st.mode)) {
		path_put(&at);
		return mask_dir(b, path);
	}
	if (r == 0)
		r = path_walk(&b->env, NULL, "/dev/null", WALK_FOLLOW, &null);
	if (r == 0) {
		r = bind_over(b, &null, &at);
		path_put(&null);
	}
	path_put(&at);
	return r < 0 ? fail(b, r, "cannot mask", path) : 0;
}

static int readonly_path(struct builder *b, const char *path)
{
	struct path at;
	int r = path_walk(&b->env, NULL, path, WALK_FOLLOW, &at);

	if (r < 0)
		return 0;
	r = bind_over(b, &at, &at);
	path_put(&at);
	if (r == 0)
		r = path_walk(&b->env, NULL, path, WALK_FOLLOW, &at);
	if (r == 0) {
		r = mount_remount(b->ns, &at, MS_RDONLY);
		path_put(&at);
	}
	return r < 0 ? fail(b, r, "cannot make read-only", path) : 0;
}

static int restrict_paths(struct builder *b, const struct container_config *config)
{
	int r = 0;

	for (char *const *p = config->masked; r == 0 && *p; p++)
		r = mask_path(b, *p);
	for (char *const *p = config->readonly; r == 0 && *p; p++)
		r = readonly_path(b, *p);
	if (r == 0 && config->root_readonly) {
		r = mount_remount(b->ns, &b->root, MS_RDONLY);
		if (r < 0)
			fail(b, r, "cannot make read-only", "/");
	}
	return r;
}

static int write_sysctl(struct builder *b, const struct container_sysctl *c)
{
	SCOPED_FREE char *path = xasprintf("/proc/sys/%s", c->name);
	struct file *f;
	ssize_t r;

	for (char *p = path + strlen("/proc/sys/"); *p; p++)
		if (*p == '.')
			*p = '/';
	r = vfs_open(&b->env, NULL, path, O_WRONLY, 0, 0, &f);
	if (r == 0) {
		r = file_write(f, c->value, strlen(c->value), NULL);
		file_put(f);
	}
	/* Engines set some of the network's by default: what we have not got is no error. */
	if (r < 0 && strncmp(c->name, "net.", 4) == 0) {
		log_warn("sysctl %s: %s", c->name, strerror((int)-r));
		return 0;
	}
	return r < 0 ? fail(b, (int)r, "linux.sysctl: cannot set", c->name) : 0;
}

static int mount_overlay(struct superblock *lower, struct superblock **out)
{
	const struct fs_type *tmpfs = fs_type_find("tmpfs");
	struct superblock *upper;
	int r = tmpfs ? tmpfs->mount("overlay", "mode=0755", NULL, &upper) : -ENODEV;

	if (r < 0)
		return r;
	r = overlay_mount(lower, upper, out);
	superblock_put(upper);
	return r;
}

static int mount_root(struct container_config *config, struct superblock **out)
{
	bool readonly = config->root_readonly || config->root_overlay;
	unsigned int how = (readonly ? GOFER_RO : 0) | (config->root_shared ? GOFER_SHARED : 0);
	struct superblock *lower;
	int r = gofer_mount(config->root_fd, config->root_name, how, &lower);

	config->root_fd = -1;
	if (r < 0 || !config->root_overlay) {
		*out = lower;
		return r;
	}
	r = mount_overlay(lower, out);
	superblock_put(lower);
	return r;
}

static int populate(struct builder *b, struct container_config *config)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->nmounts; i++)
		r = mount_one(b, &config->mounts[i]);
	if (r == 0 && dev_is_ours(config))
		r = fill_dev(b, config);
	/* As runc does it; a read-only root keeps what it has, and the start fails later. */
	if (r == 0 && make_place(b, config->cwd, false) < 0 && !config->root_readonly)
		r = fail(b, -ENOENT, "cannot make process.cwd", config->cwd);
	for (size_t i = 0; r == 0 && i < config->nsysctls; i++)
		r = write_sysctl(b, &config->sysctls[i]);
	for (size_t i = 0; r == 0 && i < config->nmounts; i++)
		r = finish_mount(b, &config->mounts[i]);
	return r == 0 ? restrict_paths(b, config) : r;
}

int container_build_mounts(struct container_config *config, struct ipc_namespace *ipc,
			   struct mount_ns **out, char **error)
{
	struct superblock *root = NULL;
	struct builder b;
	int r = mount_root(config, &root);

	if (r < 0) {
		*error = xasprintf("cannot mount the root file system: %s", strerror(-r));
		return r;
	}
	builder_init(&b, mount_ns_new(root, 0), error);
	b.ipc = ipc;
	superblock_put(root);
	r = populate(&b, config);
	builder_fini(&b);
	if (r < 0)
		mount_ns_put(b.ns);
	else
		*out = b.ns;
	return r;
}
