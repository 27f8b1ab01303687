/*
 * /proc/PID/{uid,gid,projid}_map and setgroups, by the rules of
 * user_namespaces(7). What a write may do depends on who opened the file as well
 * as on who writes, so that a privileged program cannot be made to write by
 * handing it a descriptor.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/core/user_ns.h"
#include "sentry/kernel/proc/proc.h"

#define MAP_TEXT 4096 /* Linux: less than a page */

/* The subject's user namespace; owned. */
static int ns_of(struct file *f, struct user_ns **out)
{
	struct proc_subject s;
	struct cred *c;
	int r = proc_subject_get(proc_node_of(pseudo_inode_of(f->inode)), &s);

	if (r < 0)
		return r;
	c = task_get_cred(s.t);
	*out = user_ns_get(c->user_ns);
	cred_put(c);
	proc_subject_put(&s);
	return 0;
}

static ssize_t give_text(const struct text *t, void *buf, size_t n, off_t *pos)
{
	if (*pos < 0 || (size_t)*pos >= t->len)
		return 0;
	n = min(n, t->len - (size_t)*pos);
	memcpy(buf, t->buf + *pos, n);
	*pos += (off_t)n;
	return (ssize_t)n;
}

/* --- maps ------------------------------------------------------------------------------------- */

/* The opener sees the numbers of its own namespace, but those of its parent in its own map. */
static void show_map(const struct user_ns *ns, const struct cred *opener, enum id_kind kind,
		     struct text *out)
{
	const struct id_map *m = atomic_load(&ns->map[kind]);
	const struct user_ns *lower = opener->user_ns;

	if (ns == &user_ns_first) {
		text_printf(out, "%10u %10u %10u\n", 0u, 0u, UINT32_MAX);
		return;
	}
	if (lower == ns)
		lower = user_ns_parent(ns);
	for (unsigned int i = 0; m && i < m->n; i++)
		text_printf(out, "%10u %10u %10u\n", m->extent[i].first,
			    user_ns_out(lower, kind, m->extent[i].lower), m->extent[i].count);
}

static ssize_t map_read(struct file *f, enum id_kind kind, void *buf, size_t n, off_t *pos)
{
	struct text t = {0};
	struct user_ns *ns;
	ssize_t r = ns_of(f, &ns);

	if (r < 0)
		return r;
	show_map(ns, f->cred, kind, &t);
	user_ns_put(ns);
	r = give_text(&t, buf, n, pos);
	text_fini(&t);
	return r;
}

/* Lines of three numbers. */
static int parse_map(char *text, struct id_map **out)
{
	struct id_map *m = xzalloc(sizeof(*m) + ID_MAP_EXTENTS * sizeof(m->extent[0]));
	char *line, *rest = text, tail;

	while ((line = strsep(&rest, "\n"))) {
		struct id_extent e;

		if (!*line && (!rest || !*rest))
			break;
		if (m->n == ID_MAP_EXTENTS ||
		    sscanf(line, "%u %u %u %c", &e.first, &e.lower, &e.count, &tail) != 3) {
			free(m);
			return -EINVAL;
		}
		m->extent[m->n++] = e;
	}
	*out = m;
	return 0;
}

/* File capabilities that root of the new namespace sets count for root of the parent: so who
 * maps the parent's user 0 must have been able to set them there. */
static bool may_map_root(const struct user_ns *ns, const struct cred *opener,
			 const struct id_map *m)
{
	for (unsigned int i = 0; i < m->n; i++) {
		if (m->extent[i].lower != 0)
			continue;
		if (opener->user_ns == ns)
			return ns->creator_setfcap;
		return cred_ns_capable(opener, user_ns_parent(ns), CAP_SETFCAP);
	}
	return true;
}

/* One's own id, and nothing else, may be mapped without privilege. */
static bool maps_self(struct user_ns *ns, const struct cred *opener, enum id_kind kind,
		      const struct id_map *m)
{
	uint32_t id = user_ns_in(user_ns_parent(ns), kind, m->extent[0].lower);

	if (m->n != 1 || m->extent[0].count != 1 || ns->owner_uid != opener->euid)
		return false;
	if (kind == ID_UID)
		return id == opener->euid;
	SCOPED_LOCK(&ns->lock);
	return kind == ID_GID && ns->setgroups_denied && id == opener->egid;
}

static bool may_map(struct user_ns *ns, const struct cred *opener, enum id_kind kind,
		    const struct id_map *m)
{
	const struct cred *writer = task_current()->cred;
	int cap = kind == ID_UID ? CAP_SETUID : CAP_SETGID;

	if (kind == ID_PROJECT)
		return true;
	if (kind == ID_UID && !may_map_root(ns, opener, m))
		return false;
	return maps_self(ns, opener, kind, m) ||
	       (cred_ns_capable(writer, user_ns_parent(ns), cap) &&
		cred_ns_capable(opener, user_ns_parent(ns), cap));
}

static int write_map(struct user_ns *ns, const struct cred *opener, enum id_kind kind, char *text)
{
	struct id_map *m;
	int r;

	if (ns == &user_ns_first ||
	    (opener->user_ns != ns && opener->user_ns != user_ns_parent(ns)))
		return -EPERM;
	if (atomic_load(&ns->map[kind]))
		return -EPERM;
	if (kind != ID_PROJECT && !cred_ns_capable(opener, ns, CAP_SYS_ADMIN))
		return -EPERM;
	r = parse_map(text, &m);
	if (r < 0)
		return r;
	r = user_ns_check_map(m);
	if (r == 0)
		r = may_map(ns, opener, kind, m) ? user_ns_set_map(ns, kind, m) : -EPERM;
	if (r < 0)
		free(m);
	return r;
}

static ssize_t map_write(struct file *f, enum id_kind kind, const void *buf, size_t n, off_t *pos)
{
	char text[MAP_TEXT];
	struct user_ns *ns;
	ssize_t r;

	if (*pos || n >= sizeof(text))
		return -EINVAL;
	memcpy(text, buf, n);
	text[n] = '\0';
	r = ns_of(f, &ns);
	if (r < 0)
		return r;
	r = write_map(ns, f->cred, kind, text);
	user_ns_put(ns);
	if (r < 0)
		return r;
	*pos += (off_t)n;
	return (ssize_t)n;
}

/* --- setgroups --------------------------------------------------------------------------------- */

static ssize_t setgroups_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct text t = {0};
	struct user_ns *ns;
	ssize_t r = ns_of(f, &ns);

	if (r < 0)
		return r;
	mutex_lock(&ns->lock);
	text_puts(&t, ns->setgroups_denied ? "deny\n" : "allow\n");
	mutex_unlock(&ns->lock);
	user_ns_put(ns);
	r = give_text(&t, buf, n, pos);
	text_fini(&t);
	return r;
}

static ssize_t setgroups_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	char text[8] = "";
	struct user_ns *ns;
	bool allow;
	int r;

	if (*pos || n >= sizeof(text))
		return -EINVAL;
	memcpy(text, buf, n);
	text[strcspn(text, "\n \t")] = '\0';
	allow = !strcmp(text, "allow");
	if (!allow && strcmp(text, "deny"))
		return -EINVAL;
	r = ns_of(f, &ns);
	if (r < 0)
		return r;
	r = user_ns_set_setgroups(ns, allow);
	user_ns_put(ns);
	if (r < 0)
		return r;
	*pos += (off_t)n;
	return (ssize_t)n;
}

static int setgroups_open(struct pseudo_inode *p, const struct cred *cred, int flags)
{
	struct proc_subject s;
	struct cred *c;
	bool may;
	int r;

	if ((flags & O_ACCMODE) == O_RDONLY)
		return 0;
	r = proc_subject_get(proc_node_of(p), &s);
	if (r < 0)
		return r;
	c = task_get_cred(s.t);
	may = cred_ns_capable(cred, c->user_ns, CAP_SYS_ADMIN);
	cred_put(c);
	proc_subject_put(&s);
	return may ? 0 : -EACCES;
}

/* --- tables ---------------------------------------------------------------------------------------- */

#define MAP_OPS(name, kind)                                                                        \
	static ssize_t name##_read(struct file *f, void *buf, size_t n, off_t *pos)                \
	{                                                                                          \
		return map_read(f, kind, buf, n, pos);                                             \
	}                                                                                          \
	static ssize_t name##_write(struct file *f, const void *buf, size_t n, off_t *pos)         \
	{                                                                                          \
		return map_write(f, kind, buf, n, pos);                                            \
	}                                                                                          \
	static const struct file_ops name##_file_ops = {                                           \
	    .read = name##_read, .write = name##_write, .release = pseudo_file_release};           \
	const struct pseudo_ops proc_##name##_ops = {.file_ops = &name##_file_ops,                 \
						     .refresh = proc_node_refresh,                 \
						     .release = proc_node_release}

MAP_OPS(uid_map, ID_UID);
MAP_OPS(gid_map, ID_GID);
MAP_OPS(projid_map, ID_PROJECT);

static const struct file_ops setgroups_file_ops = {
    .read = setgroups_read, .write = setgroups_write, .release = pseudo_file_release};
const struct pseudo_ops proc_setgroups_ops = {
    .file_ops = &setgroups_file_ops,
    .open = setgroups_open,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};
