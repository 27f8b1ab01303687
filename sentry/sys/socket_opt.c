/* setsockopt(2), getsockopt(2). */
#include <errno.h>

#include "common/mem.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/pidfd.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"
#include "sentry/sys/socket_util.h"

#define OPTION_MAX 4096 /* no option that we know needs more; longer values are cut */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

long sys_setsockopt(struct task *t, const struct sysargs *a)
{
	unsigned char value[OPTION_MAX];
	struct sock_option o = {.set = true,
				.level = (int)a->v[1],
				.name = (int)a->v[2],
				.value = value,
				.len = min((uint32_t)a->v[4], (uint32_t)OPTION_MAX)};
	struct sock_task st;
	struct socket *s;
	long r;

	if ((int)a->v[4] < 0)
		return -EINVAL;
	r = sock_lookup(t, (int)a->v[0], &s);
	if (r)
		return r;
	r = copyin(t, value, UADDR(a->v[3]), o.len);
	if (!r) {
		sock_task_begin(t, &st, false);
		o.caller = &st.caller;
		r = socket_option(s, &o);
		sock_task_end(&st);
	}
	file_put(&s->file);
	return r;
}

/* A pidfd for the process that the peer was when it connected. */
static int peer_pidfd(struct task *t, struct socket *s, struct sock_option *o)
{
	struct task *peer;
	struct file *f;
	int pid, r;

	mutex_lock(&s->lock);
	pid = s->peer_id.pid;
	mutex_unlock(&s->lock);
	if (o->len < sizeof(int))
		return -EINVAL;
	if (!pid)
		return -ENODATA;
	peer = task_find(t->container->pids, pid);
	if (!peer)
		return -ESRCH;
	r = pidfd_new(t, peer, false, 0, &f);
	task_put(peer);
	if (r)
		return r;
	r = fd_new(t, f, true);
	return r < 0 ? r : sock_option_int(o, r);
}

/* SO_PEERCRED as the caller's namespaces see it: the socket has the first ones' numbers. */
static void localize_peer(struct task *t, struct sock_option *o)
{
	struct ucred c;

	if (o->len != sizeof(c))
		return;
	memcpy(&c, o->value, sizeof(c));
	c = (struct ucred){task_show_pid(t, c.pid), task_show_uid(t, c.uid),
			   task_show_gid(t, c.gid)};
	memcpy(o->value, &c, sizeof(c));
}

static int get_option(struct task *t, struct socket *s, struct sock_option *o)
{
	struct sock_task st;
	int r;

	if (o->level == SOL_SOCKET && o->name == SO_PEERPIDFD && s->domain == AF_UNIX)
		return peer_pidfd(t, s, o);
	sock_task_begin(t, &st, false);
	o->caller = &st.caller;
	r = socket_option(s, o);
	sock_task_end(&st);
	if (r >= 0 && o->level == SOL_SOCKET && o->name == SO_PEERCRED)
		localize_peer(t, o);
	return r;
}

long sys_getsockopt(struct task *t, const struct sysargs *a)
{
	unsigned char value[OPTION_MAX];
	struct sock_option o = {.level = (int)a->v[1], .name = (int)a->v[2], .value = value};
	struct socket *s;
	int32_t len;
	long r = sock_lookup(t, (int)a->v[0], &s);

	if (r)
		return r;
	r = copyin(t, &len, UADDR(a->v[4]), sizeof(len));
	if (!r && len < 0)
		r = -EINVAL;
	if (!r) {
		memset(value, 0, sizeof(value));
		o.len = min((uint32_t)len, (uint32_t)OPTION_MAX);
		r = get_option(t, s, &o);
		/* SO_PEERGROUPS says how much it would need. */
		if (r == -ERANGE)
			(void)!copyout(t, UADDR(a->v[4]), &o.len, sizeof(o.len));
	}
	if (!r && o.len)
		r = copyout_late(t, UADDR(a->v[3]), value, o.len);
	if (!r)
		r = copyout_late(t, UADDR(a->v[4]), &o.len, sizeof(o.len));
	file_put(&s->file);
	return r;
}
