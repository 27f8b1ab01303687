#include "sentry/sys/socket_cmsg.h"

#include <errno.h>
#include <sys/time.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/pidfd.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/fd_new.h"

#define CONTROL_MAX 20480 /* net.core.optmem_max was that for long */
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

/* --- in -------------------------------------------------------------------------------------- */

static int rights_in(struct task *t, const int *fds, size_t n, struct scm *scm)
{
	struct scm_files *old = scm->files, *files;

	if (!n)
		return 0;
	if (n > SCM_MAX_FILES || (old && old->n + n > SCM_MAX_FILES))
		return -EINVAL;
	if (!old) {
		files = charged_alloc(sizeof(*files) + SCM_MAX_FILES * sizeof(files->file[0]));
		if (!files)
			return -ENOMEM;
		list_init(&files->node);
		scm->files = files;
	}
	files = scm->files;
	for (size_t i = 0; i < n; i++) {
		struct file *f = fd_get(t->files, fds[i]);

		if (!f)
			return -EBADF;
		files->file[files->n++] = f;
	}
	return 0;
}

/* unix(7): one's own identities, or the capability to claim others. */
static int creds_in(struct task *t, const struct ucred *c, struct scm *scm)
{
	uint32_t uid = task_take_uid(t, c->uid), gid = task_take_gid(t, c->gid);
	const struct cred *me = t->cred;
	struct process *p;

	if (uid == INVALID_ID || gid == INVALID_ID)
		return -EINVAL;
	scm->pid = t->process->tgid;
	if (c->pid != t->process->own_tgid) {
		if (!cred_ns_capable(me, task_pids(t)->ns.owner, CAP_SYS_ADMIN))
			return -EPERM;
		p = process_find(task_pids(t), c->pid);
		if (!p)
			return -ESRCH;
		scm->pid = p->tgid;
		process_put(p);
	}
	if (uid != me->uid && uid != me->euid && uid != me->suid &&
	    !cred_ns_capable(me, me->user_ns, CAP_SETUID))
		return -EPERM;
	if (gid != me->gid && gid != me->egid && gid != me->sgid &&
	    !cred_ns_capable(me, me->user_ns, CAP_SETGID))
		return -EPERM;
	scm->has_creds = true;
	scm->uid = uid;
	scm->gid = gid;
	return 0;
}

/* The packet's TTL or traffic class; -1 is the default. Other options of the IP levels (where to
 * send from) mean nothing on loopback. */
static int ip_in(const struct cmsghdr *h, const void *data, size_t len, struct scm *scm)
{
	bool v6 = h->cmsg_level == IPPROTO_IPV6;
	int value = 0;

	if (h->cmsg_type == (v6 ? IPV6_HOPLIMIT : IP_TTL)) {
		if (len != sizeof(value))
			return -EINVAL;
		memcpy(&value, data, sizeof(value));
		if (value < (v6 ? -1 : 1) || value > 255)
			return -EINVAL;
		scm->ttl = (uint16_t)(value + 1);
	} else if (h->cmsg_type == (v6 ? IPV6_TCLASS : IP_TOS)) {
		if (len == 1 && !v6)
			value = *(const unsigned char *)data;
		else if (len == sizeof(value))
			memcpy(&value, data, sizeof(value));
		else
			return -EINVAL;
		if (value < -1 || value > 255)
			return -EINVAL;
		scm->tos = (uint16_t)(value + 1);
	}
	return 0;
}

static int one_in(struct task *t, struct socket *s, const struct cmsghdr *h, size_t len,
		  struct scm *scm)
{
	const void *data = CMSG_DATA(h);
	struct ucred c;

	if (h->cmsg_level != SOL_SOCKET) {
		bool ip = (s->domain == AF_INET && h->cmsg_level == IPPROTO_IP) ||
			  (s->domain == AF_INET6 && h->cmsg_level == IPPROTO_IPV6);

		return ip && s->type == SOCK_DGRAM ? ip_in(h, data, len, scm) : 0;
	}
	if (s->domain != AF_UNIX && s->domain != AF_NETLINK)
		return h->cmsg_type == SCM_RIGHTS || h->cmsg_type == SCM_CREDENTIALS ? 0 : -EINVAL;
	switch (h->cmsg_type) {
	case SCM_RIGHTS:
		return s->domain == AF_UNIX ? rights_in(t, data, len / sizeof(int), scm) : -EINVAL;
	case SCM_CREDENTIALS:
		if (len != sizeof(c))
			return -EINVAL;
		memcpy(&c, data, sizeof(c));
		return creds_in(t, &c, scm);
	}
	return -EINVAL;
}

int cmsg_in(struct task *t, struct socket *s, uaddr control, size_t len, struct scm *scm)
{
	SCOPED_FREE unsigned char *buf = NULL;
	size_t at = 0;
	int r;

	memset(scm, 0, sizeof(*scm));
	if (!len)
		return 0;
	if (len > CONTROL_MAX)
		return -ENOBUFS;
	buf = try_calloc(1, len + sizeof(struct cmsghdr));
	if (!buf)
		return -ENOBUFS;
	r = copyin(t, buf, control, len);
	while (!r && at + sizeof(struct cmsghdr) <= len) {
		const struct cmsghdr *h = (const struct cmsghdr *)(buf + at);

		if (h->cmsg_len < sizeof(*h) || h->cmsg_len > len - at)
			return -EINVAL;
		r = one_in(t, s, h, h->cmsg_len - sizeof(*h), scm);
		at += ROUND_UP(h->cmsg_len, sizeof(size_t));
	}
	return r;
}

/* --- out --------------------------------------------------------------------------------------- */

struct cmsg_writer {
	struct task *t;
	struct sock_recv *m;
	uaddr at;
	size_t room, used;
};

static int put(struct cmsg_writer *w, int level, int type, const void *data, size_t n)
{
	struct cmsghdr h = {.cmsg_len = CMSG_LEN(n), .cmsg_level = level, .cmsg_type = type};
	size_t space;
	int r;

	if (w->room < sizeof(h)) {
		w->m->msg_flags |= MSG_CTRUNC;
		return 0;
	}
	if (w->room < h.cmsg_len) {
		w->m->msg_flags |= MSG_CTRUNC;
		h.cmsg_len = w->room;
		n = h.cmsg_len - sizeof(h);
	}
	r = copyout(w->t, w->at, &h, sizeof(h));
	if (!r && n)
		r = copyout(w->t, uaddr_add(w->at, sizeof(h)), data, n);
	space = min(CMSG_SPACE(n), w->room);
	w->at = uaddr_add(w->at, space);
	w->room -= space;
	w->used += space;
	return r;
}

static int timestamp_out(struct cmsg_writer *w, struct socket *s)
{
	uint64_t ns = w->m->time_ns;
	struct timeval tv = {(time_t)(ns / NSEC_PER_SEC),
			     (suseconds_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
	struct timespec ts = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};

	if (!ns)
		return 0;
	if (s->set.timestamp)
		return put(w, SOL_SOCKET, SCM_TIMESTAMP, &tv, sizeof(tv));
	if (s->set.timestamp_ns)
		return put(w, SOL_SOCKET, SCM_TIMESTAMPNS, &ts, sizeof(ts));
	return 0;
}

static int creds_out(struct cmsg_writer *w, struct socket *s)
{
	const struct scm *scm = w->m->scm;
	struct ucred c = {0, 65534, 65534}; /* the sender did not say */

	if (!s->set.passcred)
		return 0;
	if (scm->has_creds)
		c = (struct ucred){task_show_pid(w->t, scm->pid), task_show_uid(w->t, scm->uid),
				   task_show_gid(w->t, scm->gid)};
	return put(w, SOL_SOCKET, SCM_CREDENTIALS, &c, sizeof(c));
}

static int pidfd_out(struct cmsg_writer *w, struct socket *s)
{
	struct task *sender;
	struct file *f;
	int fd = -ESRCH;

	if (!s->set.passpidfd || !w->m->scm->has_creds)
		return 0;
	if (w->room < CMSG_LEN(sizeof(int))) {
		w->m->msg_flags |= MSG_CTRUNC;
		return 0;
	}
	sender = task_find(w->t->container->pids, w->m->scm->pid);
	if (sender && !pidfd_new(w->t, sender, false, 0, &f))
		fd = fd_new(w->t, f, true);
	if (sender)
		task_put(sender);
	return put(w, SOL_SOCKET, SCM_PIDFD, &fd, sizeof(fd));
}

/* As many files as there is room and there are descriptors for. */
static int rights_out(struct cmsg_writer *w, bool cloexec)
{
	struct scm_files *files = w->m->scm->files;
	int fds[SCM_MAX_FILES];
	unsigned int fit, n = 0;

	if (!files)
		return 0;
	fit = w->room < CMSG_LEN(sizeof(int))
		  ? 0
		  : min((unsigned int)((w->room - CMSG_LEN(0)) / sizeof(int)), files->n);
	for (; n < fit; n++) {
		fds[n] = fd_new(w->t, file_get(files->file[n]), cloexec);
		if (fds[n] < 0)
			break;
	}
	if (n < files->n)
		w->m->msg_flags |= MSG_CTRUNC;
	return n ? put(w, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof(int)) : 0;
}

int cmsg_out(struct task *t, struct socket *s, struct sock_recv *m, uaddr control, size_t room,
	     bool cloexec, size_t *used)
{
	struct cmsg_writer w = {.t = t, .m = m, .at = control, .room = room};
	int r = timestamp_out(&w, s);

	for (unsigned int i = 0; !r && i < m->ncontrol; i++)
		r = put(&w, m->control[i].level, m->control[i].type, m->control[i].data,
			m->control[i].len);
	if (!r && (s->domain == AF_UNIX || s->domain == AF_NETLINK))
		r = creds_out(&w, s);
	if (!r)
		r = rights_out(&w, cloexec);
	if (!r && s->domain == AF_UNIX)
		r = pidfd_out(&w, s);
	*used = w.used;
	return r;
}
