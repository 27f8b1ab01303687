/*
 * pidfds: a file over a process (or one of its threads), readable once it has
 * ended. They hold the process object, not the number, so a reused number is
 * never mistaken for it.
 */
#include "sentry/kernel/pidfd.h"

#include <errno.h>

#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/tasklist.h"

struct pidfd {
	struct file file;
	struct process *process; /* owned */
	struct task *thread;	 /* owned; NULL: the whole process */
};

static uint32_t pidfd_poll(struct file *f)
{
	struct pidfd *p = container_of(f, struct pidfd, file);
	bool over;

	SCOPED_LOCK(&tasklist);
	over = p->thread ? atomic_load(&p->thread->state) == 'Z' : p->process->zombie;
	return over ? POLLIN | POLLRDNORM | (p->process->reaped ? POLLHUP : 0) : 0;
}

static void pidfd_release(struct file *f)
{
	struct pidfd *p = container_of(f, struct pidfd, file);

	file_fini(f);
	if (p->thread)
		task_put(p->thread);
	process_put(p->process);
	free(p);
}

static const struct file_ops pidfd_ops = {
    .poll = pidfd_poll,
    .release = pidfd_release,
};

int pidfd_new(struct task *opener, struct task *t, bool thread, int flags, struct file **out)
{
	struct pidfd *p = NEW(struct pidfd);
	struct inode *inode = anon_inode_new("[pidfd]", 0);
	struct path none = {0};

	file_init(&p->file, &pidfd_ops, inode, &none, opener->cred, O_RDWR | flags);
	inode_put(inode);
	p->process = process_get(t->process);
	p->thread = thread ? task_get(t) : NULL;
	p->file.wq = &p->process->pidfd_wq;
	*out = &p->file;
	return 0;
}

bool pidfd_is(const struct file *f)
{
	return f->ops == &pidfd_ops;
}

int pidfd_process(struct file *f, struct process **out)
{
	if (!pidfd_is(f))
		return -EBADF;
	*out = process_get(container_of(f, struct pidfd, file)->process);
	return 0;
}

int pidfd_number(const struct file *f)
{
	struct pidfd *p = container_of(f, struct pidfd, file);

	SCOPED_LOCK(&tasklist);
	if (p->thread)
		return list_linked(&p->thread->thread_node) ? p->thread->tid : -1;
	return p->process->reaped ? -1 : p->process->tgid;
}
