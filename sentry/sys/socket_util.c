#include "sentry/sys/socket_util.h"

#include <errno.h>

#include "common/host.h"
#include "sentry/kernel/usermem.h"

int sock_lookup(struct task *t, int fd, struct socket **out)
{
	struct file *f = fd_get_io(t->files, fd);

	if (!f)
		return -EBADF;
	*out = socket_from_file(f);
	if (*out)
		return 0;
	file_put(f);
	return -ENOTSOCK;
}

void sock_task_begin(struct task *t, struct sock_task *st, bool with_paths)
{
	st->with_paths = with_paths;
	st->caller = (struct sock_caller){.cred = t->cred,
					  .pid = t->process->tgid,
					  .own_pid = t->process->own_tgid,
					  .nofile = task_rlimit(t, RLIMIT_NOFILE)};
	if (!with_paths)
		return;
	task_walk_begin(t, &st->walk, &st->env);
	st->caller.env = &st->env;
	mutex_lock(&t->fs->lock);
	st->caller.umask = t->fs->umask;
	mutex_unlock(&t->fs->lock);
}

void sock_task_end(struct sock_task *st)
{
	if (st->with_paths)
		task_walk_end(&st->walk);
}

int sock_addr_in(struct task *t, uaddr from, uint32_t len, struct sock_addr *out)
{
	if (len > sizeof(out->raw))
		return -EINVAL;
	out->len = len;
	memset(out->raw, 0, sizeof(out->raw));
	return len ? copyin(t, out->raw, from, len) : 0;
}

int sock_addr_out(struct task *t, const struct sock_addr *addr, uaddr to, uaddr len_addr)
{
	int32_t room;
	int r = copyin(t, &room, len_addr, sizeof(room));

	if (r)
		return r;
	if (room < 0)
		return -EINVAL;
	room = min(room, (int32_t)addr->len);
	if (room)
		r = copyout_late(t, to, addr->raw, (size_t)room);
	return r ? r : copyout_late(t, len_addr, &addr->len, sizeof(addr->len));
}

uint64_t sock_deadline(const struct socket *s, bool send)
{
	struct file *f = (struct file *)&s->file;
	uint64_t timeout = atomic_load(send ? &f->write_timeout : &f->read_timeout);

	return timeout ? host_monotonic_ns() + timeout : SLEEP_FOREVER;
}

static void current_caller(struct sock_caller *out)
{
	struct task *t = task_current();

	*out = (struct sock_caller){.cred = t->cred,
				    .pid = t->process->tgid,
				    .own_pid = t->process->own_tgid,
				    .nofile = task_rlimit(t, RLIMIT_NOFILE)};
}

void sockets_init(void)
{
	socket_current_caller = current_caller;
}
