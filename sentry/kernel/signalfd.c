/*
 * signalfd(2). Whoever reads or polls a signalfd sees his own signals, not those
 * of its maker. A file has one wait queue, though, so a signalfd has a relay on
 * the signal queue of each group of handlers that has used it: the relay wakes
 * the file's queue. A relay keeps its sighand alive; those that nobody else
 * holds are dropped when a new one comes.
 */
#include "sentry/kernel/signalfd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "common/mem.h"
#include "sentry/fs/fdinfo.h"
#include "sentry/fs/inode.h"
void sighand_put(struct sighand *sh);
#include "sentry/kernel/signal.h"

struct relay {
	struct waiter w; /* on sighand->signalfd_wq */
	struct list node;
	struct sighand *sighand; /* owned */
	struct signalfd *to;
};

struct signalfd {
	struct file file;
	struct waitq wq;
	struct mutex lock;
	ksigset mask;	    /* guarded by lock */
	struct list relays; /* guarded by lock */
};

static const struct file_ops signalfd_ops;

static struct signalfd *signalfd_of(struct file *f)
{
	return container_of(f, struct signalfd, file);
}

static bool relay_wake(struct waiter *w, uint32_t events)
{
	waitq_wake(&container_of(w, struct relay, w)->to->wq, POLLIN);
	return true;
}

static void relay_free(struct relay *r)
{
	waitq_del(&r->w);
	list_del(&r->node);
	sighand_put(r->sighand);
	free(r);
}

static void relay_add_locked(struct signalfd *s, struct sighand *sighand)
{
	struct relay *r, *tmp;

	list_for_each_safe (r, tmp, &s->relays, node) {
		if (r->sighand == sighand)
			return;
		if (ref_read(&r->sighand->ref) == 1)
			relay_free(r);
	}
	r = NEW(struct relay);
	r->sighand = sighand;
	ref_get(&sighand->ref);
	r->to = s;
	r->w.events = POLLIN;
	r->w.wake = relay_wake;
	list_add(&s->relays, &r->node);
	waitq_add(&sighand->signalfd_wq, &r->w);
}

/* The mask, with the caller's relay in place. */
static ksigset prepare(struct signalfd *s, struct task *t)
{
	SCOPED_LOCK(&s->lock);
	relay_add_locked(s, t->sighand);
	return s->mask;
}

/* Which members of the union are valid follows from the code and the signal. */
static void fill_by_signal(struct signalfd_siginfo *out, const siginfo_t *info)
{
	switch (info->si_signo) {
	case SIGCHLD:
		out->ssi_status = info->si_status;
		out->ssi_utime = (uint64_t)info->si_utime;
		out->ssi_stime = (uint64_t)info->si_stime;
		break;
	case SIGIO:
		out->ssi_band = (uint32_t)info->si_band;
		out->ssi_fd = info->si_fd;
		break;
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
		out->ssi_addr = (uintptr_t)info->si_addr;
		break;
	}
}

static void fill(struct signalfd_siginfo *out, const siginfo_t *info)
{
	*out = (struct signalfd_siginfo){
	    .ssi_signo = (uint32_t)info->si_signo,
	    .ssi_errno = info->si_errno,
	    .ssi_code = info->si_code,
	};
	if (info->si_code == SI_TIMER) {
		out->ssi_tid = (uint32_t)info->si_timerid;
		out->ssi_overrun = (uint32_t)info->si_overrun;
		out->ssi_ptr = (uintptr_t)info->si_ptr;
		out->ssi_int = info->si_int;
		return;
	}
	if (info->si_code > 0 && info->si_code < SI_KERNEL)
		fill_by_signal(out, info);
	if (info->si_code > 0 && info->si_code < SI_KERNEL && info->si_signo != SIGCHLD)
		return;
	out->ssi_pid = (uint32_t)info->si_pid;
	out->ssi_uid = info->si_uid;
	if (info->si_code < 0 && info->si_code != SI_TKILL) {
		out->ssi_ptr = (uintptr_t)info->si_ptr;
		out->ssi_int = info->si_int;
	}
}

static ssize_t signalfd_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct task *t = task_current();
	struct signalfd_siginfo one;
	size_t done = 0;
	siginfo_t info;
	ksigset mask;

	if (n < sizeof(one))
		return -EINVAL;
	mask = prepare(signalfd_of(f), t);
	while (n - done >= sizeof(one) && signal_dequeue(t, mask, &info) > 0) {
		fill(&one, &info);
		memcpy((char *)buf + done, &one, sizeof(one));
		done += sizeof(one);
	}
	return done > 0 ? (ssize_t)done : -EAGAIN;
}

static uint32_t signalfd_poll(struct file *f)
{
	struct task *t = task_current();
	ksigset mask, waiting;

	if (!t)
		return 0;
	mask = prepare(signalfd_of(f), t);
	SCOPED_LOCK(&t->sighand->lock);
	waiting = t->pending.set | t->process->pending.set;
	return waiting & mask ? POLLIN : 0;
}

static size_t signalfd_fdinfo(struct file *f, char *buf, size_t size)
{
	struct signalfd *s = signalfd_of(f);

	SCOPED_LOCK(&s->lock);
	return (size_t)snprintf(buf, size, "sigmask:\t%016llx\n", (unsigned long long)s->mask);
}

static void signalfd_release(struct file *f)
{
	struct signalfd *s = signalfd_of(f);
	struct relay *r, *tmp;

	list_for_each_safe (r, tmp, &s->relays, node)
		relay_free(r);
	file_fini(f);
	waitq_destroy(&s->wq);
	mutex_destroy(&s->lock);
	free(s);
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
};

int signalfd_new(const struct cred *cred, ksigset mask, int flags, struct file **out)
{
	struct signalfd *s = NEW(struct signalfd);
	struct inode *inode = anon_inode_new("[signalfd]", 0);
	struct path none = {0};

	fdinfo_register(&signalfd_ops, signalfd_fdinfo);
	file_init(&s->file, &signalfd_ops, inode, &none, cred, O_RDWR | (flags & O_NONBLOCK));
	inode_put(inode);
	waitq_init(&s->wq);
	s->file.wq = &s->wq;
	mutex_init(&s->lock, RANK_OBJECT);
	list_init(&s->relays);
	s->mask = mask & ~KSIGSET_UNBLOCKABLE;
	*out = &s->file;
	return 0;
}

int signalfd_set_mask(struct file *f, ksigset mask)
{
	struct signalfd *s = signalfd_of(f);

	if (f->ops != &signalfd_ops)
		return -EINVAL;
	mutex_lock(&s->lock);
	s->mask = mask & ~KSIGSET_UNBLOCKABLE;
	mutex_unlock(&s->lock);
	waitq_wake(&s->wq, POLLIN);
	return 0;
}
