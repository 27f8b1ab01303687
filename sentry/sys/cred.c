/* System calls about credentials. */
#include <errno.h>
#include <linux/capability.h>

#include "common/mem.h"
#include "sentry/kernel/cred_change.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

long sys_getuid(struct task *t, const struct sysargs *a)
{
	return task_show_uid(t, t->cred->uid);
}

long sys_geteuid(struct task *t, const struct sysargs *a)
{
	return task_show_uid(t, t->cred->euid);
}

long sys_getgid(struct task *t, const struct sysargs *a)
{
	return task_show_gid(t, t->cred->gid);
}

long sys_getegid(struct task *t, const struct sysargs *a)
{
	return task_show_gid(t, t->cred->egid);
}

static long get_three(struct task *t, const struct sysargs *a, uint32_t r, uint32_t e, uint32_t s)
{
	if (copyout_late(t, UADDR(a->v[0]), &r, sizeof(r)) < 0 ||
	    copyout_late(t, UADDR(a->v[1]), &e, sizeof(e)) < 0 ||
	    copyout_late(t, UADDR(a->v[2]), &s, sizeof(s)) < 0)
		return -EFAULT;
	return 0;
}

long sys_getresuid(struct task *t, const struct sysargs *a)
{
	return get_three(t, a, task_show_uid(t, t->cred->uid), task_show_uid(t, t->cred->euid),
			 task_show_uid(t, t->cred->suid));
}

long sys_getresgid(struct task *t, const struct sysargs *a)
{
	return get_three(t, a, task_show_gid(t, t->cred->gid), task_show_gid(t, t->cred->egid),
			 task_show_gid(t, t->cred->sgid));
}

/* KEEP_ID stays what it is; another id that the caller's user namespace lacks is -EINVAL. */
static int take_ids(struct task *t, enum id_kind kind, const struct sysargs *a, int n,
		    uint32_t *out)
{
	for (int i = 0; i < n; i++) {
		uint32_t id = (uint32_t)a->v[i];

		out[i] = id == KEEP_ID ? id : user_ns_in(t->cred->user_ns, kind, id);
		if (out[i] == INVALID_ID && id != KEEP_ID)
			return -EINVAL;
	}
	return 0;
}

long sys_setuid(struct task *t, const struct sysargs *a)
{
	uint32_t id;

	return take_ids(t, ID_UID, a, 1, &id) ?: cred_set_uid(t, id);
}

long sys_setreuid(struct task *t, const struct sysargs *a)
{
	uint32_t id[2];

	return take_ids(t, ID_UID, a, 2, id) ?: cred_set_reuid(t, id[0], id[1]);
}

long sys_setresuid(struct task *t, const struct sysargs *a)
{
	uint32_t id[3];

	return take_ids(t, ID_UID, a, 3, id) ?: cred_set_resuid(t, id[0], id[1], id[2]);
}

long sys_setfsuid(struct task *t, const struct sysargs *a)
{
	uint32_t id = task_take_uid(t, (uint32_t)a->v[0]);

	return task_show_uid(t, (uint32_t)cred_set_fsuid(t, id));
}

long sys_setgid(struct task *t, const struct sysargs *a)
{
	uint32_t id;

	return take_ids(t, ID_GID, a, 1, &id) ?: cred_set_gid(t, id);
}

long sys_setregid(struct task *t, const struct sysargs *a)
{
	uint32_t id[2];

	return take_ids(t, ID_GID, a, 2, id) ?: cred_set_regid(t, id[0], id[1]);
}

long sys_setresgid(struct task *t, const struct sysargs *a)
{
	uint32_t id[3];

	return take_ids(t, ID_GID, a, 3, id) ?: cred_set_resgid(t, id[0], id[1], id[2]);
}

long sys_setfsgid(struct task *t, const struct sysargs *a)
{
	uint32_t id = task_take_gid(t, (uint32_t)a->v[0]);

	return task_show_gid(t, (uint32_t)cred_set_fsgid(t, id));
}

static long put_groups(struct task *t, uaddr to, const struct cred *c)
{
	for (int i = 0; i < c->ngroups; i++) {
		uint32_t gid = task_show_gid(t, c->groups[i]);

		if (copyout(t, uaddr_add(to, (uint64_t)i * sizeof(gid)), &gid, sizeof(gid)) < 0)
			return -EFAULT;
	}
	return c->ngroups;
}

long sys_getgroups(struct task *t, const struct sysargs *a)
{
	const struct cred *c = t->cred;
	int size = (int)a->v[0];

	if (size < 0)
		return -EINVAL;
	if (size == 0)
		return c->ngroups;
	if (c->ngroups > size)
		return -EINVAL;
	return put_groups(t, UADDR(a->v[1]), c);
}

#define NGROUPS_MAX_ 65536

long sys_setgroups(struct task *t, const struct sysargs *a)
{
	SCOPED_FREE uint32_t *groups = NULL;
	size_t n = (uint32_t)a->v[0];

	if (!task_ns_capable(t, t->cred->user_ns, CAP_SETGID) ||
	    !user_ns_may_setgroups(t->cred->user_ns))
		return -EPERM;
	if (n > NGROUPS_MAX_)
		return -EINVAL;
	groups = try_calloc(max(n, (size_t)1), sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	if (copyin(t, groups, UADDR(a->v[1]), n * sizeof(*groups)) < 0)
		return -EFAULT;
	for (size_t i = 0; i < n; i++) {
		groups[i] = task_take_gid(t, groups[i]);
		if (groups[i] == INVALID_ID)
			return -EINVAL;
	}
	return cred_set_groups_of(t, groups, (int)n);
}

/* --- capabilities --------------------------------------------------------------------------- */

/* The version that the header asks for: how many 32-bit words, or -EINVAL after having written
 * the preferred version, as capget(2) says. */
static int cap_words(struct task *t, uaddr header, struct __user_cap_header_struct *h)
{
	uint32_t preferred = _LINUX_CAPABILITY_VERSION_3;

	if (copyin(t, h, header, sizeof(*h)) < 0)
		return -EFAULT;
	switch (h->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		return 1;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		return 2;
	}
	return copyout(t, header, &preferred, sizeof(preferred)) < 0 ? -EFAULT : -EINVAL;
}

static struct cred *cred_of(struct task *t, int pid)
{
	struct task *target = pid ? task_find(task_pids(t), pid) : task_get(t);
	struct cred *c = NULL;

	if (target) {
		c = task_get_cred(target);
		task_put(target);
	}
	return c;
}

long sys_capget(struct task *t, const struct sysargs *a)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct data[2];
	struct cred *c;
	int words = cap_words(t, UADDR(a->v[0]), &h);

	/* No data pointer: the caller only asks for the version. */
	if (words < 0)
		return words == -EINVAL && !a->v[1] ? 0 : words;
	if (h.pid < 0)
		return -EINVAL;
	c = cred_of(t, h.pid);
	if (!c)
		return -ESRCH;
	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){
		    .effective = (uint32_t)(c->effective >> (32 * i)),
		    .permitted = (uint32_t)(c->permitted >> (32 * i)),
		    .inheritable = (uint32_t)(c->inheritable >> (32 * i)),
		};
	cred_put(c);
	return a->v[1] ? copyout(t, UADDR(a->v[1]), data, (size_t)words * sizeof(data[0])) : 0;
}

long sys_capset(struct task *t, const struct sysargs *a)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2] = {{0}};
	int words = cap_words(t, UADDR(a->v[0]), &h);

	if (words < 0)
		return words;
	if (h.pid != 0 && h.pid != t->own_tid)
		return -EPERM;
	if (copyin(t, d, UADDR(a->v[1]), (size_t)words * sizeof(d[0])) < 0)
		return -EFAULT;
	return cred_set_caps(t, (d[0].effective | (capset)d[1].effective << 32) & CAPSET_ALL,
			     (d[0].permitted | (capset)d[1].permitted << 32) & CAPSET_ALL,
			     (d[0].inheritable | (capset)d[1].inheritable << 32) & CAPSET_ALL);
}
